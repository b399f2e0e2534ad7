//! Sessions of a device: a bounded number of calls at a time, each for a bounded time.
//!
//! It does not retry: what the device could not do once, the caller may ask again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use zeroize::Zeroizing;

use super::SdfOptions;
use super::abi::{Functions, Handle};
use super::advice::is_passing;
use crate::Error;

/// An open device with its sessions.
pub(super) struct Sessions {
    functions: Functions,
    device: Handle,
    index: u32,
    pin: Zeroizing<Vec<u8>>,
    /// Open sessions with the access right that no call has now.
    idle: Mutex<Vec<Handle>>,
    /// That the PIN was refused, so that it is not shown a second time. Locked while it is shown,
    /// so that not all who come first show a wrong one.
    refused: Mutex<Option<Error>>,
}

impl Sessions {
    /// Loads the library and opens the device. Blocks.
    pub(super) fn open(options: &SdfOptions, pin: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let functions = Functions::load(&options.library, options.decrypt_call)?;
        let device = functions.open_device()?;
        Ok(Self {
            functions,
            device,
            index: options.key_index,
            pin,
            idle: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Works with a session that nobody else has meanwhile. Blocks.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&Functions, Handle, u32) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = self.idle().pop();
        let session = idle.map_or_else(|| self.new_session(), Ok)?;
        let outcome = work(&self.functions, session, self.index);
        if matches!(outcome, Ok(_) | Err(Error::Rejected)) {
            self.idle().push(session);
        } else {
            // A device that was restarted knows none of the others either.
            let others = std::mem::take(&mut *self.idle());
            for session in others.into_iter().chain([session]) {
                self.functions.close_session(session);
            }
        }
        outcome
    }

    fn new_session(&self) -> Result<Handle, Error> {
        let mut refused = lock(&self.refused);
        if let Some(refused) = &*refused {
            return Err(refused.clone());
        }
        let session = self.functions.open_session(self.device)?;
        let shown = self.functions.access_right(session, self.index, &self.pin);
        if let Err(error) = shown {
            self.functions.close_session(session);
            if !is_passing(&error) {
                *refused = Some(error.clone());
            }
            return Err(error);
        }
        Ok(session)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Handle>> {
        lock(&self.idle)
    }
}

/// Nothing here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Sessions {
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle());
        for session in idle {
            self.functions.close_session(session);
        }
        self.functions.close_device(self.device);
    }
}

/// Who may call now, and for how long.
#[derive(Clone)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    call_ms_max: u64,
}

impl Turns {
    pub(super) fn new(options: &SdfOptions) -> Self {
        Self {
            places: Arc::new(Semaphore::new(options.sessions_max)),
            call_ms_max: options.call_ms_max,
        }
    }

    /// Runs `work`, which blocks, on a thread of its own, and waits for it no longer than allowed.
    /// `function` is the one that most of the time is expected to be spent in.
    pub(super) async fn take<T: Send + 'static>(
        &self,
        function: &'static str,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let late = || Error::DeviceTimeout {
            function,
            limit_ms: self.call_ms_max,
        };
        let answer = async {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(|_| late())?;
            let (sender, receiver) = oneshot::channel();
            // Not one of the runtime's threads, for which it would wait at its end.
            let thread = std::thread::Builder::new().name("sdf".to_owned());
            let started = thread.spawn(move || {
                let outcome = work();
                drop(place);
                // Nobody waits any longer when it was late.
                let _late = sender.send(outcome);
            });
            started.map_err(|_| Error::InvalidArgument {
                what: "device call",
                reason: "the system has no thread left for it",
            })?;
            receiver.await.map_err(|_| late())?
        };
        let limit = Duration::from_millis(self.call_ms_max);
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or_else(|_| Err(late()))
    }
}
