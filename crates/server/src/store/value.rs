//! What goes into and comes out of a database.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use countersign_core::account::Username;
use countersign_core::client::ClientId;
use countersign_core::id::{
    AccountId, AuditId, DeviceId, GrantId, NodeId, NoticeId, PasskeyId, ServerId, TokenId,
};
use countersign_core::node::NodeKind;
use countersign_core::scope::Scopes;
use countersign_core::secret::Digest;
use countersign_core::time::Timestamp;

use super::{Result, StoreError};

/// One argument or one column. It may be anything, so `Debug` tells only how long it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Int(n) => write!(f, "Int({n})"),
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
        }
    }
}

macro_rules! into_value {
    ($($type:ty, $this:ident => $value:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($this: $type) -> Self { $value }
        }
    )*};
}

into_value! {
    i64, n => Self::Int(n);
    u32, n => Self::Int(i64::from(n));
    String, text => Self::Text(text);
    &str, text => Self::Text(text.to_owned());
    &String, text => Self::Text(text.clone());
    Vec<u8>, bytes => Self::Bytes(bytes);
    &[u8], bytes => Self::Bytes(bytes.to_vec());
    &Digest, digest => Self::Bytes(digest.as_bytes().to_vec());
    Digest, digest => Self::from(&digest);
    Timestamp, at => Self::Int(at.micros());
    Duration, span => Self::Int(i64::try_from(span.as_micros()).unwrap_or(i64::MAX));
    &Scopes, scopes => Self::Text(scopes.to_string());
    &ClientId, id => Self::from(id.as_str());
    ClientId, id => Self::from(id.as_str());
    &Username, name => Self::from(name.as_str());
    AccountId, id => Self::Bytes(id.as_bytes().to_vec());
    GrantId, id => Self::Bytes(id.as_bytes().to_vec());
    DeviceId, id => Self::Bytes(id.as_bytes().to_vec());
    TokenId, id => Self::Bytes(id.as_bytes().to_vec());
    NodeId, id => Self::Bytes(id.as_bytes().to_vec());
    ServerId, id => Self::Bytes(id.as_bytes().to_vec());
    NoticeId, id => Self::Bytes(id.as_bytes().to_vec());
    PasskeyId, id => Self::Bytes(id.as_bytes().to_vec());
    AuditId, id => Self::Bytes(id.as_bytes().to_vec());
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The columns of one row, taken from left to right.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub fn new(columns: Vec<Value>) -> Self {
        Self(columns.into_iter())
    }

    /// The next column.
    pub fn take<T: FromValue>(&mut self) -> Result<T> {
        match self.0.next() {
            Some(value) => T::from_value(value),
            None => Err(StoreError::Corrupt("a column is missing".to_owned())),
        }
    }
}

/// How a column becomes a value of the domain.
pub trait FromValue: Sized {
    fn from_value(value: Value) -> Result<Self>;
}

fn unexpected<T>(wanted: &str, found: &Value) -> Result<T> {
    let found = match found {
        Value::Null => "nothing",
        Value::Int(_) => "a number",
        Value::Text(_) => "text",
        Value::Bytes(_) => "bytes",
    };
    Err(StoreError::Corrupt(format!("expected {wanted}, found {found}")))
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(None),
            some => T::from_value(some).map(Some),
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Int(n) => Ok(n),
            other => unexpected("a number", &other),
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: Value) -> Result<Self> {
        i64::from_value(value)?
            .try_into()
            .map_err(|_| StoreError::Corrupt("a number is out of range".to_owned()))
    }
}

impl FromValue for String {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Text(text) => Ok(text),
            other => unexpected("text", &other),
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes),
            other => unexpected("bytes", &other),
        }
    }
}

impl FromValue for Timestamp {
    fn from_value(value: Value) -> Result<Self> {
        i64::from_value(value).map(Self::from_micros)
    }
}

impl FromValue for Duration {
    fn from_value(value: Value) -> Result<Self> {
        let micros = u64::try_from(i64::from_value(value)?);
        micros.map(Self::from_micros).map_err(|_| StoreError::Corrupt("a duration is negative".to_owned()))
    }
}

fn array<const N: usize>(value: Value) -> Result<[u8; N]> {
    let bytes = Vec::<u8>::from_value(value)?;
    bytes.try_into().map_err(|_| StoreError::Corrupt(format!("expected {N} bytes")))
}

macro_rules! from_bytes {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self> {
                array(value).map(Self::from_bytes)
            }
        }
    )*};
}

from_bytes!(AccountId, AuditId, DeviceId, GrantId, NodeId, NoticeId, PasskeyId, TokenId, Digest);

/// Text that the domain can parse.
pub fn parsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T> {
    text.parse().map_err(|error: T::Err| StoreError::Corrupt(error.to_string()))
}

macro_rules! from_text {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self> {
                parsed(&String::from_value(value)?)
            }
        }
    )*};
}

from_text!(ClientId, NodeKind, Scopes, Username);
