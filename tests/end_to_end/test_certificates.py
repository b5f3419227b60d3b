"""Nodes with certificates: secure WebSockets, files that change, and links between three of them."""

import socket
import ssl
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.access import Role
from broker.authority import make_authority, make_certificate
from broker.certificates import TlsFiles, client_context
from tests.support.mosquitto import free_port
from tests.support.phone import ask, value
from tests.support.programs import fog_node

TIMEOUT = 10.0
HOSTS = ["127.0.0.1", "localhost"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of one authority: three nodes and a device."""
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder)
    for name in ("fog-a", "fog-b", "cloud"):
        make_certificate(folder, name, Role.NODE, hosts=HOSTS)
    make_certificate(folder, "phone", Role.DEVICE)
    return folder


def tls(folder: Path, name: str) -> list[str]:
    return ["--ca", f"{folder}/ca.crt", "--cert", f"{folder}/{name}.crt", "--key", f"{folder}/{name}.key"]


def phone(folder: Path, *, certificate: bool) -> paho.Client:
    """A paho client of secure WebSockets that believes our authority."""
    client = paho.Client(CallbackAPIVersion.VERSION2, transport="websockets")
    cert, key = (f"{folder}/phone.crt", f"{folder}/phone.key") if certificate else (None, None)
    client.tls_set(f"{folder}/ca.crt", cert, key)
    return client


def greeted(port: int, folder: Path) -> bytes:
    """What a stranger without a certificate gets for an HTTP request; paho would leave its socket open."""
    context = client_context(TlsFiles(ca=folder / "ca.crt"))
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as secured:
                secured.sendall(b"GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n")
                return secured.recv(100)
        except (ssl.SSLError, ConnectionError):
            # With TLS 1.3 a client hears only after its handshake that it was refused, or sees the end.
            return b""


def test_a_phone_is_served_over_secure_websockets(tmp_path: Path, made: Path) -> None:
    port = free_port()
    with fog_node(tmp_path, "--ws-tls", f"127.0.0.1:{port}", *tls(made, "fog-a")):
        assert greeted(port, made).startswith(b"HTTP/1.1 ")
        client = phone(made, certificate=False)
        assert value(ask(lambda c: c.connect("127.0.0.1", port), client, "1")) == 6


def test_secure_websockets_alone_let_in_certificates_alone(tmp_path: Path, made: Path) -> None:
    """The plain listener is off; the certificate's name is the user."""
    port = free_port()
    options = ["--listen", "off", "--ws-tls", f"127.0.0.1:{port}", "--require-certificate"]
    with fog_node(tmp_path, *options, *tls(made, "fog-a")) as node:
        assert node.url == f"wss://127.0.0.1:{port}"
        client = phone(made, certificate=True)
        assert value(ask(lambda c: c.connect("127.0.0.1", port), client, "1")) == 6
        assert greeted(port, made) == b""
        assert "Traceback" not in node.stderr
