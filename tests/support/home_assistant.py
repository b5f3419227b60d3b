"""Home Assistant, as its MQTT integration sets up paho since 2026: with MQTT 5."""

import queue
import socket
from collections.abc import Sequence
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

TIMEOUT = 30.0
STATUS = "homeassistant/status"
DISCOVERY = ("homeassistant/+/+/config", "homeassistant/+/+/+/config", "homeassistant/device/+/config")


class HomeAssistant:
    """One life of it. It never says DISCONNECT, so that its will tells the devices that it has gone."""

    def __init__(self, port: int, filters: Sequence[str], *, login: tuple[str, str] | None = None) -> None:
        self.messages: queue.SimpleQueue[paho.MQTTMessage] = queue.SimpleQueue()
        self.session_present: bool | None = None
        self._port = port
        self._filters = [(one, 0) for one in filters]
        self._subscribed: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id="1ZHRdSd8RqFCGEVOF0Wy4Q",
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.will_set(STATUS, "offline", qos=0, retain=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda _client, _data, _mid, reasons, _: self._subscribed.put(
            [one.value for one in reasons]
        )
        self._client.on_message = lambda _client, _data, message: self.messages.put(message)

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port, keepalive=60, clean_start=True)
        self._client.loop_start()
        assert self._subscribed.get(timeout=TIMEOUT) == [0] * len(self._filters)
        self.publish(STATUS, "online", qos=0)
        return self

    def __exit__(self, *_error: object) -> None:
        connection = self._client.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def publish(self, topic: str, payload: str, qos: int) -> None:
        """Publish, as its action `mqtt.publish` and its buttons do."""
        self._client.publish(topic, payload, qos, retain=False).wait_for_publish(TIMEOUT)

    def next(self) -> paho.MQTTMessage:
        """The next message of a subscription."""
        return self.messages.get(timeout=TIMEOUT)

    def _on_connect(self, _client: paho.Client, _data: Any, flags: paho.ConnectFlags, *_: Any) -> None:
        self.session_present = flags.session_present
        self._client.subscribe(self._filters)
