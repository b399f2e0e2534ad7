//! The keys of a device as a [`Signer`] and an [`Unwrapper`].
//!
//! It does not hold a private key, and it shows neither the PIN nor anything unwrapped.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::abi::{DECRYPT, ENCRYPT_PUBLIC, Functions, Handle, SIGN, SIGN_PUBLIC, lied};
use super::session::{Sessions, Turns};
use super::{PIN_BYTES_MAX, RANDOM_BYTES_MAX, SdfOptions};
use crate::envelope::SignedAttributes;
use crate::keys::{Signer, Unwrapper};
use crate::{Digest, Error, Label, PublicKey, Signature};

/// An open device. Clones share it; it is closed with the last of them and of its keys.
#[derive(Clone)]
pub struct SdfDevice {
    /// There until the drop.
    sessions: Option<Arc<Sessions>>,
    turns: Turns,
    options: Arc<SdfOptions>,
}

impl SdfDevice {
    /// Loads the library and opens the device. Needs a Tokio runtime with time.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the library or the PIN file is not there, [`Error::DeviceLibrary`] or
    /// [`Error::DeviceFunction`] when it is not such a library, [`Error::InvalidArgument`] for
    /// options or a PIN without meaning, [`Error::Device`] and [`Error::DeviceTimeout`].
    pub async fn open(options: SdfOptions) -> Result<Self, Error> {
        options.check()?;
        let pin = read_pin(&options.pin_file)?;
        let (turns, options) = (Turns::new(&options), Arc::new(options));
        let opening = {
            let options = Arc::clone(&options);
            move || Sessions::open(&options, pin)
        };
        let sessions = turns.take("SDF_OpenDevice", opening).await?;
        Ok(Self {
            sessions: Some(Arc::new(sessions)),
            turns,
            options,
        })
    }

    /// The pair for signatures under the index, after it has signed something once.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] when there is no such key or the PIN is wrong, [`Error::DeviceAnswer`]
    /// when the device gives a signature that is none, [`Error::DeviceTimeout`].
    pub async fn signer(&self) -> Result<SdfSigner, Error> {
        let public = self.call(SIGN_PUBLIC, Functions::sign_public).await?;
        let signer = SdfSigner {
            device: self.clone(),
            public,
        };
        signer.sign(Label::Challenge, PROOF).await?;
        Ok(signer)
    }

    /// The pair for encryption under the index, after it has opened something once.
    ///
    /// # Errors
    ///
    /// As [`Self::signer`].
    pub async fn unwrapper(&self) -> Result<SdfUnwrapper, Error> {
        let public = self.call(ENCRYPT_PUBLIC, Functions::encrypt_public).await?;
        let unwrapper = SdfUnwrapper {
            device: self.clone(),
            public,
        };
        let secret: [u8; 32] = crate::random_bytes()?;
        let wrapped = unwrapper.public.wrap(&secret)?;
        match unwrapper.unwrap_key(&wrapped).await {
            Ok(found) if **found == secret => Ok(unwrapper),
            Ok(_) | Err(Error::Rejected) => {
                Err(lied(DECRYPT, "it does not open what was wrapped to it"))
            }
            Err(error) => Err(error),
        }
    }

    /// Random bytes of the device, at most [`RANDOM_BYTES_MAX`], for mixing with the system's.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`], [`Error::Device`], [`Error::DeviceTimeout`], and
    /// [`Error::DeviceAnswer`] when 16 bytes or more are all the same.
    pub async fn random(&self, count: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
        if count > RANDOM_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "random bytes of a device",
                limit: crate::encoding::length(RANDOM_BYTES_MAX),
                found: crate::encoding::length(count),
            });
        }
        let function = "SDF_GenerateRandom";
        let drawing = move |functions: &Functions, session, _index| {
            let mut bytes = Zeroizing::new(vec![0; count]);
            functions.random(session, &mut bytes).map(|()| bytes)
        };
        let bytes = self.call(function, drawing).await?;
        let stuck = bytes.len() >= 16 && bytes.iter().all(|byte| *byte == bytes[0]);
        if stuck {
            return Err(lied(function, "its random bytes are all the same"));
        }
        Ok(bytes)
    }

    async fn call<T: Send + 'static>(
        &self,
        function: &'static str,
        work: impl FnOnce(&Functions, Handle, u32) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let sessions = self.sessions.clone();
        let call = move || match sessions {
            Some(sessions) => sessions.with(work),
            None => Err(Error::Rejected),
        };
        self.turns.take(function, call).await
    }

    async fn sign(&self, public: &PublicKey, digest: Digest) -> Result<Signature, Error> {
        let signing =
            move |functions: &Functions, session, index| functions.sign(session, index, &digest);
        let signature = self.call(SIGN, signing).await?;
        // A device that errs while it signs can give its key away with one signature.
        public
            .verify_digest(&digest, &signature)
            .map_err(|_| lied(SIGN, "its signature is not one of its key over the digest"))?;
        Ok(signature)
    }
}

impl Drop for SdfDevice {
    /// Closing may block, which must not happen to whoever drops the last clone.
    fn drop(&mut self) {
        if let Some(last) = self.sessions.take().and_then(Arc::into_inner) {
            let thread = std::thread::Builder::new().name("sdf".to_owned());
            // Without a thread it is closed here after all.
            let _closed = thread.spawn(move || drop(last));
        }
    }
}

impl fmt::Debug for SdfDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SdfDevice").field(&self.options).finish()
    }
}

/// A pair for signatures on a device.
#[derive(Clone, Debug)]
pub struct SdfSigner {
    device: SdfDevice,
    public: PublicKey,
}

#[async_trait]
impl Signer for SdfSigner {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    async fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, Error> {
        let digest = self.public.message_digest(&[label.prefix(), message]);
        self.device.sign(&self.public, digest).await
    }

    async fn sign_attributes(&self, attributes: &SignedAttributes) -> Result<Signature, Error> {
        let digest = self.public.message_digest(&[attributes.as_der()]);
        self.device.sign(&self.public, digest).await
    }
}

/// A pair for encryption on a device.
#[derive(Clone, Debug)]
pub struct SdfUnwrapper {
    device: SdfDevice,
    public: PublicKey,
}

#[async_trait]
impl Unwrapper for SdfUnwrapper {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    async fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        if wrapped.len() > crate::sm2::WRAPPED_BYTES_MAX {
            return Err(Error::Rejected);
        }
        let wrapped = wrapped.to_vec();
        let decrypting = move |functions: &Functions, session, index| {
            functions.decrypt(session, index, &wrapped)
        };
        self.device.call(DECRYPT, decrypting).await
    }
}

fn read_pin(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source: std::io::Error| Error::file("read PIN file", path, &source);
    // Room for all that is read, so that no copy is left behind.
    let limit = PIN_BYTES_MAX + 2;
    let mut pin = Zeroizing::new(Vec::with_capacity(limit));
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(crate::encoding::length(limit))
        .read_to_end(&mut pin)
        .map_err(failed)?;
    if pin.last() == Some(&b'\n') {
        pin.pop();
    }
    if (1..=PIN_BYTES_MAX).contains(&pin.len()) {
        Ok(pin)
    } else {
        Err(Error::InvalidArgument {
            what: "PIN file",
            reason: "it must have 1 to 64 bytes",
        })
    }
}

/// What a key on a device signs to prove itself.
const PROOF: &[u8] = b"the key under this index signs";
