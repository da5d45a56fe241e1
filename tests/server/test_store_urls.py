"""The permitted parts of a store's URL. None of its secrets is ever shown."""

import socket
from pathlib import Path
from urllib.parse import quote

import click
import pytest
import redis

from tallykeeper_server.setting_types import StoreAddress, without_password
from tallykeeper_server.store.embedded.valkey import find_binary
from tallykeeper_server.store.nodes.store_url import node_options, parsed_store_url
from tests.server.start import refused_start, wrong_setting
from tests.support.server import ServerProcess, store_process


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("mysql://h", ["'mysql://…'", "redis://"]),
        ("redis://:secret@h:port", ["'redis://…'"]),
        ("redis://[::1", ["'redis://…'", "host:port"]),
        ("redis://:secret/password@h", ["'redis://…'", "%2F"]),
        ("redis://h/first", ["number of a database"]),
        ("redis://h?colour=red", ["colour"]),
        ("redis://h?socket_timeout=5", ["socket_timeout"]),
        ("redis://h?protocol=3", ["protocol"]),
        ("redis://h?db=first", ["'db'"]),
        ("redis://h?password_file=password.txt", ["password_file is not an absolute path"]),
        ("redis://:secret@h?password_file=/run/password", ["both a password and a password_file"]),
        ("redis://h?password=secret&password_file=/run/password", ["both a password and a password_file"]),
        ("redis+sentinel://h/s?sentinel_password_file=password.txt", ["password_file is not an absolute path"]),
        ("redis://h?ssl_ca_certs=/ca.pem", ["ssl_ca_certs"]),
        ("rediss://h?ssl_cert_reqs=perhaps", ["perhaps"]),
        ("unix://", ["'unix://…'", "path"]),
        ("unix://run/valkey.sock", ["absolute path"]),
        ("redis+sentinel://h", ["redis+sentinel://host:26379,host:26379/service"]),
        ("redis+sentinel://h/a service", ["redis+sentinel://host:26379,host:26379/service"]),
        ("redis+sentinel://h:1,/stocks", ["joined by commas"]),
        ("redis+sentinel://:secret/word@h/stocks", ["%2F"]),
        ("redis+sentinel://h/stocks?colour=red", ["redis+sentinel:// takes no colour", "sentinel_password"]),
        ("redis+cluster://h:0", ["joined by commas"]),
        ("redis+cluster://h:99999", ["joined by commas"]),
        ("redis+cluster://h?db=1", ["no databases"]),
        ("redis+cluster://h/1", ["no databases"]),
        ("redis+cluster://h?sentinel_password=secret", ["takes no sentinel_password"]),
        ("redis+cluster://h?ssl_ca_certs=/ca.pem", ["ssl_ca_certs"]),
        ("unix+cluster:///s.sock", ["'unix+cluster://…'", "redis+cluster://"]),
    ],
)
def test_a_url_that_cannot_be_used_is_one_clear_line_and_exit_2(store: str, expected: list[str]) -> None:
    line = wrong_setting("--store", store)

    assert "--store" in line
    assert all(part in line for part in expected), line
    assert "secret" not in line


SECRETS = (
    *(
        "top@seg#1",
        "top@seg?1",
        "12#34seg",
        "seg#1",
        "seg?1",
        "12?34seg",
        "seg/1",
        "12/seg",
        "seg?db=1",
        "seg?a&b",
        "seg%1",
    ),
    *(
        "seg%zz",
        "seg[1",
        "seg]1",
        "seg 1",
        "seg\t1",
        "seg\n1",
        "\u00e9seg#",
        "seg\\#1",
        "#seg",
        "?seg",
        "/seg",
        "a?seg=1",
    ),
    *("1?seg", "1/seg", "1:2/seg", "seg\u2100", "1#seg@x"),
)
FORMS = (
    "redis://:{}@127.0.0.1:6399",
    "redis://user:{}@127.0.0.1:6399/1",
    "redis://{}:word@127.0.0.1:6399",
    "rediss://:{}@127.0.0.1:6399",
    "redis+sentinel://:{}@127.0.0.1:6399/stocks",
    "rediss+cluster://user:{}@127.0.0.1:6399",
    "unix://:{}@/run/valkey.sock",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", SECRETS)
def test_a_password_that_is_not_escaped_is_neither_shown_nor_looked_up(
    monkeypatch: pytest.MonkeyPatch, form: str, secret: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("a name was looked up"))

    with pytest.raises(click.BadParameter) as raised:
        StoreAddress().convert(form.format(secret), None, None)

    message = raised.value.message
    assert "seg" not in message
    assert "127.0.0.1" not in message.partition("; in a user")[0]
    assert message.startswith(f"'{form.partition('//')[0]}//…' cannot be used: ")
    assert "%23" in message
    assert "%3F" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    "text", ["seg@h", "user:seg@h:1", "redis:seg@h", "redis:/:seg@h", "://seg", "seg#1//x", " redis://:seg@h"]
)
def test_an_invalid_url_shows_no_secret(text: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        StoreAddress().convert(text, None, None)

    assert "seg" not in raised.value.format_message()


@pytest.mark.parametrize("form", FORMS[:6])
def test_a_password_that_is_escaped_is_taken_as_it_is(form: str) -> None:
    secret = "#?/@:%[] é\\"  # noqa: S105  # of this test
    url = form.format(quote(secret, safe=""))

    assert StoreAddress().convert(url, None, None) == url
    options = node_options(parsed_store_url(url).node)
    assert secret in {options.username, options.password}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:1/0", "redis://h:1/0"),
        ("redis://:secret@h:1", "redis://h:1"),
        ("redis://user:sec@ret@h:1", "redis://h:1"),
        ("redis://:sec/ret@h", "redis://h"),
        ("redis://:sec?ret@h", "redis://h"),
        ("redis+cluster://:secret@h:1,i:2", "redis+cluster://h:1,i:2"),
        ("redis+sentinel://h/s?sentinel_password=secret", "redis+sentinel://h/s?sentinel_password=…"),
        ("unix:///s.sock?db=1&password=secret", "unix:///s.sock?db=1&password=…"),
        ("rediss://h?ssl_password=sec@ret&db=2", "rediss://h?ssl_password=…&db=2"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@pytest.mark.parametrize("url", ["redis://user:se@cret@127.0.0.1:1", "redis://127.0.0.1:1?password=secret"])
def test_an_unreachable_store_is_reported_without_its_password(url: str) -> None:
    line = refused_start("--store", url)

    assert "127.0.0.1:1" in line
    assert "cret" not in line


def test_the_start_lines_show_the_store_without_its_password(tmp_path: Path) -> None:
    with store_process(find_binary(None), tmp_path) as url:
        with redis.Redis.from_url(url) as connection:
            connection.config_set("requirepass", "hush-hush")
        with ServerProcess("--store", f"{url}?password=hush-hush") as server:
            pass

    (store,) = server.events("store")
    assert store["url"].startswith(url)
    assert not [line for line in server.lines if "hush" in line]
