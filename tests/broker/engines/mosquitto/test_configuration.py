"""What Mosquitto is told."""

from dataclasses import replace
from pathlib import Path

from broker.contract.address import Address
from broker.engines.mosquitto.configuration import MosquittoSettings, configuration
from broker.security.certificates import TlsFiles

SETTINGS = MosquittoSettings(
    folder=Path("/data"), listen=Address("127.0.0.1", 1883), websocket=Address("::1", 9001)
)


def test_each_listener_follows_its_address_and_protocol() -> None:
    lines = configuration(SETTINGS).splitlines()
    assert "listener 0 /data/node.sock" in lines
    tcp = lines.index("listener 1883 127.0.0.1")
    assert lines[tcp + 1] == "protocol mqtt"
    websocket = lines.index("listener 9001 ::1")
    assert lines[websocket + 1] == "protocol websockets"


def test_a_listener_that_is_off_is_not_there() -> None:
    quiet = MosquittoSettings(folder=Path("/data"), listen=None)
    listeners = [line for line in configuration(quiet).splitlines() if line.startswith("listener")]
    assert listeners == ["listener 0 /data/node.sock"]


def test_delays_are_off_and_everything_is_bounded() -> None:
    lines = configuration(SETTINGS).splitlines()
    assert "set_tcp_nodelay true" in lines
    for bound in ("max_packet_size", "max_queued_messages", "max_queued_bytes", "max_connections"):
        assert any(line.startswith(bound) and int(line.split()[1]) > 0 for line in lines), bound


def test_an_encrypted_listener_asks_for_certificates_where_they_are_required() -> None:
    files = TlsFiles(cert=Path("/c.crt"), key=Path("/c.key"), ca=Path("/ca.crt"))
    names = {"require_certificate true", "use_identity_as_username true", "cafile /ca.crt"}
    for required in (False, True):
        secured = replace(
            SETTINGS, listen_tls=Address("127.0.0.1", 8883), tls=replace(files, require=required)
        )
        lines = configuration(secured).splitlines()
        own = lines[lines.index("listener 8883 127.0.0.1") :]
        assert {"certfile /c.crt", "keyfile /c.key", "tls_version tlsv1.2"} < set(own)
        assert names & set(lines) == (names if required else set())


def test_everybody_is_let_in_without_users_and_nobody_unnamed_with_them() -> None:
    assert "allow_anonymous true" in configuration(SETTINGS).splitlines()
    lines = configuration(replace(SETTINGS, plugin=Path("/p.so"), allow_anonymous=False)).splitlines()
    assert {
        "allow_anonymous false",
        "password_file /data/passwords",
        "plugin /p.so",
        "plugin_opt_config_file /data/rules.json",
    } < set(lines)
