//! Messages and errors as JSON.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use tallykeeper::{Code, Error, ErrorKind, v1};

/// The messages of the contract, and those of google.rpc, which are details of errors.
static MESSAGES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb")).as_slice())
        .expect("the descriptors can be decoded");
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .expect("the descriptors of google.rpc can be decoded");
    pool
});

fn descriptor(name: &str) -> MessageDescriptor {
    MESSAGES
        .get_message_by_name(name)
        .expect("the contract has the message")
}

/// Reads a message from protobuf JSON.
pub fn from_json<M: prost::Message + Default>(name: &str, value: Value) -> Result<M, Value> {
    DynamicMessage::deserialize(descriptor(name), value)
        .map_err(|error| error.to_string())
        .and_then(|message| message.transcode_to().map_err(|error| error.to_string()))
        .map_err(|error| invalid(format!("the {name} cannot be read: {error}")))
}

/// Writes a message as protobuf JSON, without fields that have their default value.
pub fn to_json<M: prost::Message>(name: &str, message: &M) -> Result<Value, Value> {
    let mut dynamic = DynamicMessage::new(descriptor(name));
    dynamic
        .transcode_from(message)
        .map_err(|error| error.to_string())
        .and_then(|()| serde_json::to_value(&dynamic).map_err(|error| error.to_string()))
        .map_err(|error| invalid(format!("the {name} cannot be written: {error}")))
}

/// Returns the reply to a message that the runner does not understand.
pub fn invalid(message: String) -> Value {
    json!({"code": "INVALID_RUNNER_MESSAGE", "message": message})
}

/// Writes an error of the SDK.
pub fn of_error(error: &Error) -> Value {
    let kind = format!("{:?}", error.kind());
    let mut value = json!({
        "code": name_of(error.code()),
        "reason": error.reason().unwrap_or_default(),
        "message": error.message(),
        "values": error.values(),
        "type": kind.split([' ', '{', '(']).next().unwrap_or_default(),
    });
    match error.kind() {
        ErrorKind::InsufficientStock { shortages, .. } => {
            value["shortages"] = shortages.iter().map(of_short_line).collect();
        }
        ErrorKind::CommitExceedsReserved { shortages, .. } => {
            value["shortages"] = shortages.iter().map(of_excess_line).collect();
        }
        ErrorKind::InvalidField { violations } => {
            value["field_violations"] = violations
                .iter()
                .map(|violation| json!({"field": violation.field, "description": violation.description}))
                .collect();
        }
        _ => {}
    }
    if let Some(retry_after) = error.retry_after() {
        value["retry_after_ms"] = json!(u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX));
    }
    value
}

/// Writes a line that asks for more copies than there are.
fn of_short_line(line: &v1::Shortage) -> Value {
    json!({
        "item": line.item,
        "location": line.location,
        "requested": line.requested.to_string(),
        "available": line.available.to_string(),
        "backorder_limit": line.backorder_limit.to_string(),
    })
}

/// Writes a line that asks for more copies than its reservation holds.
fn of_excess_line(line: &v1::Shortage) -> Value {
    json!({
        "item": line.item,
        "location": line.location,
        "requested": line.requested.to_string(),
        "reserved": line.reserved.to_string(),
    })
}

/// Returns the name of a code in the contract, as in `NOT_FOUND`.
fn name_of(code: Code) -> String {
    let mut name = String::new();
    for character in format!("{code:?}").chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(character.to_uppercase());
    }
    name
}
