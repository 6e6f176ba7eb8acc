//! JSON-RPC 2.0: what a frame asks, and what it is answered.

use std::time::Duration;

use countersign_core::time::ceil_secs;
use serde_json::{Map, Value, json};

use crate::app::Fault;

/// One call of a frame.
#[derive(Debug)]
pub struct Call {
    pub method: String,
    pub params: Map<String, Value>,
    /// None: a notification, which nobody answers.
    pub id: Option<Value>,
}

/// One item of a frame: a call, or what is answered to something that is none.
pub type Item = Result<Call, (Option<Value>, RpcError)>;

#[derive(Debug)]
pub enum RpcError {
    Parse,
    InvalidRequest,
    NotFound(String),
    Missing,
    Invalid(String),
    Unauthorized,
    RateLimited(Duration),
    /// The code is not known, or has had its time, or this is not who asked: the seed's words.
    Pairing(&'static str, Option<Value>),
    Version {
        client: String,
    },
    Fault(Fault),
}

impl<T: Into<Fault>> From<T> for RpcError {
    fn from(fault: T) -> Self {
        Self::Fault(fault.into())
    }
}

/// Calls of one batch: each is answered, so a frame must not ask for a hundred times its size.
const BATCH: std::ops::RangeInclusive<usize> = 1..=100;

/// What this server speaks.
pub const VERSION: (u32, u32) = (1, 0);

impl RpcError {
    pub fn json(&self) -> Value {
        let (code, message) = match self {
            Self::Parse => (-32700, "Parse error".to_owned()),
            Self::InvalidRequest => (-32600, "Invalid Request".to_owned()),
            Self::NotFound(method) => (-32601, format!("Method {method} not found")),
            Self::Missing => (-32602, "Missing parameters".to_owned()),
            Self::Invalid(why) => (-32602, why.clone()),
            Self::Unauthorized => (-32001, "Unauthorized".to_owned()),
            Self::RateLimited(_) => (-32002, "Too many requests".to_owned()),
            Self::Pairing(message, _) => (-32003, (*message).to_owned()),
            Self::Version { .. } => (-32010, "Protocol version mismatch".to_owned()),
            Self::Fault(fault) if fault.is_passing() => (-32603, "Not available for the moment".to_owned()),
            Self::Fault(_) => (-32603, "Internal error".to_owned()),
        };
        let data = match self {
            Self::RateLimited(wait) => Some(json!({ "retry_after": ceil_secs(*wait) })),
            Self::Pairing(_, data) => data.clone(),
            Self::Version { client } => Some(json!({
                "server_version": version(),
                "client_version": client,
                "hint": "send X-Aisopod-Protocol-Version with the server's major version and no newer minor one",
            })),
            _ => None,
        };
        let mut error = json!({ "code": code, "message": message });
        if let (Some(data), Some(error)) = (data, error.as_object_mut()) {
            error.insert("data".to_owned(), data);
        }
        error
    }
}

pub fn version() -> String {
    format!("{}.{}", VERSION.0, VERSION.1)
}

pub fn answered(id: &Value, outcome: Result<Value, RpcError>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => {
            if let RpcError::Fault(fault) = &error {
                tracing::error!(error = %fault, "a call failed");
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error.json() })
        }
    }
}

pub fn notification(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string()
}

/// The calls of one frame, and whether it was a batch.
pub fn parse(text: &str) -> Result<(Vec<Item>, bool), RpcError> {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(items)) if !BATCH.contains(&items.len()) => Err(RpcError::InvalidRequest),
        Ok(Value::Array(items)) => Ok((items.into_iter().map(call).collect(), true)),
        Ok(one) => Ok((vec![call(one)], false)),
        Err(_) => Err(RpcError::Parse),
    }
}

fn call(value: Value) -> Item {
    let no_call = Err((Some(Value::Null), RpcError::InvalidRequest));
    let Value::Object(mut fields) = value else { return no_call };
    let given = fields.remove("id");
    let id = match &given {
        None => None,
        Some(Value::Null | Value::String(_)) => given,
        // One that would come back as another number finds no caller.
        Some(Value::Number(number)) if comes_back(number) => given,
        Some(_) => return no_call,
    };
    let refused = |error| Err((Some(id.clone().unwrap_or(Value::Null)), error));
    let is_ours = fields.get("jsonrpc").and_then(Value::as_str) == Some("2.0");
    let Some(Value::String(method)) = fields.remove("method").filter(|_| is_ours) else {
        return refused(RpcError::InvalidRequest);
    };
    let params = match fields.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(Value::Array(items)) if items.is_empty() => Map::new(),
        Some(Value::Array(_)) => {
            return Err((id, RpcError::Invalid("Invalid parameters: they must be named".to_owned())));
        }
        Some(_) => return refused(RpcError::InvalidRequest),
    };
    Ok(Call { method, params, id })
}

fn comes_back(number: &serde_json::Number) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|number| number.abs() < EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_calls_batches_or_nothing() {
        let kinds = |text: &str| match parse(text) {
            Err(error) => vec![error.json()["code"].to_string()],
            Ok((items, _)) => items
                .into_iter()
                .map(|item| match item {
                    Ok(call) => format!("{} {:?}", call.method, call.id.map(|id| id.to_string())),
                    Err((id, error)) => format!("{} {}", error.json()["code"], id.unwrap_or_default()),
                })
                .collect(),
        };
        assert_eq!(kinds("{"), ["-32700"]);
        assert_eq!(kinds("[]"), ["-32600"]);
        assert_eq!(kinds(&format!("[{}1]", "1,".repeat(100))), ["-32600"]);
        assert_eq!(kinds(&format!("[{}1]", "1,".repeat(99))).len(), 100);
        assert_eq!(kinds("7"), ["-32600 null"]);
        assert_eq!(kinds(r#"{"method":"a","id":1}"#), ["-32600 1"]);
        assert_eq!(kinds(r#"{"jsonrpc":"2.0","id":{}}"#), ["-32600 null"]);
        assert_eq!(kinds(r#"{"jsonrpc":"2.0","method":"a","id":12345678901234567890123}"#), ["-32600 null"]);
        assert_eq!(kinds(r#"{"jsonrpc":"2.0","method":"a","params":7,"id":"x"}"#), ["-32600 \"x\""]);
        assert_eq!(kinds(r#"{"jsonrpc":"2.0","method":"a","params":[1],"id":2}"#), ["-32602 2"]);
        assert_eq!(
            kinds(r#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","method":"b","id":3},1]"#),
            ["a None", "b Some(\"3\")", "-32600 null"]
        );
    }
}
