"""The addresses on which the server listens, and the errors of addresses that it cannot use."""

import socket
from pathlib import Path

import pytest

from tallykeeper.v1.counter_pb2 import GetCounterRequest, IncrementRequest
from tallykeeper_server.app.listen_address import kept_address
from tallykeeper_server.app.store_startup import StartError
from tests.server.start import refused_start
from tests.support.client import Caller
from tests.support.server import PATIENCE_SECONDS, ServerProcess


def test_the_server_listens_on_a_unix_socket_and_removes_it(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/tallykeeper.sock"

    with ServerProcess("--data-dir", str(tmp_path / "data"), "--listen", address) as server:
        call = Caller(address)
        call(IncrementRequest(counter="v"))
        value = call(GetCounterRequest(counter="v")).counter.value
        call.close()

    assert server.target == address
    assert value == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_unix_socket_in_use_is_not_taken_from_its_server(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/tallykeeper.sock"
    with ServerProcess("--data-dir", str(tmp_path / "first"), "--listen", address):
        call = Caller(address)
        call(IncrementRequest(counter="v"))

        line = refused_start("--data-dir", str(tmp_path / "second"), "--listen", address)

        value = call(IncrementRequest(counter="v")).counter.value
        call.close()
    assert line == f"tallykeeper: cannot listen on {address}: Address already in use"
    assert value == 2


def test_the_unix_socket_of_a_server_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    arguments = ("--data-dir", str(tmp_path / "data"), "--listen", f"unix:{tmp_path}/tallykeeper.sock")
    with ServerProcess(*arguments) as server:
        server.process.kill()
        server.process.wait(PATIENCE_SECONDS)
    assert (tmp_path / "tallykeeper.sock").is_socket()

    with ServerProcess(*arguments) as server:
        call = Caller(server.target)
        assert call(IncrementRequest(counter="v")).counter.value == 1
        call.close()


def test_a_file_where_the_unix_socket_should_be_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("precious")

    line = refused_start("--data-dir", str(tmp_path / "data"), "--listen", f"unix:{file}")

    assert line == f"tallykeeper: cannot listen on unix:{file}: Address already in use"
    assert file.read_text() == "precious"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"

        line = refused_start("--data-dir", str(tmp_path), "--listen", listen)

    assert line == f"tallykeeper: cannot listen on {listen}: Address already in use"


@pytest.mark.parametrize("second", ["1", "2"])
@pytest.mark.parametrize("first", [1, 2])
def test_the_port_of_a_server_is_not_shared_with_another(tmp_path: Path, first: int, second: str) -> None:
    with ServerProcess("--data-dir", str(tmp_path / "first"), workers=first) as server:
        arguments = ("--data-dir", str(tmp_path / "second"), "--listen", server.target)

        line = refused_start(*arguments, "--workers", second)

        assert line == f"tallykeeper: cannot listen on {server.target}: Address already in use"
    with ServerProcess(*arguments, workers=int(second)) as successor:
        assert successor.target == server.target


def test_an_address_is_kept_for_workers_before_they_listen() -> None:
    with kept_address("localhost:0") as listen:
        assert listen.startswith("localhost:")
        with (
            pytest.raises(StartError, match=f"cannot listen on {listen}: Address already in use"),
            kept_address(listen),
        ):
            pass
        with socket.socket() as worker:
            worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            worker.bind(("127.0.0.1", int(listen.rpartition(":")[2])))
            worker.listen()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("unix:/does/not/exist/s", "No such file or directory"),
        (f"unix:/tmp/{'x' * 108}", "too long"),
    ],
)
def test_an_address_that_cannot_be_bound_is_one_clear_line(
    tmp_path: Path, listen: str, expected: str, workers: str
) -> None:
    size = () if listen.startswith("unix:") else ("--workers", workers, "--allow-plaintext", "--allow-anonymous")
    line = refused_start("--data-dir", str(tmp_path), "--listen", listen, *size)

    assert line.startswith(f"tallykeeper: cannot listen on {listen}: ")
    assert expected in line
