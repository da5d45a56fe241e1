"""Sells three copies of a book, handles a shortage by its reason, and makes a retry that counts once.

Start a server with `make run`, then `.venv/bin/python examples/python/first_act.py`. The first argument, or
TALLYKEEPER_ADDRESS, names another server than 127.0.0.1:50051.
"""

import os
import sys

from tallykeeper_client import Client, InsufficientStock, fresh_request_id

COPIES = 3


def main() -> None:
    """Play the example against the server that the command line or the environment names."""
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TALLYKEEPER_ADDRESS", "127.0.0.1:50051")
    # A fresh namespace: the example can run twice.
    with Client(address, namespace=f"example-{fresh_request_id()}") as client:
        sell_out(client)
        count_once(client)


def sell_out(client: Client) -> None:
    """Take one copy after the other until none is left."""
    client.set_stock("dune", COPIES)
    sold = 0
    try:
        while True:
            response = client.decrement_copies("dune")
            sold += response.copies_taken
            print(f"sold {sold} of {COPIES}, {response.stock_level.available} left")
    except InsufficientStock as short:
        print(f"sold out: {short.reason}, {short.available} available")


def count_once(client: Client) -> None:
    """Send the same increment twice, as a program does that has crashed before it saw the first answer."""
    request_id = fresh_request_id()
    client.increment("orders", request_id=request_id)
    repeated = client.increment("orders", request_id=request_id)
    print(
        f"retried with the same request id: counter {repeated.counter.value}, replayed {str(repeated.replayed).lower()}"
    )


if __name__ == "__main__":
    main()
