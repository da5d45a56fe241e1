"""What may be in a store's URL, and that none of its secrets is ever shown."""

from pathlib import Path

import pytest
import redis

from tallykeeper_server.settings import without_password
from tallykeeper_server.store.embedded import find_binary
from tests.server.starting import refused_start, wrong_setting
from tests.serving import ServerProcess, store_process


@pytest.mark.parametrize(
    ("store", "told"),
    [
        ("mysql://h", ["'mysql://h'", "redis://"]),
        ("redis://:secret@h:port", ["'redis://h:port'"]),
        ("redis://[::1", ["'redis://[::1'", "host:port"]),
        ("redis://:secret/password@h", ["'redis://h'", "%-code"]),
        ("redis://h/first", ["number of a database"]),
        ("redis://h?colour=red", ["'redis://h?colour=red'", "colour"]),
        ("redis://h?socket_timeout=5", ["socket_timeout"]),
        ("redis://h?protocol=3", ["protocol"]),
        ("redis://h?db=first", ["'db'"]),
        ("redis://h?ssl_ca_certs=/ca.pem", ["ssl_ca_certs"]),
        ("rediss://h?ssl_cert_reqs=perhaps", ["perhaps"]),
        ("unix://", ["'unix://'", "path"]),
        ("unix://run/valkey.sock", ["absolute path"]),
        ("redis+sentinel://h", ["redis+sentinel://host:26379,host:26379/service"]),
        ("redis+sentinel://h/a service", ["redis+sentinel://host:26379,host:26379/service"]),
        ("redis+sentinel://h:1,/stocks", ["joined by commas"]),
        ("redis+sentinel://:secret/word@h/stocks", ["%-code"]),
        ("redis+sentinel://h/stocks?colour=red", ["redis+sentinel:// takes no colour", "sentinel_password"]),
        ("redis+cluster://h:0", ["joined by commas"]),
        ("redis+cluster://h:99999", ["joined by commas"]),
        ("redis+cluster://h?db=1", ["no databases"]),
        ("redis+cluster://h/1", ["no databases"]),
        ("redis+cluster://h?sentinel_password=secret", ["takes no sentinel_password"]),
        ("redis+cluster://h?ssl_ca_certs=/ca.pem", ["ssl_ca_certs"]),
        ("unix+cluster:///s.sock", ["'unix+cluster:///s.sock'", "redis+cluster://"]),
    ],
)
def test_a_url_that_cannot_be_used_is_one_clear_line_and_exit_2(store: str, told: list[str]) -> None:
    line = wrong_setting("--store", store)

    assert "--store" in line
    assert all(part in line for part in told), line
    assert "secret" not in line


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
def test_a_store_out_of_reach_is_told_without_its_password(url: str) -> None:
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
