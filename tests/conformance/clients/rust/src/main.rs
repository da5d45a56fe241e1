//! The load of tonic: see `clients/__init__.py`.
//!
//! tonic has no service config and no retries: `answered` repeats a call as the retry policy of the other
//! programs says. It also repeats a call that has never left this process, as the other clients do without a policy.
//! tonic has no calls that wait for a connection either, so all callers retry.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Response, Status};

mod api {
    tonic::include_proto!("tallykeeper.v1");
}

use api::counter_service_client::CounterServiceClient;
use api::inventory_service_client::InventoryServiceClient;
use api::ledger_service_client::LedgerServiceClient;

const COUNTER: &str = "calls";
const ITEM: &str = "copies";
const ATTEMPTS_MAX: u32 = 5;
const BACKOFF_FIRST: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(4);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const WATCH_PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    increments: AtomicU64,
    copies: AtomicU64,
    retried: AtomicU64,
    revision: AtomicI64,
    watched_revision: AtomicI64,
    watched_entries: AtomicU64,
    resumed: AtomicU64,
    stopping: AtomicBool,
    stopped: AtomicBool,
    errors: Mutex<BTreeMap<(String, String), u64>>,
}

impl Tally {
    fn fail(&self, code: &str, message: &str) {
        let mut errors = self.errors.lock().unwrap();
        *errors.entry((code.to_owned(), message.to_owned())).or_default() += 1;
    }

    fn report(&self) -> serde_json::Value {
        let errors: Vec<_> = self
            .errors
            .lock()
            .unwrap()
            .iter()
            .map(|((code, message), count)| json!({"code": code, "message": message, "count": count}))
            .collect();
        json!({
            "calls": self.calls.load(SeqCst),
            "increments": self.increments.load(SeqCst),
            "copies": self.copies.load(SeqCst),
            "retried": self.retried.load(SeqCst),
            "watched_revision": self.watched_revision.load(SeqCst),
            "watched_entries": self.watched_entries.load(SeqCst),
            "resumed": self.resumed.load(SeqCst),
            "errors": errors,
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = options();
    let channel = channel(&options)?;
    let callers: u32 = options["callers"].parse()?;
    let namespace = options["namespace"].clone();
    let tally = Arc::new(Tally::default());
    let watcher = tokio::spawn(watch(channel.clone(), namespace.clone(), tally.clone()));
    let mut tasks = Vec::new();
    for caller in 0..2 * callers {
        tasks.push(tokio::spawn(call(
            channel.clone(),
            namespace.clone(),
            format!("{caller}"),
            tally.clone(),
        )));
    }
    println!("ready");
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    tally.stopping.store(true, SeqCst);
    for task in tasks {
        task.await?;
    }
    tally.stopped.store(true, SeqCst);
    if tokio::time::timeout(CALL_TIMEOUT, watcher).await.is_err() {
        tally.fail("WATCH", "the watch has not come to the last revision");
    }
    println!("{}", tally.report());
    std::process::exit(0) // a read of stdin would keep the runtime
}

fn options() -> BTreeMap<String, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments
        .chunks(2)
        .map(|pair| (pair[0].trim_start_matches("--").to_owned(), pair[1].clone()))
        .collect()
}

fn channel(options: &BTreeMap<String, String>) -> Result<Channel, Box<dyn Error>> {
    let Some(ca) = options.get("ca") else {
        return Ok(Endpoint::from_shared(format!("http://{}", options["target"]))?.connect_lazy());
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(ca)?));
    if let Some(certificate) = options.get("certificate") {
        tls = tls.identity(Identity::from_pem(
            std::fs::read(certificate)?,
            std::fs::read(&options["key"])?,
        ));
    }
    Ok(Endpoint::from_shared(format!("https://{}", options["target"]))?
        .tls_config(tls)?
        .connect_lazy())
}

async fn call(channel: Channel, namespace: String, caller: String, tally: Arc<Tally>) {
    let counters = CounterServiceClient::new(channel.clone());
    let inventory = InventoryServiceClient::new(channel);
    let mut number = 0;
    let mut seen = 0;
    while !tally.stopping.load(SeqCst) {
        number += 1;
        let request_id = format!("{caller}-{number}");
        let increment = api::IncrementRequest {
            namespace: namespace.clone(),
            request_id: request_id.clone(),
            counter: COUNTER.to_owned(),
            ..Default::default()
        };
        if let Some(response) = answered(&tally, || {
            let (mut client, request) = (counters.clone(), timed(increment.clone()));
            async move { client.increment(request).await }
        })
        .await
        {
            tally.increments.fetch_add(1, SeqCst);
            tally.revision.fetch_max(response.revision, SeqCst);
            seen = seen.max(response.counter.unwrap_or_default().value);
        }
        let addition = api::IncrementCopiesRequest {
            namespace: namespace.clone(),
            request_id: format!("{request_id}-copies"),
            item: ITEM.to_owned(),
            ..Default::default()
        };
        if let Some(response) = answered(&tally, || {
            let (mut client, request) = (inventory.clone(), timed(addition.clone()));
            async move { client.increment_copies(request).await }
        })
        .await
        {
            tally.copies.fetch_add(1, SeqCst);
            tally.revision.fetch_max(response.revision, SeqCst);
        }
        let read = api::GetCounterRequest {
            namespace: namespace.clone(),
            counter: COUNTER.to_owned(),
            ..Default::default()
        };
        if let Some(response) = answered(&tally, || {
            let (mut client, request) = (counters.clone(), timed(read.clone()));
            async move { client.get_counter(request).await }
        })
        .await
        {
            let value = response.counter.unwrap_or_default().value;
            if value < seen {
                tally.fail("STALE", "a read has missed an acknowledged change");
            }
            seen = seen.max(value);
        }
    }
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// Sends a call, and repeats it while the server is unavailable. Returns None after an error, which it records.
async fn answered<T, F>(tally: &Tally, send: impl Fn() -> F) -> Option<T>
where
    F: std::future::Future<Output = Result<Response<T>, Status>>,
{
    tally.calls.fetch_add(1, SeqCst);
    let mut backoff = BACKOFF_FIRST;
    let mut attempt = 1;
    loop {
        match send().await {
            Ok(response) => return Some(response.into_inner()),
            Err(status) if status.code() == Code::Unavailable && attempt < ATTEMPTS_MAX => {
                tally.retried.fetch_add(1, SeqCst);
                tokio::time::sleep(backoff).await;
                backoff = (3 * backoff).min(BACKOFF_MAX);
                attempt += 1;
            }
            Err(status) if never_sent(&status) => {}
            Err(status) => {
                tally.fail(&format!("{:?}", status.code()), status.message());
                return None;
            }
        }
    }
}

/// Returns true if a connection closed before the call was sent, which tonic reports as CANCELLED.
fn never_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// Follows the ledger from its beginning until all callers have ended and their last change has come.
async fn watch(channel: Channel, namespace: String, tally: Arc<Tally>) {
    let mut client = LedgerServiceClient::new(channel);
    let mut last = 0;
    loop {
        let request = api::WatchRequest {
            namespace: namespace.clone(),
            after_revision: Some(last),
            ..Default::default()
        };
        let ended = follow(&mut client, request, &mut last, &tally).await;
        match ended {
            Ok(()) => return,
            Err(status) if status.code() == Code::Unavailable || never_sent(&status) => {
                tally.resumed.fetch_add(1, SeqCst);
                tokio::time::sleep(WATCH_PAUSE).await;
            }
            Err(status) => {
                tally.fail(&format!("watch: {:?}", status.code()), status.message());
                tokio::time::sleep(WATCH_PAUSE).await;
            }
        }
    }
}

async fn follow(
    client: &mut LedgerServiceClient<Channel>,
    request: api::WatchRequest,
    last: &mut i64,
    tally: &Tally,
) -> Result<(), Status> {
    let mut responses = client.watch(request).await?.into_inner();
    loop {
        let next = tokio::time::timeout(WATCH_PAUSE, responses.message()).await;
        if let Ok(message) = next {
            let Some(response) = message? else {
                return Err(Status::unknown("the watch has ended without an error"));
            };
            for entry in response.entries {
                tally.watched_entries.fetch_add(1, SeqCst);
                if entry.revision != *last + 1 {
                    tally.fail("WATCH", "a revision was missed or came twice");
                }
                *last = entry.revision;
            }
            tally.watched_revision.store(*last, SeqCst);
        }
        if tally.stopped.load(SeqCst) && *last >= tally.revision.load(SeqCst) {
            return Ok(());
        }
    }
}
