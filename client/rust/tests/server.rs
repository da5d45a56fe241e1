//! The calls of the SDK against a Tallykeeper server.

mod support;

use std::time::Duration;

use support::tallykeeper_server::{Server, Shared, program, shared};
use tallykeeper::v1::{
    BatchMode, DecrementCopiesRequest, IncrementRequest, ListEntriesRequest, MoveCopiesRequest, ReservationState,
    VerifyNamespaceRequest, WatchRequest, verify_namespace_response::Response,
};
use tallykeeper::{Client, Code, ErrorKind, new_request_id};

const KILLS: i64 = 3;

/// A client with a fresh namespace, and its server; `None` if there is no server.
fn client() -> Option<(Client, Shared)> {
    let server = shared()?;
    Some((fresh_client(&server.address, Duration::from_secs(30)), server))
}

fn fresh_client(address: &str, timeout: Duration) -> Client {
    Client::builder(address)
        .namespace(format!("test-{}", new_request_id()))
        .timeout(timeout)
        .connect_lazy()
        .unwrap()
}

#[tokio::test]
async fn counters_are_set_incremented_and_read() {
    let Some((client, _server)) = client() else { return };
    client.set_counter("votes", 5).await.unwrap();
    let response = client.increment("votes").delta(2).await.unwrap();
    assert_eq!((response.counter.unwrap().value, response.revision), (7, 2));
    let error = client.set_counter("votes", 1).expected_value(6).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::ValueChanged { actual: 7, expected: 6 }),
        "{error:?}"
    );
    assert_eq!(client.get_counter("votes").await.unwrap().counter.unwrap().value, 7);
    let error = client.get_counter("none").await.unwrap_err();
    assert!(error.is_not_found());
    assert!(matches!(error.kind(), ErrorKind::CounterNotFound { counter } if counter == "none"));
}

#[tokio::test]
async fn a_request_id_counts_once() {
    let Some((client, _server)) = client() else { return };
    let first = client.increment("votes").request_id("id-1").await.unwrap();
    let second = client.increment("votes").request_id("id-1").await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.counter, second.counter);
    let error = client.increment("others").request_id("id-1").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RequestIdReused), "{error:?}");
}

#[tokio::test]
async fn copies_are_taken_returned_and_run_short() {
    let Some((client, _server)) = client() else { return };
    client.set_stock("dune", 2).location("shop").await.unwrap();
    let taken = client.take_copies("dune", 2).location("shop").await.unwrap();
    assert_eq!((taken.copies_taken, taken.stock_level.unwrap().available), (2, 0));
    client.return_copies("dune", 1).location("shop").await.unwrap();
    let error = client.take_copies("dune", 3).location("shop").await.unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (Code::FailedPrecondition, Some("INSUFFICIENT_STOCK"))
    );
    let ErrorKind::InsufficientStock { shortages, count } = error.kind() else {
        panic!("{error:?}");
    };
    let short = &shortages[0];
    assert_eq!((short.item.as_str(), short.location.as_str()), ("dune", "shop"));
    assert_eq!((short.requested, short.available, *count), (3, 1, 1));
    let level = client
        .get_stock("dune")
        .location("shop")
        .await
        .unwrap()
        .stock_level
        .unwrap();
    assert_eq!(level.on_hand, 1);
    let request = MoveCopiesRequest {
        item: "dune".to_owned(),
        from_location: "shop".to_owned(),
        to_location: "cellar".to_owned(),
        ..Default::default()
    };
    client.call(request).await.unwrap();
    let level = client
        .get_stock("dune")
        .location("cellar")
        .await
        .unwrap()
        .stock_level
        .unwrap();
    assert_eq!(level.on_hand, 1);
}

#[tokio::test]
async fn fields_that_break_a_rule_are_named() {
    let Some((client, _server)) = client() else { return };
    let error = client.take_copies("", 0).await.unwrap_err();
    let ErrorKind::InvalidField { violations } = error.kind() else {
        panic!("{error:?}");
    };
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["item", "copies"]);
}

#[tokio::test]
async fn reservations_are_extended_committed_and_released() {
    let Some((client, _server)) = client() else { return };
    client.set_stock("dune", 3).await.unwrap();
    let lines = [("dune", 2)];
    let reserved = client
        .reserve(lines)
        .reservation_id("basket")
        .ttl(Duration::from_secs(60))
        .await
        .unwrap();
    let before = reserved.reservation.unwrap().expire_time.unwrap();
    let extended = client.extend("basket", Duration::from_secs(600)).await.unwrap();
    assert!(extended.reservation.unwrap().expire_time.unwrap().seconds > before.seconds);
    let committed = client
        .commit("basket")
        .lines([("dune", 1)])
        .await
        .unwrap()
        .reservation
        .unwrap();
    assert_eq!(committed.state(), ReservationState::Committed);
    let error = client.release("basket").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ReservationCommitted { reservation_id } if reservation_id == "basket"));
    let lines = [("dune", "main", 2)];
    let reserved = client
        .reserve(lines)
        .holder("customer-7")
        .await
        .unwrap()
        .reservation
        .unwrap();
    assert_eq!(reserved.holder, "customer-7");
    let released = client
        .release(&reserved.reservation_id)
        .await
        .unwrap()
        .reservation
        .unwrap();
    assert_eq!(released.state(), ReservationState::Released);
    assert_eq!(
        client.get_stock("dune").await.unwrap().stock_level.unwrap().available,
        2
    );
}

#[tokio::test]
async fn a_batch_gives_a_result_or_an_error_for_each_operation() {
    let Some((client, _server)) = client() else { return };
    client.set_stock("dune", 0).await.unwrap();
    let count = IncrementRequest {
        counter: "sold".to_owned(),
        ..Default::default()
    };
    let sale = DecrementCopiesRequest {
        item: "dune".to_owned(),
        ..Default::default()
    };
    let batch = client
        .batch(BatchMode::Independent)
        .add(count.clone())
        .add(sale.clone());
    let response = batch.await.unwrap();
    assert_eq!(response.failed_count, 1);
    assert!(response.results[0].failure().is_none());
    let error = response.results[1].failure().unwrap();
    assert!(
        matches!(error.kind(), ErrorKind::InsufficientStock { count: 1, .. }),
        "{error:?}"
    );

    let error = client
        .batch(BatchMode::Atomic)
        .add(count)
        .add_all([sale])
        .await
        .unwrap_err();
    let ErrorKind::BatchRefused {
        failed_count,
        operations,
    } = error.kind()
    else {
        panic!("{error:?}");
    };
    assert_eq!((*failed_count, operations[0].index), (1, 1));
    let ErrorKind::InsufficientStock { shortages, .. } = operations[0].error.kind() else {
        panic!("{error:?}");
    };
    assert_eq!((shortages[0].requested, shortages[0].available), (1, 0));
}

#[tokio::test]
async fn the_ledger_is_listed_and_verified() {
    let Some((client, _server)) = client() else { return };
    for _ in 0..3 {
        client.increment("votes").reference("poll").await.unwrap();
    }
    let request = ListEntriesRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut entries = client.list(request);
    let mut revisions = Vec::new();
    while let Some(entry) = entries.next().await {
        let entry = entry.unwrap();
        assert_eq!(entry.reference, "poll");
        revisions.push(entry.revision);
    }
    assert_eq!(revisions, [1, 2, 3]);
    let mut responses = client.verify_namespace(VerifyNamespaceRequest::default());
    let mut result = None;
    while let Some(response) = responses.next().await {
        if let Some(Response::Result(verified)) = response.unwrap().response {
            result = Some(verified);
        }
    }
    assert!(result.unwrap().differences.is_empty());
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_not_called_again() {
    let Some(server) = shared() else { return };
    let client = Client::builder(&server.address).tls().connect_lazy().unwrap();
    let call = client.increment("votes").timeout(Duration::from_secs(3600));
    let outcome = tokio::time::timeout(Duration::from_secs(60), call.send()).await;
    let error = outcome.expect("the call ends before its deadline").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_loses_no_change_makes_none_twice_and_ends_no_watch() {
    let Some(program) = program() else { return };
    let mut server = Server::start(&program);
    let client = fresh_client(&server.address, Duration::from_secs(60));
    client.increment("votes").await.unwrap();
    let mut watch = client.watch(WatchRequest {
        after_revision: Some(0),
        ..Default::default()
    });
    let caller = client.clone();
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let callers = tokio::spawn(async move {
        while caller
            .increment("votes")
            .await
            .is_ok_and(|response| acknowledge.send(response).is_ok())
        {}
    });
    let mut count = 1;
    for _ in 0..KILLS {
        for _ in 0..20 {
            acknowledged.recv().await.unwrap();
            count += 1;
        }
        server = tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart();
            server
        })
        .await
        .unwrap();
    }
    acknowledged.close();
    while acknowledged.recv().await.is_some() {
        count += 1;
    }
    callers.await.unwrap();
    // The last call was answered after its caller had left.
    let value = client.get_counter("votes").await.unwrap().counter.unwrap().value;
    assert_eq!(value, count + 1);
    let mut revisions = Vec::new();
    while revisions.last() != Some(&value) {
        let response = watch.next().await.unwrap().unwrap();
        revisions.extend(response.entries.iter().map(|entry| entry.revision));
    }
    assert_eq!(revisions, (1..=value).collect::<Vec<_>>());
}
