//! DER (ITU-T X.690) as far as the messages need it: fields that are read in order, and frames.
//!
//! It does not know what the fields mean. Lengths are checked by the crate `der`: definite,
//! shortest, within the bytes that there are.

use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, TagNumber};

use crate::Error;

/// The fields of one structure, read from first to last.
pub(super) struct Fields<'a> {
    reader: SliceReader<'a>,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields in these bytes; `what` is named in errors.
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Result<Self, Error> {
        let reader = SliceReader::new(bytes).map_err(|_| Error::InvalidEncoding {
            what,
            reason: "it is too long",
        })?;
        Ok(Self { reader, what })
    }

    /// What a ContentInfo of type `content_type` holds: the fields of one SEQUENCE.
    pub(super) fn of_content_info(
        bytes: &'a [u8],
        content_type: ObjectIdentifier,
        what: &'static str,
    ) -> Result<Self, Error> {
        if bytes.len() > super::ENVELOPE_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "envelope bytes",
                limit: crate::encoding::length(super::ENVELOPE_BYTES_MAX),
                found: crate::encoding::length(bytes.len()),
            });
        }
        let mut outer = Self::new(bytes, what)?;
        let mut info = outer.sequence()?;
        outer.end()?;
        if info.object_identifier()? != content_type {
            return Err(info.invalid("its content type is another"));
        }
        let mut explicit = info.inside(context(0, true))?;
        info.end()?;
        let content = explicit.sequence()?;
        explicit.end()?;
        Ok(content)
    }

    /// The next field, whatever it is.
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>, Error> {
        AnyRef::decode(&mut self.reader).map_err(|_| self.invalid("it is not DER or is truncated"))
    }

    /// The content of the next field, which has this tag.
    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        let field = self.any()?;
        if field.header().tag() == tag {
            Ok(field.value())
        } else {
            Err(self.invalid("a field is missing or of another type"))
        }
    }

    /// The next field with its frame, if it has this tag.
    pub(super) fn optional(&mut self, tag: Tag) -> Result<Option<AnyRef<'a>>, Error> {
        let mut ahead = self.reader.clone();
        match AnyRef::decode(&mut ahead) {
            Ok(field) if field.header().tag() == tag => {
                self.reader = ahead;
                Ok(Some(field))
            }
            _ => Ok(None),
        }
    }

    /// The fields inside the next field, which has this tag.
    pub(super) fn inside(&mut self, tag: Tag) -> Result<Self, Error> {
        let what = self.what;
        self.value(tag).and_then(|value| Fields::new(value, what))
    }

    /// The fields of the next field, which is a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Result<Self, Error> {
        self.inside(Tag::Sequence)
    }

    /// The next field, which is an OBJECT IDENTIFIER.
    pub(super) fn object_identifier(&mut self) -> Result<ObjectIdentifier, Error> {
        let value = self.value(Tag::ObjectIdentifier)?;
        ObjectIdentifier::from_bytes(value)
            .map_err(|_| self.invalid("an object identifier cannot be read"))
    }

    /// The next field, which is a version from 0 to 2.
    pub(super) fn version(&mut self) -> Result<(), Error> {
        match self.value(Tag::Integer)? {
            [0..=2] => Ok(()),
            _ => Err(self.invalid("its version is not 0, 1 or 2")),
        }
    }

    /// The next field, an AlgorithmIdentifier: the algorithm, and its parameters unless NULL.
    pub(super) fn algorithm(&mut self) -> Result<(ObjectIdentifier, Option<AnyRef<'a>>), Error> {
        let mut fields = self.sequence()?;
        let algorithm = fields.object_identifier()?;
        if fields.is_empty() {
            return Ok((algorithm, None));
        }
        let parameters = fields.any()?;
        fields.end()?;
        Ok((algorithm, Some(parameters).filter(|it| !it.is_null())))
    }

    /// The next field, an AlgorithmIdentifier of one of `known` without parameters.
    pub(super) fn plain_algorithm(&mut self, known: &[ObjectIdentifier]) -> Result<(), Error> {
        match self.algorithm()? {
            (algorithm, None) if known.contains(&algorithm) => Ok(()),
            _ => Err(self.invalid("it uses an algorithm that is not supported")),
        }
    }

    /// All fields that are left, at most `limit`, each with its frame.
    pub(super) fn rest(mut self, limit: usize, name: &'static str) -> Result<Vec<&'a [u8]>, Error> {
        let mut fields = Vec::new();
        while !self.is_empty() {
            if fields.len() == limit {
                return Err(Error::LimitExceeded {
                    what: name,
                    limit: crate::encoding::length(limit),
                    found: crate::encoding::length(limit + 1),
                });
            }
            let field = self.reader.tlv_bytes();
            fields.push(field.map_err(|_| self.invalid("it is not DER or is truncated"))?);
        }
        Ok(fields)
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.reader.is_finished()
    }

    /// Checks that nothing is left.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.invalid("bytes follow its end"))
        }
    }

    /// An error about what is read.
    pub(super) const fn invalid(&self, reason: &'static str) -> Error {
        Error::InvalidEncoding {
            what: self.what,
            reason,
        }
    }
}

/// The tag `[number]`.
pub(super) const fn context(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}

/// A field of this tag with these parts as its content.
pub(super) fn frame(tag: Tag, parts: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let content = parts.concat();
    AnyRef::new(tag, &content)
        .and_then(|field| field.to_der())
        .map_err(|_| too_long())
}

/// A SEQUENCE of these fields.
pub(super) fn sequence(fields: &[&[u8]]) -> Result<Vec<u8>, Error> {
    frame(Tag::Sequence, fields)
}

/// A SET OF of these elements, in the order that DER wants, with a tag of choice.
pub(super) fn set_of(tag: Tag, mut elements: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
    elements.sort();
    frame(tag, &[&elements.concat()])
}

/// A ContentInfo that holds `content`.
pub(super) fn content_info(
    content_type: ObjectIdentifier,
    content: &[u8],
) -> Result<Vec<u8>, Error> {
    let explicit = frame(context(0, true), &[content])?;
    sequence(&[&object_identifier(content_type)?, &explicit])
}

/// An AlgorithmIdentifier without parameters.
pub(super) fn algorithm(algorithm: ObjectIdentifier) -> Result<Vec<u8>, Error> {
    sequence(&[&object_identifier(algorithm)?])
}

/// An OBJECT IDENTIFIER.
pub(super) fn object_identifier(identifier: ObjectIdentifier) -> Result<Vec<u8>, Error> {
    identifier.to_der().map_err(|_| too_long())
}

/// The version that is written, 1.
pub(super) const VERSION: [u8; 3] = [0x02, 0x01, 0x01];

/// The only way in which writing can fail: `der` writes no more than 256 MiB.
const fn too_long() -> Error {
    Error::InvalidEncoding {
        what: "envelope",
        reason: "it is too long to be written",
    }
}
