//! Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once.
//!
//! Start a server with `make run`, then `cargo run --manifest-path examples/rust/Cargo.toml`. The first argument, or
//! `TALLYKEEPER_ADDRESS`, names another server than 127.0.0.1:50051.

use std::error::Error;

use tallykeeper::{Client, ErrorKind, new_request_id};

const COPIES: i64 = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("TALLYKEEPER_ADDRESS").ok())
        .unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    // A fresh namespace: the example can run twice.
    let client = Client::builder(address)
        .namespace(format!("example-{}", new_request_id()))
        .connect_lazy()?;
    sell_out(&client).await?;
    count_once(&client).await?;
    client.close();
    Ok(())
}

/// Takes one copy after the other until none is left.
async fn sell_out(client: &Client) -> Result<(), tallykeeper::Error> {
    client.set_stock("dune", COPIES).await?;
    let mut sold = 0;
    loop {
        match client.take_copies("dune", 1).await {
            Ok(response) => {
                sold += response.copies_taken;
                let left = response.stock_level.unwrap_or_default().available;
                println!("sold {sold} of {COPIES}, {left} left");
            }
            Err(error) => match error.kind() {
                ErrorKind::InsufficientStock { shortages, .. } => {
                    let reason = error.reason().unwrap_or_default();
                    println!("sold out: {reason}, {} available", shortages[0].available);
                    return Ok(());
                }
                _ => return Err(error),
            },
        }
    }
}

/// Sends the same increment twice, as a program does that has crashed before it saw the first answer.
async fn count_once(client: &Client) -> Result<(), tallykeeper::Error> {
    let request_id = new_request_id();
    client.increment("orders").request_id(&request_id).await?;
    let repeated = client.increment("orders").request_id(&request_id).await?;
    println!(
        "retried with the same request id: counter {}, replayed {}",
        repeated.counter.unwrap_or_default().value,
        repeated.replayed
    );
    Ok(())
}
