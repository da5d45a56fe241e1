//! How calls are filled in, sent and repeated, seen from a server that answers by a script.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::scripted::{Answer, Received, Scripted};
use tallykeeper::v1::{
    Counter, Entry, GetCounterRequest, GetCounterResponse, IncrementRequest, IncrementResponse, ListEntriesRequest,
    ListEntriesResponse, ListNamespacesRequest, ListNamespacesResponse, VerifyNamespaceRequest,
    VerifyNamespaceResponse,
};
use tallykeeper::{Client, Code, Error, ErrorKind};
use tokio::net::TcpListener;

const PUSHBACK: &str = "grpc-retry-pushback-ms";

fn incremented() -> Answer {
    Answer::ok(&IncrementResponse {
        counter: Some(Counter {
            value: 1,
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn client(server: &Scripted) -> Client {
    Client::connect_lazy(&server.address).unwrap()
}

/// Makes an increment, and returns its outcome and the requests that it took.
async fn increment(answers: impl Into<Vec<Answer>>) -> (Result<IncrementResponse, Error>, Vec<Received>) {
    let server = Scripted::answering(answers).await;
    let outcome = client(&server).increment("votes").await;
    (outcome, server.received())
}

/// Asserts that a call succeeded with its second attempt, with the same bytes.
fn assert_repeated(outcome: &Result<IncrementResponse, Error>, received: &[Received]) {
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].message, received[1].message);
    assert!(!received[0].decode::<IncrementRequest>().request_id.is_empty());
}

#[tokio::test]
async fn a_mutation_gets_the_namespace_of_the_client_and_a_fresh_uuid() {
    let server = Scripted::answering([incremented()]).await;
    let client = Client::builder(&server.address)
        .namespace("shop")
        .connect_lazy()
        .unwrap();
    client.increment("votes").delta(3).await.unwrap();
    client.increment("votes").await.unwrap();
    let requests: Vec<IncrementRequest> = server.received().iter().map(Received::decode).collect();
    assert_eq!(server.received()[0].path, "/tallykeeper.v1.CounterService/Increment");
    for request in &requests {
        assert_eq!(request.namespace, "shop");
        let id = uuid::Uuid::parse_str(&request.request_id).unwrap();
        assert_eq!(id.get_version_num(), 4);
    }
    assert_eq!((requests[0].delta, requests[1].delta), (Some(3), None));
    assert_ne!(requests[0].request_id, requests[1].request_id);
}

#[tokio::test]
async fn a_namespace_and_a_request_id_of_the_call_are_kept() {
    let server = Scripted::answering([incremented()]).await;
    let client = Client::builder(&server.address)
        .namespace("shop")
        .connect_lazy()
        .unwrap();
    let call = client.increment("votes").namespace("other").request_id("id-1");
    call.reason("vote").reference("ballot-7").await.unwrap();
    let request: IncrementRequest = server.received()[0].decode();
    assert_eq!(
        (request.namespace.as_str(), request.request_id.as_str()),
        ("other", "id-1")
    );
    assert_eq!(
        (request.reason.as_str(), request.reference.as_str()),
        ("vote", "ballot-7")
    );
}

#[tokio::test]
async fn a_call_across_namespaces_has_none() {
    let server = Scripted::answering([Answer::ok(&ListNamespacesResponse::default())]).await;
    let client = Client::builder(&server.address)
        .namespace("shop")
        .connect_lazy()
        .unwrap();
    client.call(ListNamespacesRequest::default()).await.unwrap();
    assert!(server.received()[0].message.is_empty());
}

#[tokio::test]
async fn codes_that_may_pass_are_repeated_with_the_same_request_id() {
    for code in [Code::Unavailable, Code::ResourceExhausted, Code::Cancelled] {
        let (outcome, received) = increment([Answer::status(code), incremented()]).await;
        assert_repeated(&outcome, &received);
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_after_the_request_is_repeated_with_the_same_request_id() {
    let (outcome, received) = increment([Answer::disconnect(), incremented()]).await;
    assert_repeated(&outcome, &received);
}

#[tokio::test]
async fn a_response_that_is_cut_short_is_repeated_with_the_same_request_id() {
    let message = IncrementResponse::default();
    for cut in [Answer::cut(), Answer::cut().message(&message), Answer::reset()] {
        let (outcome, received) = increment([cut, incremented()]).await;
        assert_repeated(&outcome, &received);
    }
}

#[tokio::test]
async fn an_overloaded_server_is_called_again_after_its_pushback() {
    let overloaded = Answer::error(Code::ResourceExhausted, "OVERLOADED", &[]).header(PUSHBACK, "300");
    let started = Instant::now();
    let (outcome, received) = increment([overloaded, incremented()]).await;
    assert_repeated(&outcome, &received);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_call_is_sent_five_times_at_most() {
    let unavailable = Answer::status(Code::Unavailable).header(PUSHBACK, "0");
    let (outcome, received) = increment([unavailable]).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.request_id(), received[0].decode::<IncrementRequest>().request_id);
    assert!(error.is_outcome_unknown());
    assert_eq!(received.len(), 5);
}

#[tokio::test]
async fn an_unknown_of_the_server_and_other_codes_are_not_repeated() {
    for code in [Code::Unknown, Code::Internal, Code::DeadlineExceeded, Code::Aborted] {
        let (outcome, received) = increment([Answer::status(code), incremented()]).await;
        assert_eq!(outcome.unwrap_err().code(), code);
        assert_eq!(received.len(), 1, "{code:?}");
    }
}

#[tokio::test]
async fn a_negative_pushback_ends_the_call() {
    let too_large = Answer::status(Code::Unavailable).header(PUSHBACK, "-1");
    let (outcome, received) = increment([too_large, incremented()]).await;
    assert_eq!(outcome.unwrap_err().code(), Code::Unavailable);
    assert_eq!(received.len(), 1);
}

#[tokio::test]
async fn a_pause_that_would_outlast_the_deadline_ends_the_call_at_once() {
    let limited = Answer::error(Code::ResourceExhausted, "RATE_LIMITED", &[]).header(PUSHBACK, "60000");
    let (outcome, received) = increment([limited, incremented()]).await;
    assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::RateLimited));
    assert_eq!(received.len(), 1);
}

#[tokio::test]
async fn a_client_without_retries_sends_a_call_once() {
    let server = Scripted::answering([Answer::status(Code::Unavailable), incremented()]).await;
    let client = Client::builder(&server.address).retries(false).connect_lazy().unwrap();
    let error = client.increment("votes").await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_call_without_an_answer_ends_with_its_deadline() {
    let server = Scripted::answering([Answer::open()]).await;
    let call = client(&server).increment("votes").timeout(Duration::from_millis(200));
    let error = call.await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(matches!(error.kind(), ErrorKind::DeadlineExceeded));
    assert!(error.is_outcome_unknown());
    assert!(server.received()[0].header("grpc-timeout").is_some());
}

#[tokio::test]
async fn an_error_has_the_reason_and_the_values_of_the_server() {
    let values = [("value", "9"), ("delta", "2"), ("max", "10")];
    let answer = Answer::error(Code::OutOfRange, "COUNTER_BOUND_EXCEEDED", &values);
    let (outcome, _) = increment([answer]).await;
    let error = outcome.unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (Code::OutOfRange, Some("COUNTER_BOUND_EXCEEDED"))
    );
    let ErrorKind::CounterBoundExceeded { value, delta, min, max } = error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!((*value, *delta, *min, *max), (9, Some(2), None, Some(10)));
    assert_eq!(error.to_string(), "a sentence about COUNTER_BOUND_EXCEEDED");
}

/// A server that takes the token `fresh` alone.
async fn server_with_tokens() -> Scripted {
    Scripted::start(|_, request| match request.header("authorization") {
        Some("Bearer fresh") => incremented(),
        _ => Answer::error(Code::Unauthenticated, "CREDENTIAL_EXPIRED", &[]),
    })
    .await
}

#[tokio::test]
async fn a_token_that_has_expired_is_asked_for_again() {
    let server = server_with_tokens().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let client = Client::builder(&server.address)
        .token_from(move || {
            let token = ["stale", "fresh"][counted.fetch_add(1, Ordering::SeqCst)];
            async move { Ok::<_, std::io::Error>(token.to_owned()) }
        })
        .connect_lazy()
        .unwrap();
    client.increment("votes").await.unwrap();
    client.increment("votes").await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let tokens = server.received();
    let tokens: Vec<_> = tokens
        .iter()
        .map(|request| request.header("authorization").unwrap())
        .collect();
    assert_eq!(tokens, ["Bearer stale", "Bearer fresh", "Bearer fresh"]);
}

#[tokio::test]
async fn a_token_that_expires_again_and_again_is_an_error() {
    let server = server_with_tokens().await;
    let client = Client::builder(&server.address)
        .token_from(|| async { Ok::<_, std::io::Error>("stale".to_owned()) })
        .connect_lazy()
        .unwrap();
    let error = client.increment("votes").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CredentialExpired), "{error:?}");
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_fixed_token_that_has_expired_is_an_error() {
    let server = server_with_tokens().await;
    let client = Client::builder(&server.address).token("stale").connect_lazy().unwrap();
    let error = client.increment("votes").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CredentialExpired), "{error:?}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_function_without_a_token_is_an_error_before_anything_is_sent() {
    let server = server_with_tokens().await;
    let client = Client::builder(&server.address)
        .token_from(|| async { Err::<String, _>("the vault is locked") })
        .connect_lazy()
        .unwrap();
    let error = client.increment("votes").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CredentialUnavailable), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the function that gives the token failed: the vault is locked"
    );
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_client_that_is_closed_ends_its_calls_and_makes_no_more() {
    let server = Scripted::answering([Answer::open()]).await;
    let client = client(&server);
    let call = tokio::spawn(client.increment("votes").send());
    server.wait_for(1).await;
    client.close();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    assert!(error.is_outcome_unknown());
    let error = client.clone().get_counter("votes").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_verification_ends_when_the_client_is_closed() {
    let server = Scripted::answering([Answer::open().message(&VerifyNamespaceResponse::default())]).await;
    let client = client(&server);
    let mut responses = client.verify_namespace(VerifyNamespaceRequest::default());
    responses.next().await.unwrap().unwrap();
    client.close();
    let error = responses.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Closed), "{error:?}");
    assert!(responses.next().await.is_none());
}

#[tokio::test]
async fn a_port_that_is_closed_for_four_seconds_is_bridged_within_the_default_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = Client::connect_lazy(address.to_string()).unwrap();
    let call = tokio::spawn(client.increment("votes").send());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let server = Scripted::listen(TcpListener::bind(address).await.unwrap(), |_, _| incremented());
    call.await.unwrap().unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_server_that_does_not_come_back_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = Client::connect_lazy(&address).unwrap();
    let call = client.increment("votes").timeout(Duration::from_millis(300));
    let error = call.await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable), "{error:?}");
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("no Tallykeeper server answers at {address}: ")),
        "{message}"
    );
    assert!(message.contains("refused"), "{message}");
}

#[tokio::test]
async fn all_pages_of_a_listing_are_read() {
    let page = |revisions: &[i64], next_page_token: &str| {
        Answer::ok(&ListEntriesResponse {
            entries: revisions
                .iter()
                .map(|revision| Entry {
                    revision: *revision,
                    ..Default::default()
                })
                .collect(),
            next_page_token: next_page_token.to_owned(),
            ..Default::default()
        })
    };
    let server = Scripted::answering([page(&[1, 2], "a"), page(&[], "b"), page(&[3], "")]).await;
    let request = ListEntriesRequest {
        item: "dune".to_owned(),
        ..Default::default()
    };
    let mut entries = client(&server).list(request);
    let mut revisions = Vec::new();
    while let Some(entry) = entries.next().await {
        revisions.push(entry.unwrap().revision);
    }
    assert_eq!(revisions, [1, 2, 3]);
    let requests: Vec<ListEntriesRequest> = server.received().iter().map(Received::decode).collect();
    let tokens: Vec<_> = requests.iter().map(|request| request.page_token.as_str()).collect();
    assert_eq!(tokens, ["", "a", "b"]);
    assert!(requests.iter().all(|request| request.item == "dune"));
}

#[tokio::test]
async fn a_listing_ends_with_its_error() {
    let server = Scripted::answering([Answer::error(Code::InvalidArgument, "PAGE_TOKEN_INVALID", &[])]).await;
    let mut entries = client(&server).list(ListEntriesRequest::default());
    let error = entries.next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PageTokenInvalid), "{error:?}");
    assert!(entries.next().await.is_none());
}

#[tokio::test]
async fn a_read_is_repeated_and_has_no_request_id() {
    let read = Answer::ok(&GetCounterResponse {
        revision: 7,
        ..Default::default()
    });
    let server = Scripted::answering([Answer::disconnect(), read]).await;
    let response = client(&server)
        .get_counter("votes")
        .with(|request| request.min_revision = 5)
        .await;
    assert_eq!(response.unwrap().revision, 7);
    let requests: Vec<GetCounterRequest> = server.received().iter().map(Received::decode).collect();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].min_revision, 5);
}
