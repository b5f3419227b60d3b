"""Who comes in by TLS and by WebSocket: limits hold from the first moment, and refusals are told once."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.contract.identity import Role
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from broker.engines.embedded.access import UserAccess
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import TlsFiles, client_context
from tests.broker.engines.embedded.conftest import LOOPBACK
from tests.support.eventually import eventually

KINDS = ["listen", "websocket", "listen_tls", "websocket_tls"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority with certificates for a broker and a device, and another one with a device's."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("ours", "theirs"):
        (folder / name).mkdir()
        make_authority(folder / name)
        make_certificate(folder / name, "camera", Role.DEVICE)
    make_certificate(folder / "ours", "fog-a", Role.NODE, hosts=["127.0.0.1"])
    return folder


@asynccontextmanager
async def opened(made: Path, kind: str, **limits: float) -> AsyncIterator[tuple[EmbeddedEngine, int]]:
    ours = made / "ours"
    tls = TlsFiles(cert=ours / "fog-a.crt", key=ours / "fog-a.key", ca=ours / "ca.crt", require=True)
    settings = EmbeddedSettings(**{"listen": None, kind: LOOPBACK}, tls=tls)  # type: ignore[arg-type]
    engine = EmbeddedEngine(replace(settings, **limits), UserAccess(None))  # type: ignore[arg-type]
    await engine.start(lambda _: None, [])
    try:
        yield engine, int(engine.urls[0].rpartition(":")[2])
    finally:
        await engine.stop()


@contextmanager
def logged() -> Iterator[Callable[[str], list[str]]]:
    """Gives the reasons of the entries of one name that were logged meanwhile."""
    with capture_logs() as entries:
        yield lambda event: [str(entry["reason"]) for entry in entries if entry["event"] == event]


async def closed(reader: asyncio.StreamReader, within: float = 5.0) -> bool:
    """Whether the other side ends the connection in that time."""
    try:
        return await asyncio.wait_for(reader.read(), within) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


async def comes_in(port: int, address: str) -> bool:
    """Whether one who says nothing is let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        return not await closed(reader, 0.1)
    finally:
        writer.close()


async def is_refused(port: int, address: str) -> bool:
    """Whether one who says nothing is closed; however late that is, it was not let in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
    try:
        return await closed(reader)
    finally:
        writer.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_silent_connections_of_one_address_leave_room_for_another(made: Path, kind: str) -> None:
    """Whatever the port speaks: nothing has to be said on it for a connection to count."""
    with logged() as reasons:
        async with opened(made, kind, connections=4, connections_per_address=3) as (engine, port):
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            assert await is_refused(port, "127.0.0.1")
            assert engine.counters.connections_refused == 1
            assert await comes_in(port, "127.0.0.2")
            assert reasons("too_many_connections") == ["127.0.0.1 has 3 already"]
            # Who goes makes room.
            silent.pop()[1].close()
            async with asyncio.timeout(5):
                while not await comes_in(port, "127.0.0.1"):
                    pass
            for _, writer in silent:
                writer.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_who_stays_silent_is_closed_and_leaves(made: Path, kind: str) -> None:
    limits = {"connections_per_address": 1, "connect_timeout": 0.2}
    async with opened(made, kind, **limits) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await closed(reader)
        writer.close()
        async with asyncio.timeout(5):
            while not await comes_in(port, "127.0.0.1"):
                pass


async def shake_hands(port: int, context: ssl.SSLContext) -> None:
    """A handshake as a client sees it; with TLS 1.3 it hears of its end with the first byte it reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        await asyncio.wait_for(reader.read(1), 5)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("kind", ["listen_tls", "websocket_tls"])
async def test_a_handshake_that_fails_is_counted_and_logged_once(made: Path, kind: str) -> None:
    ours, theirs = made / "ours", made / "theirs"
    stranger = client_context(
        TlsFiles(ca=ours / "ca.crt", cert=theirs / "camera.crt", key=theirs / "camera.key")
    )
    nameless = client_context(TlsFiles(ca=ours / "ca.crt"))
    distrustful = client_context(TlsFiles(ca=theirs / "ca.crt"))
    with logged() as reasons:
        async with opened(made, kind) as (engine, port):
            for count, context in enumerate((stranger, nameless, distrustful), start=1):
                # Some clients hear why, others that it is over.
                with contextlib.suppress(ssl.SSLError, ConnectionError):
                    await shake_hands(port, context)
                await eventually(lambda: engine.counters.handshakes_failed == count)  # noqa: B023
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            await closed(reader)
            writer.close()
            await eventually(lambda: engine.counters.handshakes_failed == 4)
    told = reasons("connection_refused")
    assert len(told) == 4
    assert told[0].startswith("its certificate is not believed: ")
    assert told[1] == "TLS: peer did not return a certificate"
    assert told[2] in ("TLS: tlsv1 alert unknown ca", "it left before it was in")
    assert told[3] == "TLS: http request"


async def test_a_name_with_several_addresses_is_listened_on_at_all_of_them() -> None:
    engine = EmbeddedEngine(EmbeddedSettings(listen=replace(LOOPBACK, host="localhost")))
    await engine.start(lambda _: None, [])
    try:
        port = int(engine.url.rpartition(":")[2])
        for _, *_, place in await asyncio.get_running_loop().getaddrinfo("localhost", port):
            _, writer = await asyncio.open_connection(str(place[0]), port)
            writer.close()
    finally:
        await engine.stop()
