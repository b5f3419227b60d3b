"""The embedded broker's WebSocket listener, as phone apps and web pages use it."""

from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mosquitto import free_port
from tests.support.phone import ask, value
from tests.support.programs import fog_node


@pytest.mark.parametrize("path", ["/mqtt", "/"])
def test_paho_over_websockets(tmp_path: Path, path: str) -> None:
    port = free_port()
    with fog_node(tmp_path, "--ws", f"127.0.0.1:{port}", workers="light=1"):
        client = paho.Client(CallbackAPIVersion.VERSION2, transport="websockets")
        client.ws_set_options(path=path)
        assert value(ask(lambda c: c.connect("127.0.0.1", port), client, "1")) == 6
