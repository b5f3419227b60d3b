"""The TLS listeners of the embedded broker and the client that comes by TLS."""

import asyncio
import os
import shutil
import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from broker.client import BusClient, ClientSettings
from broker.contract.identity import Role
from broker.contract.message import Message
from broker.engines.embedded import EmbeddedEngine, EmbeddedSettings
from broker.engines.embedded.access import UserAccess
from broker.errors import SettingsError
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import ServerTls, TlsFiles, client_context
from tests.broker.engines.embedded.conftest import LOOPBACK
from tests.support.eventually import eventually


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder)
    for name in ("fog-a", "fog-b"):
        make_certificate(folder, name, Role.NODE, hosts=["127.0.0.1"])
    return folder


def files(folder: Path, name: str) -> TlsFiles:
    return TlsFiles(cert=folder / f"{name}.crt", key=folder / f"{name}.key", ca=folder / "ca.crt")


def secured(tls: TlsFiles) -> EmbeddedSettings:
    return EmbeddedSettings(listen=None, listen_tls=LOOPBACK, tls=tls)


async def subject_at(port: int, trust: Path) -> object:
    """Whom the broker says that it is."""
    context = client_context(TlsFiles(ca=trust))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return dict(part for parts in writer.get_extra_info("peercert")["subject"] for part in parts)[
            "commonName"
        ]
    finally:
        writer.transport.abort()


async def test_a_link_by_mutual_tls_is_read_to_its_last_byte(made: Path) -> None:
    """Many messages in one TLS record: what TLS holds decrypted is drained, not left for the next one."""
    seen: list[Message] = []
    engine = EmbeddedEngine(secured(replace(files(made, "fog-a"), require=True)), UserAccess(None))
    await engine.start(lambda message: seen.append(message), ["fog/#"])  # noqa: PLW0108
    settings = ClientSettings(client_id="link", tls=files(made, "fog-b"))
    client, arrived = BusClient(engine.url, settings), list[bytes]()
    try:
        client.start(lambda message: arrived.append(message.payload), ["fog/mesh/fog-b/results/+"])
        await client.wait_connected(30)
        await client.publish(Message(topic="fog/mesh/fog-a/tasks/light/sum/fog-b/1", payload=b"", qos=1))
        assert [(one.user, one.role) for one in seen] == [("fog-b", Role.NODE)]
        wanted = [b"%d" % number for number in range(15)]
        for payload in wanted:
            engine.publish(Message(topic="fog/mesh/fog-b/results/1", payload=payload, qos=1))
        await eventually(lambda: arrived == wanted)
    finally:
        await client.stop()
        await engine.stop()


async def test_changed_certificates_are_used_without_a_restart(made: Path, tmp_path: Path) -> None:
    """One that does not fit its key changes nothing."""
    for kind in ("crt", "key"):
        shutil.copy(made / f"fog-a.{kind}", tmp_path / f"node.{kind}")
    tls = TlsFiles(cert=tmp_path / "node.crt", key=tmp_path / "node.key")
    engine = EmbeddedEngine(secured(tls))
    await engine.start(lambda _: None, [])
    port = int(engine.url.rpartition(":")[2])
    try:
        assert await subject_at(port, made / "ca.crt") == "fog-a"
        with capture_logs() as logs:
            shutil.copy(made / "fog-b.crt", tmp_path / "node.crt")
            await eventually(lambda: [line["event"] for line in logs] == ["certificates_unreadable"])
        assert await subject_at(port, made / "ca.crt") == "fog-a"
        shutil.copy(made / "fog-b.key", tmp_path / "node.key")
        async with asyncio.timeout(30):
            while await subject_at(port, made / "ca.crt") != "fog-b":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await engine.stop()


@pytest.mark.parametrize("jump", [365 * 24 * 3600, -365 * 24 * 3600])
def test_a_file_that_a_clock_that_jumped_has_dated_is_read_all_the_same(
    made: Path, tmp_path: Path, jump: int
) -> None:
    """What counts is that the file is another one, not that it is younger."""
    for ending in ("crt", "key"):
        shutil.copy(made / f"fog-a.{ending}", tmp_path / f"node.{ending}")
    tls = ServerTls(TlsFiles(cert=tmp_path / "node.crt", key=tmp_path / "node.key"))
    with capture_logs() as logs:
        tls.refresh()
        assert not logs
        for ending in ("crt", "key"):
            shutil.copy(made / f"fog-b.{ending}", tmp_path / f"node.{ending}")
            os.utime(tmp_path / f"node.{ending}", (then := time.time() + jump, then))
        tls.refresh()
        tls.refresh()
    assert [one["event"] for one in logs] == ["certificates_read"]


async def test_old_versions_of_tls_are_refused(made: Path) -> None:
    engine = EmbeddedEngine(secured(files(made, "fog-a")))
    await engine.start(lambda _: None, [])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.open_connection("127.0.0.1", int(engine.url.rpartition(":")[2]), ssl=context)
    finally:
        await engine.stop()


@pytest.mark.parametrize("role", list(Role))
def test_who_is_not_in_the_folder_is_not_made_up(tmp_path: Path, role: Role) -> None:
    """Without an authority there is a sentence; what is there is not written over; keys are private."""
    with pytest.raises(SettingsError, match="cert ca"):
        make_certificate(tmp_path, "x", role)
    written = make_authority(tmp_path)
    assert written.key.stat().st_mode & 0o077 == 0
    with pytest.raises(SettingsError, match="there already"):
        make_authority(tmp_path)
    with pytest.raises(SettingsError, match="the authority itself"):
        make_certificate(tmp_path, "ca", role)
    with pytest.raises(SettingsError, match="cannot be used"):
        client_context(TlsFiles(cert=tmp_path / "none.crt"))
