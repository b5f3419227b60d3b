"""Nodes with certificates: secure WebSockets, files that change, and links between three of them."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import TlsFiles, client_context
from tests.broker.engines.embedded.raw_client import connect_packet
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import listening, request
from tests.support.phone import ask, value
from tests.support.programs import Program, cloud_node, fog_node

POLICY = "tests.end_to_end.away_policy:away"
TIMEOUT = 10.0
HOSTS = ["127.0.0.1", "localhost"]

NO_TLS = (
    b"",
    b"\x16\x03\x01\x02\x00\x01",  # the beginning of a greeting
    b"\x16\x03\x01\x00\x05hello",  # a greeting of something else
    b"\x16\x03\x01\xff\xff" + b"a" * 70_000,
    b"GET /mqtt HTTP/1.1\r\nHost: a\r\n\r\n",
    connect_packet("a"),
    bytes(range(256)) * 8,
)


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


def read_to_the_end(one: socket.socket) -> bytes:
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := one.recv(1000):
            got += data
    return got


def ports_of(node: Program) -> set[int]:
    """The TCP ports that it listens on."""
    sockets = psutil.Process(node.process.pid).net_connections("tcp")
    return {one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN}


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


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Iterator[tuple[Program, int, int]]:
    """A node that listens by TLS alone and lets in certificates alone, and its two ports."""
    port, ws_port = free_port(), free_port()
    options = ["--listen", "off", "--listen-tls", f"127.0.0.1:{port}", "--ws-tls", f"127.0.0.1:{ws_port}"]
    options += ["--require-certificate", "--connect-timeout", "2", *tls(made, "fog-a")]
    with fog_node(tmp_path_factory.mktemp("closed"), *options) as node:
        yield node, port, ws_port


def test_secure_websockets_let_in_who_has_a_certificate(made: Path, closed: tuple[Program, int, int]) -> None:
    """The plain listener is off; the certificate's name is the user."""
    node, port, ws_port = closed
    assert node.url == f"mqtts://127.0.0.1:{port}"
    assert ports_of(node) == {port, ws_port}
    client = phone(made, certificate=True)
    assert value(ask(lambda c: c.connect("127.0.0.1", ws_port), client, "1")) == 6
    assert greeted(ws_port, made) == b""


def test_what_is_no_tls_is_closed_and_leaves_no_traceback(
    made: Path, closed: tuple[Program, int, int]
) -> None:
    """Also who says nothing, or half a greeting, on either port; a phone is served behind all of them."""
    node, *ports = closed
    with contextlib.ExitStack() as stack:
        opened = []
        for port in ports:
            for data in NO_TLS:
                one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
                one.sendall(data)
                opened.append(one)
        client = phone(made, certificate=True)
        assert value(ask(lambda c: c.connect("127.0.0.1", ports[1]), client, "2")) == 6
        for one in opened:
            # An alert at most: 21 is its type.
            assert read_to_the_end(one)[:1] in (b"", b"\x15")
    assert "Traceback" not in node.stderr
    assert "exception" not in node.stderr.lower()


def test_new_certificates_are_for_new_connections(tmp_path: Path, made: Path) -> None:
    """By TCP and by WebSockets. Who is connected stays so; a file that cannot be used changes nothing."""
    both = tmp_path / "node.pem"
    port, ws_port, context = free_port(), free_port(), client_context(TlsFiles(ca=made / "ca.crt"))

    def write(text: str) -> None:
        """At once, as a program that renews certificates does."""
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").rename(both)

    def pair(name: str) -> str:
        return (made / f"{name}.crt").read_text() + (made / f"{name}.key").read_text()

    def names() -> set[object]:
        """Whom the node says that it is, on both of its ports."""
        found: set[object] = set()
        for one in (port, ws_port):
            with (
                socket.create_connection(("127.0.0.1", one), timeout=TIMEOUT) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as secured,
            ):
                subject: Any = (secured.getpeercert() or {})["subject"]
                found.add(dict(part for parts in subject for part in parts)["commonName"])
        return found

    write(pair("fog-a"))
    options = ["--listen-tls", f"127.0.0.1:{port}", "--ws-tls", f"127.0.0.1:{ws_port}"]
    with (
        fog_node(tmp_path, *options, "--cert", str(both), "--key", str(both)) as node,
        listening(port, "fog/results/me/1", "--cafile", f"{made}/ca.crt", count=1) as earlier,
    ):
        assert names() == {"fog-a"}
        assert greeted(ws_port, made).startswith(b"HTTP/1.1 ")
        write("no certificate")
        node.wait_for_log("certificates_unreadable")
        assert names() == {"fog-a"}
        write(pair("fog-b"))
        node.wait_for_log("certificates_read ")
        assert names() == {"fog-b"}
        client = phone(made, certificate=False)
        assert value(ask(lambda c: c.connect("127.0.0.1", ws_port), client, "1")) == 6
        assert request(node.port, "fog/tasks/light/sum/me/1", "[1,2]").ok
        assert len(earlier.wait()) == 1
        (told,) = [line for line in node.stderr.splitlines() if "certificates_unreadable" in line]
        assert f"the certificate {both} or its key cannot be used" in told
        assert "Traceback" not in node.stderr


def test_three_nodes_share_their_work_by_mutual_tls_and_let_no_other_in(tmp_path: Path, made: Path) -> None:
    """Nothing plain listens; a node with another authority's certificate says what is wrong and stays out."""
    ports = {name: free_port() for name in ("fog-a", "fog-b", "cloud")}
    urls = {name: f"mqtts://127.0.0.1:{port}" for name, port in ports.items()}

    def secured(name: str) -> list[str]:
        listen = ["--listen", "off", "--listen-tls", f"127.0.0.1:{ports[name]}", "--require-certificate"]
        return [*listen, *tls(made, name)]

    other = tmp_path / "other"
    make_authority(other, name="Another CA")
    make_certificate(other, "fog-x", Role.NODE, hosts=HOSTS)
    mine = ["--cafile", f"{made}/ca.crt", "--cert", f"{made}/phone.crt", "--key", f"{made}/phone.key"]
    # It believes our authority, so that it is its own certificate that is refused.
    foreign = ["--ca", f"{made}/ca.crt", "--cert", f"{other}/fog-x.crt", "--key", f"{other}/fog-x.key"]
    with (
        cloud_node(tmp_path, *secured("cloud")) as cloud,
        fog_node(
            tmp_path, *secured("fog-b"), "--cloud", urls["cloud"], name="fog-b", workers="medium=1"
        ) as second,
        fog_node(
            tmp_path, *secured("fog-a"), "--neighbour", urls["fog-b"], "--policy", POLICY, workers="medium=1"
        ) as first,
        fog_node(tmp_path, *foreign, "--neighbour", urls["fog-b"], name="fog-x") as stranger,
    ):
        second.wait_for_log("change=joined")
        first.wait_for_log("the node is new")
        shared = request(first.port, "fog/tasks/medium/sum/phone/1", "[1,2]", *mine)
        lifted = request(second.port, "fog/tasks/heavy/sum/phone/2", "[3,4]", *mine)
        assert [(value(shared), shared.node), (value(lifted), lifted.node)] == [(3, "fog-b"), (7, "cloud")]
        stranger.wait_for_log("signed by its authority")
        assert "the node is new" not in stranger.stderr
        for node in (cloud, first, second, stranger):
            assert "Traceback" not in node.stderr
