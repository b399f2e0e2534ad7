//! Reading from a socket in larger pieces than rustls does.
//!
//! rustls asks for 4 KiB at first, and starts small again after each record that ended where its
//! buffer ended: without this, a record of 16 KiB takes five calls of the system and a buffer that
//! grows four times. It does not look at what it reads, and it holds nothing back on the way out.
//! The ShangMi suites do not need it: [`super::records`] reads for itself.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The most bytes that wait here for rustls, and the memory that a busy connection has for them:
/// the four records that a sender writes at once, and half as much again.
const AHEAD_BYTES_MAX: usize = 96 << 10;

/// A connection that got less at its last read gives the memory back while it waits.
const BUSY_BYTES_MIN: usize = 4 << 10;

/// A socket that is read ahead.
pub(super) struct ReadAhead {
    tcp: TcpStream,
    ahead: Vec<u8>,
    /// How many bytes of `ahead` were taken.
    taken: usize,
    is_busy: bool,
    /// Whether what was taken is kept, for somebody who starts over.
    is_keeping: bool,
}

impl ReadAhead {
    /// `ahead` was read from the socket before.
    pub(super) const fn new(tcp: TcpStream, ahead: Vec<u8>) -> Self {
        Self {
            tcp,
            ahead,
            taken: 0,
            is_busy: false,
            is_keeping: false,
        }
    }

    /// The same, and what it reads can be had again until [`Self::forget`].
    pub(super) const fn keeping(tcp: TcpStream) -> Self {
        let mut ahead = Self::new(tcp, Vec::new());
        ahead.is_keeping = true;
        ahead
    }

    pub(super) const fn forget(&mut self) {
        self.is_keeping = false;
    }

    /// The socket, and all that was read from it.
    pub(super) fn into_kept(self) -> (TcpStream, Vec<u8>) {
        (self.tcp, self.ahead)
    }

    /// Waits for bytes, all of those before being taken. There are none at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_keeping {
            self.taken = 0;
            self.ahead.clear();
        } else if self.ahead.len() >= AHEAD_BYTES_MAX {
            let reason = "more bytes than a client's hello can have";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        self.ahead.reserve_exact(AHEAD_BYTES_MAX - self.ahead.len());
        let read = pin!(self.tcp.read_buf(&mut self.ahead)).poll(cx);
        if read.is_pending() && !self.is_busy && self.ahead.is_empty() {
            self.ahead = Vec::new();
        }
        self.is_busy = ready!(read)? >= BUSY_BYTES_MIN;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for ReadAhead {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken == self.ahead.len() {
            ready!(self.poll_fill(cx))?;
        }
        let waiting = &self.ahead[self.taken..];
        let length = waiting.len().min(buffer.remaining());
        buffer.put_slice(&waiting[..length]);
        self.taken += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ReadAhead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }
}
