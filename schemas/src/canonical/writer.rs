//! A serde serializer whose output is in RFC 8785 form from the start.
//!
//! It does not build a tree of values first: members are written in the order in which they come,
//! and an object that is out of order is put in order where it lies. That is three to five times
//! as fast as sorting a tree, and every command is written by each replica.

use serde::ser::{self, Serialize};

/// Integers up to 2^53 have one spelling everywhere; RFC 8785 appendix D warns about the rest.
const INTEGER_MAX: u64 = 1 << 53;

/// Records are flat; what nests deeper is refused before it can exhaust the stack.
const DEPTH_MAX: usize = 128;

/// Writes one value. `E` is `Error` below.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

/// Why a value has no canonical form.
#[derive(Debug)]
pub(super) struct Error(pub(super) String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

impl<'a> Writer<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, depth: 0 }
    }

    fn integer(self, value: impl Into<i128>) -> Result<(), Error> {
        let value: i128 = value.into();
        if value.unsigned_abs() > u128::from(INTEGER_MAX) {
            return Err(not_an_integer(value));
        }
        // As just checked, it has at most 54 bits.
        let value = i64::try_from(value).map_err(|_| not_an_integer(value))?;
        write_integer(value, self.out);
        Ok(())
    }

    fn deeper(self) -> Result<Self, Error> {
        if self.depth >= DEPTH_MAX {
            return Err(Error(format!("nested more than {DEPTH_MAX} levels deep")));
        }
        Ok(Self {
            out: self.out,
            depth: self.depth + 1,
        })
    }

    fn list(self) -> Result<List<'a>, Error> {
        let inner = self.deeper()?;
        inner.out.push(b'[');
        Ok(List {
            out: inner.out,
            depth: inner.depth,
            is_first: true,
            wraps: false,
        })
    }

    fn object(self) -> Result<Object<'a>, Error> {
        let inner = self.deeper()?;
        inner.out.push(b'{');
        Ok(Object {
            begin: inner.out.len(),
            out: inner.out,
            depth: inner.depth,
            members: Vec::new(),
            key: None,
            is_sorted: true,
            wraps: false,
        })
    }

    /// `{"variant":`, for a variant with content.
    fn open_variant(self, variant: &str) -> Result<Self, Error> {
        let inner = self.deeper()?;
        inner.out.push(b'{');
        write_string(variant, inner.out);
        inner.out.push(b':');
        Ok(inner)
    }
}

fn not_an_integer(value: impl std::fmt::Display) -> Error {
    Error(format!("{value} is not an integer between -2^53 and 2^53"))
}

fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        // A remainder of ten fits a byte.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 8785 section 3.2.2.2: the two-letter escapes where there are some, `\u00xx` in lower case
/// for the other control characters, everything else as it is.
pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x09 => b"\\t",
            0x0a => b"\\n",
            0x0c => b"\\f",
            0x0d => b"\\r",
            0x00..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        if escape.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(escape);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Object<'a>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.integer(value)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        let value = i128::try_from(value).map_err(|_| not_an_integer(value))?;
        self.integer(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        Err(not_an_integer(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        Err(not_an_integer(value))
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        write_string(value.encode_utf8(&mut [0; 4]), self.out);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        write_string(value, self.out);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.collect_seq(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Writer { out, depth } = self.open_variant(variant)?;
        value.serialize(Writer { out, depth })?;
        out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>, Error> {
        self.list()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List<'a>, Error> {
        let mut list = self.open_variant(variant)?.list()?;
        list.wraps = true;
        Ok(list)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Object<'a>, Error> {
        self.object()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object<'a>, Error> {
        self.object()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object<'a>, Error> {
        let mut object = self.open_variant(variant)?.object()?;
        object.wraps = true;
        Ok(object)
    }
}

/// An array that is being written.
pub(super) struct List<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    is_first: bool,
    /// A variant's object around it is closed with it.
    wraps: bool,
}

impl List<'_> {
    fn item<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        value.serialize(Writer {
            out: self.out,
            depth: self.depth,
        })
    }

    fn close(self) {
        self.out.push(b']');
        if self.wraps {
            self.out.push(b'}');
        }
    }
}

/// An object that is being written: members stand in `out` from `begin` on, with commas between.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
    begin: usize,
    /// Name and place of each member, without the comma.
    members: Vec<Member>,
    /// The name of the member whose value comes next.
    key: Option<String>,
    is_sorted: bool,
    wraps: bool,
}

struct Member {
    name: std::borrow::Cow<'static, str>,
    begin: usize,
    end: usize,
}

/// RFC 8785 section 3.2.3: by UTF-16 code units, which differs from UTF-8 order for characters
/// beyond the basic plane.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() {
        a.as_bytes().cmp(b.as_bytes())
    } else {
        a.encode_utf16().cmp(b.encode_utf16())
    }
}

impl Object<'_> {
    fn member<T: ?Sized + Serialize>(
        &mut self,
        name: std::borrow::Cow<'static, str>,
        value: &T,
    ) -> Result<(), Error> {
        if let Some(last) = self.members.last() {
            self.out.push(b',');
            self.is_sorted &= order(&last.name, &name).is_lt();
        }
        let begin = self.out.len();
        write_string(&name, self.out);
        self.out.push(b':');
        value.serialize(Writer {
            out: self.out,
            depth: self.depth,
        })?;
        let end = self.out.len();
        self.members.push(Member { name, begin, end });
        Ok(())
    }

    fn close(mut self) -> Result<(), Error> {
        if !self.is_sorted {
            self.members.sort_by(|a, b| order(&a.name, &b.name));
            if let Some(pair) = self
                .members
                .windows(2)
                .find(|pair| pair[0].name == pair[1].name)
            {
                return Err(Error(format!("member {:?} occurs twice", pair[0].name)));
            }
            let mut sorted = Vec::with_capacity(self.out.len() - self.begin);
            for (at, member) in self.members.iter().enumerate() {
                if at > 0 {
                    sorted.push(b',');
                }
                sorted.extend_from_slice(&self.out[member.begin..member.end]);
            }
            self.out.truncate(self.begin);
            self.out.extend_from_slice(&sorted);
        }
        self.out.push(b'}');
        if self.wraps {
            self.out.push(b'}');
        }
        Ok(())
    }
}

macro_rules! list {
    ($($of:ident $item:ident),*) => {$(
        impl ser::$of for List<'_> {
            type Ok = ();
            type Error = Error;

            fn $item<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close();
                Ok(())
            }
        }
    )*};
}

list!(
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field
);

macro_rules! object {
    ($($of:ident),*) => {$(
        impl ser::$of for Object<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: ?Sized + Serialize>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.member(name.into(), value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}

object!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(key.serialize(Name)?);
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        let name = self.key.take();
        let name = name.ok_or_else(|| Error("a value without its name".to_owned()))?;
        self.member(name.into(), value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}

/// The name of a map's member: text, or what has one obvious text.
struct Name;

impl Name {
    fn refuse<T>() -> Result<T, Error> {
        Err(Error("a member's name must be text".to_owned()))
    }
}

macro_rules! name_by_display {
    ($($of:ident $type:ty),*) => {$(
        fn $of(self, value: $type) -> Result<String, Error> {
            Ok(value.to_string())
        }
    )*};
}

macro_rules! no_name {
    ($($of:ident($($argument:ty),*) -> $result:ty),* $(,)?) => {$(
        fn $of(self, $(_: $argument),*) -> Result<$result, Error> {
            Self::refuse()
        }
    )*};
}

impl ser::Serializer for Name {
    type Ok = String;
    type Error = Error;
    type SerializeSeq = ser::Impossible<String, Error>;
    type SerializeTuple = ser::Impossible<String, Error>;
    type SerializeTupleStruct = ser::Impossible<String, Error>;
    type SerializeTupleVariant = ser::Impossible<String, Error>;
    type SerializeMap = ser::Impossible<String, Error>;
    type SerializeStruct = ser::Impossible<String, Error>;
    type SerializeStructVariant = ser::Impossible<String, Error>;

    name_by_display!(
        serialize_bool bool, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32,
        serialize_i64 i64, serialize_u8 u8, serialize_u16 u16, serialize_u32 u32,
        serialize_u64 u64, serialize_char char, serialize_str &str
    );

    no_name!(
        serialize_f32(f32) -> String,
        serialize_f64(f64) -> String,
        serialize_bytes(&[u8]) -> String,
        serialize_none() -> String,
        serialize_unit() -> String,
        serialize_unit_struct(&'static str) -> String,
        serialize_seq(Option<usize>) -> Self::SerializeSeq,
        serialize_tuple(usize) -> Self::SerializeTuple,
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct,
        serialize_tuple_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeTupleVariant,
        serialize_map(Option<usize>) -> Self::SerializeMap,
        serialize_struct(&'static str, usize) -> Self::SerializeStruct,
        serialize_struct_variant(&'static str, u32, &'static str, usize)
            -> Self::SerializeStructVariant,
    );

    fn serialize_some<T: ?Sized + Serialize>(self, _: &T) -> Result<String, Error> {
        Self::refuse()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, Error> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Error> {
        Self::refuse()
    }
}
