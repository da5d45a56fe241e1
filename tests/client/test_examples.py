"""Runs the examples in the client's docstrings against a real server, and checks the sections of the docstrings."""

import doctest
import inspect
import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import tallykeeper_client
from tallykeeper_client import AsyncClient, Client, error_of_result, fresh_request_id, operations, tls_credentials
from tallykeeper_server.cli.certificate_authority import make_certificates
from tallykeeper_server.settings import Settings
from tests.support.server import ThreadedServer

CLASSES = (Client, AsyncClient)
FUNCTIONS = (error_of_result, fresh_request_id, tls_credentials)


def _documented() -> Iterator[tuple[str, object]]:
    """Yield the package and its public names, `Client` first, because other classes repeat its examples."""
    yield "tallykeeper_client", tallykeeper_client
    yield "Client", Client
    for name in tallykeeper_client.__all__:
        value = getattr(tallykeeper_client, name)
        if str(getattr(value, "__module__", "")).startswith("tallykeeper_client"):
            yield name, value if inspect.isroutine(value) or inspect.isclass(value) else type(value)


def _find(name: str, documented: object) -> list[doctest.DocTest]:
    """Return the examples of a class and its methods, or of a function or a module."""
    if inspect.ismodule(documented):
        parsed = doctest.DocTestParser().get_doctest(documented.__doc__ or "", {}, name, documented.__file__, 0)
        return [parsed]
    return doctest.DocTestFinder().find(documented, name, module=False, globs={})


def _examples() -> list[doctest.DocTest]:
    """Return the examples, each once: the methods of several classes share a docstring."""
    found: dict[tuple[tuple[str, str], ...], doctest.DocTest] = {}
    for name, documented in _documented():
        for test in _find(name, documented):
            found.setdefault(tuple((each.source, each.want) for each in test.examples), test)
    return [test for key, test in found.items() if key]


EXAMPLES = _examples()


def _failure(test: doctest.DocTest, names: dict[str, Any]) -> str:
    """Run the examples of a docstring with some names. Return a report if their output is wrong, or an empty text."""
    names = {**{name: getattr(tallykeeper_client, name) for name in tallykeeper_client.__all__}, **names}
    run = doctest.DocTest(test.examples, names, test.name, test.filename, test.lineno, test.docstring)
    report = io.StringIO()
    failed = doctest.DocTestRunner(verbose=False).run(run, out=report.write).failed
    return report.getvalue() if failed else ""


@pytest.fixture
def names(server: ThreadedServer, namespace: str) -> Iterator[dict[str, Any]]:
    """The names that the examples use, in addition to those of the package."""
    with Client(server.target, namespace=namespace) as client:
        yield {"client": client, "target": server.target, "namespace": namespace}


@pytest.fixture
def tls_target(tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with TLS, whose certificates are in the current folder."""
    make_certificates(tmp_path, hosts=["localhost", "127.0.0.1"], clients=["caller"], days=2)
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        listen="127.0.0.1:0",
        store=store_url,
        data_dir=tmp_path / "data",
        tls_certificate=tmp_path / "server.pem",
        tls_key=tmp_path / "server.key",
    )
    with ExitStack() as stack:
        yield stack.enter_context(ThreadedServer(settings)).target


@pytest.mark.parametrize("test", EXAMPLES, ids=lambda test: test.name)
def test_example_gives_its_output(test: doctest.DocTest, names: dict[str, Any], request: pytest.FixtureRequest) -> None:
    if "tls_target" in (test.docstring or ""):
        names["tls_target"] = request.getfixturevalue("tls_target")

    assert _failure(test, names) == ""


def test_example_with_a_wrong_output_fails(names: dict[str, Any]) -> None:
    example = doctest.Example('client.increment("visitors").counter.value\n', "2\n")
    test = doctest.DocTest([example], {}, "wrong", None, 0, "")

    assert "Expected:\n    2\nGot:\n    1" in _failure(test, names)


@pytest.mark.parametrize(
    "name",
    [
        "tallykeeper_client",
        "Client",
        "Client.increment",
        "Client.decrement_copies",
        "Client.reserve",
        "Client.apply",
        "Client.watch",
        "AsyncClient",
        "AsyncClient.batch",
        "Batch",
        "operations",
        "tls_credentials",
        "TallykeeperError",
    ],
)
def test_main_names_have_an_example(name: str) -> None:
    assert name in {test.name for test in EXAMPLES}


def _methods() -> Iterator[tuple[str, Any]]:
    """Yield the public functions, and the constructors and public methods of the classes."""
    for function in FUNCTIONS:
        yield function.__name__, function
    for client in CLASSES:
        yield client.__name__, client.__init__
    for documented in (*CLASSES, type(operations)):
        for name, method in inspect.getmembers(documented, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{documented.__name__}.{name}", method


METHODS = dict(_methods())


@pytest.mark.parametrize("name", METHODS)
def test_docstring_describes_each_argument_and_the_result(name: str) -> None:
    method = METHODS[name]
    text = inspect.getdoc(method) or ""
    signature = inspect.signature(method)

    for parameter in signature.parameters.values():
        if parameter.name != "self":
            stars = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
            assert f"\n    {stars}{parameter.name}: " in text
    if signature.return_annotation not in {None, "None"}:
        assert "\nReturns:\n    " in text or "\nYields:\n    " in text
