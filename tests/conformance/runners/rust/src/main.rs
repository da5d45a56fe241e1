//! The runner of the conformance cases for the Rust SDK: see `tests/conformance/README.md` for the protocol.

mod json;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tallykeeper::{BuildError, Client, Unary, Watch, v1};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{Notify, oneshot};

use crate::json::{from_json, invalid, of_error, to_json};

/// A reply, without the id of its message.
type Reply = Result<Value, Value>;

/// A watch that runs: `stop` ends it, and `ended` says when it has ended.
struct RunningWatch {
    stop: Arc<Notify>,
    ended: oneshot::Receiver<()>,
}

#[derive(Default)]
struct Runner {
    clients: HashMap<String, Client>,
    watches: HashMap<i64, RunningWatch>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let runner = Mutex::new(Runner::default());
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line) {
            Ok(Value::Object(message)) => runner.lock().expect("no task panics").handle(&message),
            _ => say(&json!({"error": invalid(format!("{line} is no JSON object"))})),
        }
    }
    Ok(())
}

impl Runner {
    /// Does what a message asks for, or starts a task that does: no message waits for another one's reply.
    fn handle(&mut self, message: &Map<String, Value>) {
        let id = message.get("id").cloned().unwrap_or_default();
        if let Err(error) = self.start(message, &id) {
            reply(&id, Err(error));
        }
    }

    fn start(&mut self, message: &Map<String, Value>, id: &Value) -> Result<(), Value> {
        match text(message, "do")? {
            "connect" => self.connect(message, id),
            "call" => {
                let method = text(message, "method")?.to_owned();
                let request = message.get("request").cloned().unwrap_or_else(|| json!({}));
                self.spawn_call(message, id, method, request)
            }
            "batch" => {
                let operations = message.get("operations").cloned().unwrap_or_else(|| json!([]));
                let request = json!({"mode": text(message, "mode")?, "operations": operations});
                self.spawn_batch(message, id, request)
            }
            "watch" => self.watch(message, id),
            "stop" => self.stop(message, id),
            "request_id" => {
                known(message, &[])?;
                reply(id, Ok(json!({"request_id": tallykeeper::new_request_id()})));
                Ok(())
            }
            "close" => {
                known(message, &["client"])?;
                self.client(message)?.close();
                self.clients.remove(text(message, "client")?);
                reply(id, Ok(json!({})));
                Ok(())
            }
            unknown => Err(invalid(format!("the runner cannot do {unknown:?}"))),
        }
    }

    fn connect(&mut self, message: &Map<String, Value>, id: &Value) -> Result<(), Value> {
        let options = "client address namespace token ca_file cert_file key_file timeout_ms retry";
        known(message, &options.split(' ').collect::<Vec<_>>())?;
        let name = text(message, "client")?.to_owned();
        match build(message)? {
            Ok(client) => {
                self.clients.insert(name, client);
                reply(id, Ok(json!({})));
            }
            Err(error) => {
                let error = json!({"code": "INVALID_ARGUMENT", "reason": "", "values": {},
                    "message": error.to_string(), "type": "BuildError"});
                reply(id, Err(error));
            }
        }
        Ok(())
    }

    fn spawn_call(
        &self,
        message: &Map<String, Value>,
        id: &Value,
        method: String,
        request: Value,
    ) -> Result<(), Value> {
        known(message, &["client", "method", "request", "timeout_ms"])?;
        let (client, id, timeout) = (self.client(message)?.clone(), id.clone(), timeout(message)?);
        tokio::spawn(async move { reply(&id, call(&client, &method, request, timeout).await) });
        Ok(())
    }

    fn spawn_batch(&self, message: &Map<String, Value>, id: &Value, request: Value) -> Result<(), Value> {
        known(message, &["client", "operations", "mode"])?;
        let request: v1::ApplyRequest = from_json("tallykeeper.v1.ApplyRequest", request)?;
        let (client, id) = (self.client(message)?.clone(), id.clone());
        tokio::spawn(async move {
            let response = client.batch(request.mode()).add_all(request.operations).await;
            reply(&id, response_or_error("tallykeeper.v1.ApplyResponse", response));
        });
        Ok(())
    }

    fn watch(&mut self, message: &Map<String, Value>, id: &Value) -> Result<(), Value> {
        known(message, &["client", "request"])?;
        let request = message.get("request").cloned().unwrap_or_else(|| json!({}));
        let watch = self
            .client(message)?
            .watch(from_json("tallykeeper.v1.WatchRequest", request)?);
        let (stop, (has_ended, ended)) = (Arc::new(Notify::new()), oneshot::channel());
        let number = id.as_i64().ok_or_else(|| invalid("a watch needs an id".to_owned()))?;
        self.watches.insert(
            number,
            RunningWatch {
                stop: stop.clone(),
                ended,
            },
        );
        let id = id.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.notified() => say(&json!({"id": id, "end": {}})),
                () = follow(watch, &id) => {}
            }
            let _ = has_ended.send(());
        });
        Ok(())
    }

    fn stop(&mut self, message: &Map<String, Value>, id: &Value) -> Result<(), Value> {
        known(message, &["watch"])?;
        let number = message.get("watch").and_then(Value::as_i64);
        let running = number
            .and_then(|number| self.watches.remove(&number))
            .ok_or_else(|| invalid("there is no such watch".to_owned()))?;
        let id = id.clone();
        tokio::spawn(async move {
            running.stop.notify_one();
            let _ = running.ended.await;
            reply(&id, Ok(json!({})));
        });
        Ok(())
    }

    fn client(&self, message: &Map<String, Value>) -> Result<&Client, Value> {
        let name = text(message, "client")?;
        self.clients
            .get(name)
            .ok_or_else(|| invalid(format!("there is no client {name:?}")))
    }
}

/// Makes a client with the options of a message.
fn build(message: &Map<String, Value>) -> Result<Result<Client, BuildError>, Value> {
    let mut builder = Client::builder(text(message, "address")?);
    if let Some(namespace) = optional_text(message, "namespace")? {
        builder = builder.namespace(namespace);
    }
    if let Some(token) = optional_text(message, "token")? {
        builder = builder.token(token);
    }
    if let Some(path) = optional_text(message, "ca_file")? {
        builder = builder.ca_file(path);
    }
    if let Some(path) = optional_text(message, "cert_file")? {
        builder = builder.certificate_files(path, text(message, "key_file")?);
    }
    if let Some(timeout) = timeout(message)? {
        builder = builder.timeout(timeout);
    }
    if let Some(retry) = message.get("retry") {
        let retry = retry
            .as_bool()
            .ok_or_else(|| invalid("retry is true or false".to_owned()))?;
        builder = builder.retries(retry);
    }
    Ok(builder.connect_lazy())
}

async fn call(client: &Client, method: &str, request: Value, timeout: Option<Duration>) -> Reply {
    include!(concat!(env!("OUT_DIR"), "/methods.rs"))
}

async fn unary<R: Unary>(
    client: &Client,
    request: Value,
    timeout: Option<Duration>,
    request_name: &str,
    response_name: &str,
) -> Reply {
    let mut call = client.call(from_json::<R>(request_name, request)?);
    if let Some(timeout) = timeout {
        call = call.timeout(timeout);
    }
    response_or_error(response_name, call.await)
}

fn response_or_error<M: prost::Message>(name: &str, response: Result<M, tallykeeper::Error>) -> Reply {
    match response {
        Ok(response) => to_json(name, &response),
        Err(error) => Err(of_error(&error)),
    }
}

/// Prints the events of a watch until it ends.
async fn follow(mut watch: Watch, id: &Value) {
    while let Some(response) = watch.next().await {
        match response_or_error("tallykeeper.v1.WatchResponse", response) {
            Ok(event) => say(&json!({"id": id, "event": event})),
            Err(error) => return reply(id, Err(error)),
        }
    }
    say(&json!({"id": id, "end": {}}));
}

fn reply(id: &Value, reply: Reply) {
    say(&match reply {
        Ok(ok) => json!({"id": id, "ok": ok}),
        Err(error) => json!({"id": id, "error": error}),
    });
}

/// Prints a line. The harness is gone if it cannot be written, and the runner ends then.
fn say(line: &Value) {
    let mut stdout = std::io::stdout().lock();
    if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Refuses a message with a member that is not among those known.
fn known(message: &Map<String, Value>, members: &[&str]) -> Result<(), Value> {
    match message
        .keys()
        .find(|name| !["id", "do"].contains(&name.as_str()) && !members.contains(&name.as_str()))
    {
        Some(unknown) => Err(invalid(format!("the runner does not know the member {unknown:?}"))),
        None => Ok(()),
    }
}

fn text<'a>(message: &'a Map<String, Value>, name: &str) -> Result<&'a str, Value> {
    optional_text(message, name)?.ok_or_else(|| invalid(format!("the message has no {name}")))
}

fn optional_text<'a>(message: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Value> {
    match message.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(format!("{name} is a text, and not {other}"))),
    }
}

fn timeout(message: &Map<String, Value>) -> Result<Option<Duration>, Value> {
    match message.get("timeout_ms") {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(timeout_ms) => Ok(Some(Duration::from_millis(timeout_ms))),
            None => Err(invalid(format!(
                "timeout_ms is a number of milliseconds, and not {value}"
            ))),
        },
    }
}
