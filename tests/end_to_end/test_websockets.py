"""The embedded broker's WebSocket listener, as phone apps and web pages use it."""

from collections.abc import Iterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mosquitto import free_port
from tests.support.phone import ask, value
from tests.support.programs import fog_node


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a node."""
    port = free_port()
    with fog_node(tmp_path_factory.mktemp("node"), "--ws", f"127.0.0.1:{port}"):
        yield port


@pytest.mark.parametrize("path", ["/mqtt", "/"])
def test_paho_over_websockets(port: int, path: str, request_id: str) -> None:
    client = paho.Client(CallbackAPIVersion.VERSION2, transport="websockets")
    client.ws_set_options(path=path)
    assert value(ask(lambda c: c.connect("127.0.0.1", port), client, request_id)) == 6
