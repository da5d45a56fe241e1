//! How a watch resumes and ends, seen from a server that answers by a script.

mod support;

use std::time::Duration;

use support::scripted::{Answer, Received, Scripted};
use tallykeeper::v1::{Entry, WatchRequest, WatchResponse};
use tallykeeper::{Client, Code, ErrorKind, Watch};

fn response(entries: &[i64], revision: i64) -> WatchResponse {
    WatchResponse {
        entries: entries
            .iter()
            .map(|revision| Entry {
                revision: *revision,
                ..Default::default()
            })
            .collect(),
        revision,
        ..Default::default()
    }
}

fn requests(server: &Scripted) -> Vec<WatchRequest> {
    server.received().iter().map(Received::decode).collect()
}

async fn watch(answers: impl Into<Vec<Answer>>, request: WatchRequest) -> (Watch, Scripted) {
    let server = Scripted::answering(answers).await;
    let client = Client::connect_lazy(&server.address).unwrap();
    (client.watch(request), server)
}

async fn next_revisions(watch: &mut Watch) -> Vec<i64> {
    let response = watch.next().await.unwrap().unwrap();
    response.entries.iter().map(|entry| entry.revision).collect()
}

#[tokio::test]
async fn a_watch_resumes_after_its_last_revision_whatever_has_ended_its_connection() {
    let ends = [
        Answer::cut(),
        Answer::status(Code::Ok),
        Answer::status(Code::Cancelled),
        Answer::error(Code::Unavailable, "SHUTTING_DOWN", &[("revision", "2")]),
        Answer::error(Code::ResourceExhausted, "WATCHER_TOO_SLOW", &[("revision", "2")]),
    ];
    for end in ends {
        let first = end.message(&response(&[1, 2], 2));
        let second = Answer::open().message(&response(&[3], 3));
        let request = WatchRequest {
            items: vec!["dune".to_owned()],
            ..Default::default()
        };
        let (mut watch, server) = watch([first, Answer::disconnect(), Answer::reset(), second], request).await;
        assert_eq!(watch.revision(), None);
        assert_eq!(next_revisions(&mut watch).await, [1, 2]);
        assert_eq!(next_revisions(&mut watch).await, [3]);
        assert_eq!(watch.revision(), Some(3));
        let requests = requests(&server);
        let after: Vec<_> = requests.iter().map(|request| request.after_revision).collect();
        assert_eq!(after, [None, Some(2), Some(2), Some(2)]);
        assert!(requests.iter().all(|request| request.items == ["dune"]));
    }
}

#[tokio::test]
async fn a_bookmark_moves_the_revision_and_is_not_given() {
    let first = Answer::cut().message(&response(&[], 4)).message(&response(&[], 7));
    let second = Answer::open().message(&response(&[8], 8));
    let (mut watch, server) = watch([first, second], WatchRequest::default()).await;
    assert_eq!(next_revisions(&mut watch).await, [8]);
    assert_eq!(requests(&server)[1].after_revision, Some(7));
}

#[tokio::test]
async fn the_levels_are_given_once_even_if_there_are_none() {
    let first = Answer::cut().message(&response(&[], 4));
    let second = Answer::open().message(&response(&[5], 5));
    let request = WatchRequest {
        include_levels: true,
        ..Default::default()
    };
    let (mut watch, server) = watch([first, second], request).await;
    assert!(next_revisions(&mut watch).await.is_empty());
    assert_eq!(next_revisions(&mut watch).await, [5]);
    let requests = requests(&server);
    assert!(requests[0].include_levels);
    assert_eq!(
        (requests[1].include_levels, requests[1].after_revision),
        (false, Some(4))
    );
}

#[tokio::test]
async fn a_watch_ends_with_an_error_that_does_not_pass() {
    let errors = [
        (Code::OutOfRange, "REVISION_TRIMMED"),
        (Code::DataLoss, "REVISIONS_LOST"),
        (Code::PermissionDenied, "PERMISSION_DENIED"),
        (Code::InvalidArgument, "INVALID_FIELD"),
        (Code::Internal, "INTERNAL"),
    ];
    for (code, reason) in errors {
        let first = Answer::error(code, reason, &[]).message(&response(&[1], 1));
        let (mut watch, server) = watch([first], WatchRequest::default()).await;
        assert_eq!(next_revisions(&mut watch).await, [1]);
        let error = watch.next().await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.reason()), (code, Some(reason)));
        assert!(watch.next().await.is_none());
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn a_watch_without_a_first_response_ends_with_the_deadline_of_the_client() {
    let ends = [
        (Answer::open(), Code::DeadlineExceeded),
        (Answer::disconnect(), Code::Unavailable),
    ];
    for (answer, code) in ends {
        let server = Scripted::answering([answer]).await;
        let client = Client::builder(&server.address)
            .timeout(Duration::from_millis(300))
            .connect_lazy()
            .unwrap();
        let error = client.watch(WatchRequest::default()).next().await.unwrap().unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn a_watch_outlasts_the_deadline_of_the_client_and_ends_when_it_is_closed() {
    let server = Scripted::answering([Answer::open().message(&response(&[1], 1))]).await;
    let client = Client::builder(&server.address)
        .timeout(Duration::from_millis(100))
        .connect_lazy()
        .unwrap();
    let mut watch = client.watch(WatchRequest::default());
    assert_eq!(next_revisions(&mut watch).await, [1]);
    assert!(server.received()[0].header("grpc-timeout").is_none());
    let waiting = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    client.close();
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_watch_whose_token_expires_goes_on_with_a_new_one() {
    let expired = || Answer::error(Code::Unauthenticated, "CREDENTIAL_EXPIRED", &[]);
    let first = expired().message(&response(&[1], 1));
    let second = Answer::open().message(&response(&[2], 2));
    let server = Scripted::answering([first, second]).await;
    let tokens = std::sync::Mutex::new(vec!["new", "old"]);
    let client = Client::builder(&server.address)
        .token_from(move || {
            let token = tokens.lock().unwrap().pop().unwrap().to_owned();
            async move { Ok::<_, std::io::Error>(token) }
        })
        .connect_lazy()
        .unwrap();
    let mut watch = client.watch(WatchRequest::default());
    assert_eq!(next_revisions(&mut watch).await, [1]);
    assert_eq!(next_revisions(&mut watch).await, [2]);
    let received = server.received();
    assert_eq!(received[0].header("authorization"), Some("Bearer old"));
    assert_eq!(received[1].header("authorization"), Some("Bearer new"));

    let server = Scripted::answering([expired()]).await;
    let client = Client::builder(&server.address).token("old").connect_lazy().unwrap();
    let error = client.watch(WatchRequest::default()).next().await.unwrap().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::CredentialExpired), "{error:?}");
    assert_eq!(server.received().len(), 1);
}
