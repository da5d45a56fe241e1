"""The parts of the SDKs that must agree with the server and with each other, read from their sources."""

import re
from pathlib import Path

from tallykeeper_server.rpc.statuses import CODES
from tests.conformance.build_tools import CARGO
from tests.conformance.cases import registry as runners
from tests.sdks import go, java, rust, typescript
from tests.sdks.examples import ROOT

_SHARED_CONFIG = ROOT / "client" / "service_config.json"
_VERSION = re.compile(r"<(grpc|protobuf)\.version>(.*?)</")


def test_the_go_sdk_knows_every_reason_of_the_server() -> None:
    source = (go.SDK / "reasons.go").read_text()

    known = set(re.findall(r'Reason = "([A-Z_]+)"', source))

    # The other three are names of gRPC codes, each for several reasons or for none.
    assert known == {*CODES, "NOT_FOUND", "UNAUTHENTICATED", "UNAVAILABLE"}


def test_the_go_sdk_embeds_the_service_config_of_all_languages() -> None:
    assert (go.SDK / "service_config.json").read_text() == _SHARED_CONFIG.read_text()


def test_the_go_modules_name_one_version_of_each_package() -> None:
    """The versions that are tested are those that the example and the runner use."""
    pinned = re.compile(r"^\s(\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)
    sdk = dict(pinned.findall((go.SDK / "go.mod").read_text()))

    for module in (go.EXAMPLE, go.RUNNER):
        others = dict(pinned.findall((module / "go.mod").read_text()))
        assert {name: version for name, version in others.items() if name != go.PACKAGE} == sdk


def test_the_page_about_the_sdks_names_the_versions_that_their_files_name() -> None:
    page = (ROOT / "docs" / "sdks.md").read_text()
    versions = dict(_VERSION.findall((java.SDK / "pom.xml").read_text()))
    expected = [
        f"{name} {_one(pattern, file)} or newer"
        for name, pattern, file in (
            ("Python", r'requires-python = ">=(.*)"', ROOT / "pyproject.toml"),
            ("Go", r"^go (\d+\.\d+)", go.SDK / "go.mod"),
            ("Node.js", r'"node": ">=(\d+)', typescript.SDK / "package.json"),
            ("Java", r"release>(\d+)<", java.SDK / "pom.xml"),
            ("Rust", r'rust-version = "(.*)"', rust.SDK / "Cargo.toml"),
        )
    ]
    expected += [f"protoc {versions['protobuf'].partition('.')[2]}", f"protobuf-java {versions['protobuf']}"]

    assert [text for text in expected if text not in page] == []


def _one(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    assert found, f"{path} has nothing like {pattern}"
    return found[1]


def test_the_runner_and_the_suite_of_rust_are_built_in_one_folder() -> None:
    (runner,) = (language for language in runners.languages() if language.name == "rust")

    assert runner.environment == CARGO
