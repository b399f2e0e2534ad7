//! Records over a socket.
//!
//! It does not decide anything about them. What was written goes out when eight records are
//! full, at a flush, and at the latest before a reader waits for an answer.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Read, Records};

/// An open connection of a ShangMi suite.
pub(crate) struct RecordStream {
    tcp: TcpStream,
    records: Records,
}

impl RecordStream {
    pub(crate) const fn new(tcp: TcpStream, records: Records) -> Self {
        Self { tcp, records }
    }

    /// Reads once from the socket; an end that the peer did not announce is an error.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read = pin!(self.tcp.read_buf(self.records.space())).poll(cx);
        match read {
            Poll::Pending => {
                self.records.was_read(None);
                Poll::Pending
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.records.cut_off().into())),
            Poll::Ready(Ok(length)) => {
                self.records.was_read(Some(length));
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        }
    }

    /// Sends all that is sealed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.records.unsent().is_empty() {
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, self.records.unsent()))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.records.was_sent(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what the socket takes at once. It does not wait, because the task that writes may
    /// wait for the same socket, and only one of two would be woken.
    fn send_some(&mut self) {
        while !self.records.unsent().is_empty() {
            match self.tcp.try_write(self.records.unsent()) {
                Ok(sent) if sent > 0 => self.records.was_sent(sent),
                _ => return,
            }
        }
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.records.has_said_all() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut taken = 0;
        while taken < bytes.len() {
            taken += self.records.write(&bytes[taken..])?;
            if taken < bytes.len() {
                match self.poll_send(cx) {
                    Poll::Ready(sent) => sent?,
                    Poll::Pending if taken > 0 => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(taken))
    }
}

impl AsyncRead for RecordStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while buffer.remaining() > 0 {
            match this.records.read(buffer) {
                Ok(Read::Content | Read::Closed) => break,
                Ok(Read::Incomplete) => {
                    this.records.finish()?;
                    this.send_some();
                    ready!(this.poll_receive(cx))?;
                }
                Err(fault) => {
                    this.send_some();
                    return Poll::Ready(Err(fault.into()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for RecordStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        for slice in slices {
            match self.poll_take(cx, slice) {
                Poll::Ready(Ok(length)) if length < slice.len() => {
                    taken += length;
                    break;
                }
                Poll::Ready(Ok(length)) => taken += length,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if taken > 0 => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.records.finish()?;
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // On a connection that failed an alert says it all.
        let _failed = self.records.close();
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
