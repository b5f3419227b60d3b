"""Messages, deliveries and wills as rows of the broker's store."""

from functools import lru_cache
from typing import Any

from broker.contract.identity import Identity, Role
from broker.engines.embedded.message import Delivery, RoutedMessage
from broker.engines.embedded.sessions.will import LastWill
from broker.mqtt.packets import Will

PUT_MESSAGE = "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_ENTRY = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_WILL = "INSERT OR REPLACE INTO will VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def message_row(one: RoutedMessage) -> tuple[object, ...]:
    """A row for PUT_MESSAGE."""
    return one.row, one.topic, one.payload, one.qos, one.born, one.retain, one.sender, one.expires, one.passed


def entry_row(session: str, one: Delivery) -> tuple[object, ...]:
    """A row for PUT_ENTRY."""
    identifiers = " ".join(map(str, one.identifiers))
    said = one.message.row, one.qos, one.retain
    return (one.row, session, *said, int(one.stage), one.packet_id, identifiers, one.replayed)


@lru_cache(maxsize=64)
def read_identifiers(written: str) -> tuple[int, ...]:
    """The identifiers in a row; messages of one topic have the same, and share them then."""
    return tuple(map(int, written.split()))


def will_row(session: str, will: LastWill, due: float) -> tuple[object, ...]:
    """A row for PUT_WILL."""
    said, who = will.said, will.certificate
    login = (will.username, who and who.name, who and who.role)
    message = (said.topic, said.payload, said.qos, said.retain)
    return (session, *message, said.delay, said.expiry, said.passed, *login, due)


def read_will(row: tuple[Any, ...]) -> LastWill:
    """The will that the columns between the first and the last of its row tell of."""
    topic, payload, qos, retain, delay, expiry, passed, username, name, role = row
    certificate = None if name is None else Identity(name, Role(role))
    said = Will(topic, payload, qos, bool(retain), delay, expiry, passed)
    return LastWill(said, username, certificate)
