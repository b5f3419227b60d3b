"""Between messages and settings, as the bus knows them, and packets, as MQTT does. No I/O."""

from broker.client.settings import ClientSettings
from broker.contract.message import Message
from broker.contract.url import BrokerUrl
from broker.mqtt.fields import write_text
from broker.mqtt.kinds import V5
from broker.mqtt.packets import Connect, Will
from broker.mqtt.passed_on import write_passed_on
from broker.mqtt.properties import with_length
from broker.mqtt.writing import encode_publish, publish_properties


def to_connect(url: BrokerUrl, settings: ClientSettings, version: int) -> Connect:
    """How the client introduces itself."""
    will, username, password = settings.will, url.username, url.password
    return Connect(
        version=version,
        client_id=settings.client_id,
        clean_start=not settings.persistent,
        keepalive=settings.keepalive,
        username=username,
        # Before MQTT 5 there is none without a user.
        password=None if username is None or password is None else password.encode(),
        will=None if will is None else Will(will.topic, will.payload, will.qos, will.retain),
        session_expiry=settings.session_expiry if settings.persistent else 0,
        receive_maximum=settings.unstored,
        maximum_packet=settings.largest,
    )


def encode_message(message: Message, packet_id: int, version: int, *, dup: bool = False) -> bytes:
    """Write the PUBLISH that carries a message; `packet_id` counts with QoS 1 and 2 only."""
    return encode_publish(
        write_text(message.topic),
        message.payload,
        qos=message.qos,
        retain=message.retain,
        dup=dup,
        packet_id=packet_id,
        properties=_properties(message) if version == V5 else b"",
    )


def _properties(message: Message) -> bytes:
    passed = write_passed_on(message)
    if message.expiry is None:
        return with_length(passed)
    # Zero is not "at once" but a message that nobody gets.
    return publish_properties(expiry=max(1, round(message.expiry)), passed=passed)
