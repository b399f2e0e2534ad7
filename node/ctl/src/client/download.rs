//! Answers that are files: streamed, however large.
//!
//! It does not look into them; whoever asked verifies what arrived.

use std::io::Write;

use ureq::http::Request;

use super::{Client, not_answered, read};
use crate::Error;

impl Client<'_> {
    /// Writes what stands at `path`, below `/api/v1`, to `out`.
    pub(crate) fn download(&mut self, path: &str, out: &mut impl Write) -> Result<(), Error> {
        // Also finds out whether the session still holds.
        self.get("/sessions")?;
        let server = self.server.clone();
        let request = Request::builder()
            .method("GET")
            .uri(format!("{server}/api/v1{path}"))
            .header("authorization", format!("Bearer {}", self.token()))
            .body(())
            .map_err(|e| Error::input(path, e))?;
        let answer = self
            .patient
            .run(request)
            .map_err(|e| not_answered(&server, e))?;
        if !answer.status().is_success() {
            return read(&server, answer).map(|_| ());
        }
        let mut body = answer.into_body().into_reader();
        std::io::copy(&mut body, out).map_err(|e| not_answered(&server, ureq::Error::Io(e)))?;
        Ok(())
    }
}
