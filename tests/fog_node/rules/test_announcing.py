import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.message import Message
from fog_node.rules.announcing import AGAIN, MOST, PLATFORMS, Announcing, announcement_fault
from fog_node.rules.rule import Announcement, Filter, Publish, Rule

POWER = Rule(
    name="plug-energy",
    source="node.toml, rule 1",
    on=(Filter("tele/{plug}/SENSOR"),),
    task="energy",
    result="home/{plug}/energy",
    announce=Announcement(platform="sensor", name="Power", unit="W", device_class="power"),
)
IDENTIFIER = re.compile(r"[a-zA-Z0-9_-]+")
"""What Home Assistant lets stand in a discovery topic."""


def announcing(name: str = "kitchen", *, after: Announcing | None = None) -> Announcing:
    """That of a node, in the life after another one."""
    found = Announcing(name, name, "1.0")
    assert after is None or found.load(after.dump())
    return found


def of(platform: str, **more: Any) -> Rule:
    return replace(POWER, announce=Announcement(platform=platform, more=more))


def config(message: Message | None) -> dict[str, Any]:
    assert message is not None
    found: dict[str, Any] = msgspec.json.decode(message.payload)
    return found


def test_a_result_is_announced_as_home_assistant_documents_it() -> None:
    message = announcing().announce(POWER, "home/plug1/energy", {"plug": "plug1"}, 0.0)
    assert message is not None
    assert (message.retain, message.qos) == (True, 1)
    assert message.topic == "homeassistant/sensor/kitchen__plug-energy__home__plug1__energy/config"
    assert config(message) == {
        "name": "Power",
        "unique_id": "kitchen__plug-energy__home__plug1__energy",
        "state_topic": "home/plug1/energy",
        "unit_of_measurement": "W",
        "device_class": "power",
        "device": {"identifiers": ["weighbridge__kitchen__plug1"], "name": "plug1"},
        "origin": {"name": "Weighbridge", "sw_version": "1.0"},
        "availability_topic": "fog/nodes/kitchen/state",
        "availability_template": "{{ 'online' if value_json.online else 'offline' }}",
    }


def test_a_broker_that_has_lost_what_it_had_is_told_again_some_day() -> None:
    told = announcing()
    first = told.announce(POWER, "home/plug1/energy", {}, 100.0)
    assert told.announce(POWER, "home/plug1/energy", {}, 99.0 + AGAIN) is None
    assert told.announce(POWER, "home/plug1/energy", {}, 100.0 + AGAIN) == first


def test_each_result_is_announced_once_in_a_life() -> None:
    told, levels = announcing(), {"plug": "plug1"}
    assert told.announce(POWER, "home/plug1/energy", levels, 0.0)
    assert told.announce(POWER, "home/plug1/energy", levels, 0.0) is None
    assert told.announce(POWER, "home/plug2/energy", {"plug": "plug2"}, 0.0)
    assert announcing(after=told).announce(POWER, "home/plug1/energy", levels, 0.0)


def test_a_rule_without_levels_is_a_thing_of_the_node() -> None:
    found = config(announcing().announce(replace(POWER, result="home/all"), "home/all", {}, 0.0))
    assert found["device"] == {"identifiers": ["weighbridge__kitchen"], "name": "kitchen"}


def test_gateways_that_share_their_results_announce_the_same() -> None:
    """None of their states says whether the results are to be trusted."""
    one, other = (Announcing("cloud", None, "1.0").announce(POWER, "home/a", {}, 0.0) for _ in range(2))
    assert one == other
    assert not [key for key in config(one) if "availability" in key]


@pytest.mark.parametrize(("platform", "key"), PLATFORMS.items())
def test_each_platform_has_its_key_for_the_topic(platform: str, key: str) -> None:
    assert config(announcing().announce(of(platform), "home/a", {}, 0.0))[key] == "home/a"


def test_keys_of_the_rule_win_and_are_passed_on_as_they_are() -> None:
    rule = of("binary_sensor", value_template="{{ value }}", expire_after=60)
    found = config(announcing().announce(rule, "home/a", {}, 0.0))
    assert (found["value_template"], found["expire_after"]) == ("{{ value }}", 60)


def test_a_rule_that_announces_nothing_is_silent() -> None:
    assert announcing().announce(replace(POWER, announce=None), "home/a", {}, 0.0) is None


@pytest.mark.parametrize(
    "now",
    [
        [],
        [replace(POWER, announce=None)],
        [replace(POWER, name="other")],
        [replace(POWER, result="home/{plug}/watts")],
        [of("binary_sensor")],
        [replace(POWER, announce=Announcement(platform="sensor", prefix="ha"))],
    ],
)
def test_what_no_rule_announces_any_more_is_cleared(now: list[Rule]) -> None:
    before = announcing()
    message = before.announce(POWER, "home/plug1/energy", {"plug": "plug1"}, 0.0)
    assert message is not None
    after = announcing(after=before)
    assert after.withdraw(now) == [Message(topic=message.topic, payload=b"", qos=1, retain=True)]
    assert (after.dump(), after.withdraw(now)) == (b"{}", [])


def test_what_is_announced_otherwise_is_not_cleared_but_told_anew() -> None:
    """Clearing would take from Home Assistant what its user has set for it."""
    told = announcing()
    told.announce(POWER, "home/plug1/energy", {"plug": "plug1"}, 0.0)
    other = replace(POWER, announce=Announcement(platform="sensor", unit="kW"))
    assert told.withdraw([other]) == []
    found = config(told.announce(other, "home/plug1/energy", {"plug": "plug1"}, 0.0))
    assert found["unit_of_measurement"] == "kW"


def test_of_a_node_with_another_name_everything_is_cleared() -> None:
    before = announcing()
    before.announce(POWER, "home/plug1/energy", {}, 0.0)
    assert len(announcing("attic", after=before).withdraw([POWER])) == 1


def test_what_is_remembered_has_a_bound() -> None:
    told = announcing()
    for number in range(MOST + 5):
        assert told.announce(POWER, f"home/{number}", {}, 0.0)
    assert len(msgspec.json.decode(told.dump())) == MOST
    assert told.announce(POWER, f"home/{MOST}", {}, 0.0) is None
    assert told.announce(POWER, "home/0", {}, 0.0)


@pytest.mark.parametrize("written", [b"", b"{", b'{"topic": ["rule"]}', b"\xff"])
def test_what_cannot_be_read_changes_nothing(written: bytes) -> None:
    told = announcing()
    told.announce(POWER, "home/a", {}, 0.0)
    assert not told.load(written)
    assert len(told.withdraw([])) == 1


@given(st.lists(st.text(min_size=1), min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_two_topics_never_have_one_identifier(one: list[str], other: list[str]) -> None:
    topics = ["/".join(one), "/".join(other)]
    found = [config(announcing().announce(POWER, topic, {}, 0.0))["unique_id"] for topic in topics]
    assert (found[0] == found[1]) == (topics[0] == topics[1])
    assert all(IDENTIFIER.fullmatch(each) for each in found)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (of("switch"), "platform 'switch' is unknown; it is binary_sensor, camera, device_tracker"),
        (replace(POWER, publish=Publish.OUTCOME), "add a value_template"),
        (of("event"), "needs event_types"),
        (replace(of("event", event_types=["seen"]), retain=True), "leave out retain"),
    ],
)
def test_what_makes_no_sense_is_named(rule: Rule, sentence: str) -> None:
    assert sentence in (announcement_fault(rule) or "")


@pytest.mark.parametrize(
    "rule",
    [
        POWER,
        replace(POWER, announce=None, result=None),
        of("event", event_types=["seen"]),
        replace(of("sensor", value_template="{{ value_json.value }}"), publish=Publish.OUTCOME),
    ],
)
def test_what_makes_sense_has_no_fault(rule: Rule) -> None:
    assert announcement_fault(rule) is None
