"""How a Redis is named: one form, and the same care by every way to it."""

import ssl
from pathlib import Path
from typing import Any

import pytest
import redis.connection

from broker.contract.identity import Role
from broker.errors import SettingsError
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import TlsFiles
from fog_tasks.loading import load
from fog_tasks.redis_url import redis_url, socket_url
from fog_tasks.running.app import make_app

WILD = "100% #1 \"q\" 'x'?;+ü@:é"
"""What has a meaning in URLs, and may be in the name of a folder."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp(WILD)
    made = make_authority(folder)
    own = make_certificate(folder, "fog-a", Role.NODE)
    return TlsFiles(cert=own.cert, key=own.key, ca=made.cert)


def told(url: str) -> list[dict[str, Any]]:
    """What redis-py and Celery's broker and backend are told, in redis-py's words."""
    app: Any
    connection: Any
    with make_app(url, node="fog-a", registry=load([])) as app, app.connection_for_read() as connection:
        # The transport connects as it makes a channel; what it is told is asked of it before.
        transport, backend = connection.transport, app.backend
        parse: Any = redis.connection.parse_url
        channel = object.__new__(transport.Channel)
        channel.connection = transport
        return [parse(url), channel._connparams(), dict(backend.connparams)]


def test_every_way_to_a_secured_redis_checks_its_certificate_by_the_same_authority(files: TlsFiles) -> None:
    for client in told(redis_url("rediss://:secret@redis.example:6380/2", files)):
        assert client["ssl_cert_reqs"] in ("required", ssl.CERT_REQUIRED)
        assert [client["ssl_ca_certs"], client["ssl_certfile"], client["ssl_keyfile"]] == [
            str(files.ca),
            str(files.cert),
            str(files.key),
        ]
        assert issubclass(client["connection_class"], redis.connection.SSLConnection)
        assert client.get("ssl_check_hostname", True) is True
        assert [client["host"], client["port"], int(client["db"])] == ["redis.example", 6380, 2]
        assert client["password"] == "secret"


def test_a_bare_rediss_is_checked_by_the_systems_authorities() -> None:
    """Even if it was not read here."""
    for url in (redis_url("rediss://redis.example", TlsFiles()), "rediss://redis.example"):
        for client in told(url):
            assert client.get("ssl_cert_reqs", "required") in ("required", ssl.CERT_REQUIRED)
            assert issubclass(client["connection_class"], redis.connection.SSLConnection)
            assert client.get("ssl_ca_certs") is None


def test_what_other_programs_need_in_the_url_may_be_there() -> None:
    bare = redis_url("rediss://redis.example/0", TlsFiles())
    for value in ("required", "CERT_REQUIRED"):
        assert redis_url(f"rediss://redis.example/0?ssl_cert_reqs={value}", TlsFiles()) == bare
    assert redis_url("valkeys://redis.example/0", TlsFiles()) == bare
    assert redis_url("valkey://redis.example/0", TlsFiles()) == "redis://redis.example/0"


def test_a_socket_in_any_folder_and_a_database_are_the_same_to_every_client() -> None:
    socket = Path(f"/tmp/{WILD}/redis.sock")
    for client in told(f"{socket_url(socket)}?db=3"):
        assert [client["path"], int(client["db"])] == [str(socket), 3]
    for client in told(redis_url("unix:///tmp/our data/redis.sock?db=3", TlsFiles())):
        assert [client["path"], int(client["db"])] == ["/tmp/our data/redis.sock", 3]


@pytest.mark.parametrize(
    "option",
    ["ssl_cert_reqs=none", "ssl_cert_reqs=CERT_OPTIONAL", "ssl_check_hostname=false", "ssl_ca_certs=/c"],
)
def test_no_url_leaves_a_check_out(option: str) -> None:
    with pytest.raises(SettingsError, match=r"always checked; .* --ca FILE"):
        redis_url(f"rediss://:secret@redis.example/0?{option}", TlsFiles())


@pytest.mark.parametrize(
    "given",
    [
        "redis",
        "http://a",
        "rediss://",
        "redis://a/b",
        "redis://a:0",
        "redis://a:x",
        "redis://a/0#b",
        "unix://",
    ],
)
def test_what_clients_would_read_differently_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"is not redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix://"):
        redis_url(given, TlsFiles())


def test_a_password_is_never_shown() -> None:
    with pytest.raises(SettingsError) as told:
        redis_url("rediss://:secret@redis.example/0?ssl_cert_reqs=none", TlsFiles())
    assert "secret" not in str(told.value)
