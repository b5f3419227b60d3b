"""What Home Assistant is told of the results of rules, so that it shows them: its MQTT discovery.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery has the topics and the keys. No I/O, no clock.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from broker.contract.message import Message
from broker.contract.messages import UNREADABLE
from broker.contract.topics import StateTopic
from fog_node.rules.rule import Announcement, Rule

PLATFORMS = {
    "binary_sensor": "state_topic",
    "camera": "topic",
    "device_tracker": "state_topic",
    "event": "state_topic",
    "image": "image_topic",
    "sensor": "state_topic",
}
"""What Home Assistant can only show, each with its key for the topic: a result takes no commands."""

_TOLD_BY_US: dict[str, dict[str, Any]] = {
    # A task returns true and false; text goes out as it is, so one may return "ON", too.
    "binary_sensor": {"value_template": "{{ {'true': 'ON', 'false': 'OFF'}.get(value, value) }}"},
    # Bytes are base64 in JSON.
    "camera": {"image_encoding": "b64"},
    "image": {"image_encoding": "b64"},
}

AGAIN = 600.0
"""Seconds after which a result is told of again: a broker may have lost what it had retained."""

MOST = 10_000
"""Topics that are remembered. What is forgotten is told once more, and stays if its rule goes."""


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What made an announcement: a rule, and the template of its results."""

    rule: str
    result: str


def announcement_fault(rule: Rule) -> str | None:
    """Say in a few words what is wrong with what a rule announces, or None if nothing is."""
    return None if rule.announce is None else next(_faults(rule, rule.announce), None)


def _faults(rule: Rule, told: Announcement) -> Iterator[str]:
    if told.platform not in PLATFORMS:
        yield f"platform {told.platform!r} is unknown; it is {', '.join(PLATFORMS)}"
    if not rule.tells_value and "value_template" not in told.more:
        yield 'publish = "outcome" is not what Home Assistant reads: leave it out, or add a value_template'
    if told.platform == "event" and "event_types" not in told.more:
        yield "platform 'event' needs event_types, the list of those that there are"
    if told.platform == "event" and rule.retain:
        yield "Home Assistant passes over events that are retained: leave out retain"


class Announcing:
    """Makes the messages, and knows what is retained at the broker by now.

    `address` is the node's name, or what several gateways that share their results have in common: then
    `node`, whose state says whether the results are to be trusted, is None.
    """

    def __init__(self, address: str, node: str | None, version: str) -> None:
        self._known: dict[str, Told] = {}
        self._address = address
        self._node = node
        self._version = version
        # When this life has told of which rules and results.
        self._told: dict[tuple[str, str], float] = {}

    def dump(self) -> bytes:
        """What is retained at the broker, for the node's next start."""
        return msgspec.json.encode(self._known)

    def load(self, written: bytes) -> bool:
        """Take over what an earlier life wrote. False if it cannot be read; nothing changes then."""
        try:
            self._known = msgspec.json.decode(written, type=dict[str, Told])
        except UNREADABLE:
            return False
        return True

    def announce(self, rule: Rule, result: str, levels: Mapping[str, str], now: float) -> Message | None:
        """Tell of a result, unless this has been done of late. `now` is of a clock that nobody sets."""
        key = (rule.name, result)
        if rule.announce is None or rule.result is None or now - self._told.get(key, -math.inf) < AGAIN:
            return None
        _keep(self._told, key, now)
        unique_id = self._unique_id(rule.name, *result.split("/"))
        topic = f"{_folder(rule)}/{unique_id}/config"
        _keep(self._known, topic, Told(rule.name, rule.result))
        payload = msgspec.json.encode(self._config(rule, result, levels, unique_id))
        return Message(topic=topic, payload=payload, qos=1, retain=True)

    def withdraw(self, rules: Iterable[Rule]) -> list[Message]:
        """Clear what was announced by rules that are not among these any more; the rest is told anew."""
        self._told.clear()
        stay = {Told(one.name, one.result): one for one in rules if one.announce and one.result}
        gone = [topic for topic, told in self._known.items() if not self._tells(stay.get(told), topic)]
        for topic in gone:
            del self._known[topic]
        return [Message(topic=topic, payload=b"", qos=1, retain=True) for topic in gone]

    def _tells(self, rule: Rule | None, topic: str) -> bool:
        return rule is not None and topic.startswith(f"{_folder(rule)}/{self._unique_id(rule.name)}__")

    def _unique_id(self, *parts: str) -> str:
        return "__".join(map(_escaped, (self._address, *parts)))

    def _config(
        self, rule: Rule, result: str, levels: Mapping[str, str], unique_id: str
    ) -> Mapping[str, Any]:
        told = rule.announce
        assert told is not None
        # Results of several rules about one thing are one device of Home Assistant's.
        about = tuple(levels.values())
        config: dict[str, Any] = {
            "name": told.name or rule.name,
            "unique_id": unique_id,
            PLATFORMS[told.platform]: result,
            "unit_of_measurement": told.unit,
            "device_class": told.device_class,
            "state_class": told.state_class,
            "device": {
                "identifiers": [f"weighbridge__{self._unique_id(*about)}"],
                "name": " ".join(about) or self._address,
            },
            "origin": {"name": "Weighbridge", "sw_version": self._version},
            **_TOLD_BY_US.get(told.platform, {}),
        }
        if self._node is not None:
            config["availability_topic"] = str(StateTopic(self._node))
            config["availability_template"] = "{{ 'online' if value_json.online else 'offline' }}"
        return {key: value for key, value in {**config, **told.more}.items() if value is not None}


def _keep(known: dict[Any, Any], key: Any, value: Any) -> None:
    """Remember something as the latest, and forget the earliest beyond MOST."""
    known.pop(key, None)
    known[key] = value
    if len(known) > MOST:
        del known[next(iter(known))]


def _folder(rule: Rule) -> str:
    assert rule.announce is not None
    return f"{rule.announce.prefix}/{rule.announce.platform}"


def _escaped(part: str) -> str:
    """What no other text becomes, of letters, digits and what Home Assistant lets be in an identifier."""
    return re.sub(r"[^A-Za-z0-9-]", lambda found: "".join(f"_{one:02x}" for one in found[0].encode()), part)
