"""Filters with names for their levels."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broker.contract.filters import matches
from fog_node.errors import RuleFault
from fog_node.rules.language.pattern import read_pattern

TEXTS = st.sampled_from(["a", "b", "", "fog", "$SYS"])
TOPICS = st.lists(TEXTS, min_size=1, max_size=5).map("/".join).filter(bool)


@st.composite
def patterns(draw: st.DrawFn) -> str:
    """Patterns of up to five levels, each name once."""
    levels = draw(st.lists(st.sampled_from(["a", "b", "", "+", "{}"]), min_size=1, max_size=4))
    last = draw(st.sampled_from(["", "#", "{rest+}"]))
    named = [f"{{n{place}}}" if level == "{}" else level for place, level in enumerate(levels)]
    return "/".join([*named, *([last] if last else [])])


@given(patterns(), TOPICS)
def test_a_pattern_means_what_its_filter_matches_but_for_empty_names_and_the_contracts_tree(
    written: str, topic: str
) -> None:
    assume(written)
    pattern = read_pattern(written)
    if not matches(pattern.filter, topic):
        return
    parts = topic.split("/")
    named = {
        part.strip("{+}"): "/".join(parts[place:]) if part.endswith("+}") else parts[place]
        for place, part in enumerate(written.split("/"))
        if part.startswith("{")
    }
    meant = parts[0] != "fog" and all(named.values())
    assert pattern.levels(topic) == (named if meant else None)


def test_names_are_levels_and_the_last_may_be_several() -> None:
    pattern = read_pattern("zigbee2mqtt/{room}/+/{rest+}")
    assert pattern.filter == "zigbee2mqtt/+/+/#"
    assert pattern.levels("zigbee2mqtt/kitchen/x/lamp/1") == {"room": "kitchen", "rest": "lamp/1"}
    assert pattern.levels("zigbee2mqtt/kitchen/x") is None
    assert pattern.names == {"room": False, "rest": True}


@pytest.mark.parametrize("topic", ["fog/tasks/light/add", "fog/nodes/n/state", "fog"])
def test_a_wildcard_at_the_beginning_does_not_reach_into_the_contract(topic: str) -> None:
    assert read_pattern("#").levels(topic) is None
    assert read_pattern("{first}/{rest+}").levels(topic) is None
    assert read_pattern("fog/nodes/{node}/state").levels("fog/nodes/n/state") == {"node": "n"}


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("tele/x-{plug}/SENSOR", "a name is a whole level"),
        ("tele/{plug/SENSOR", "a name is a whole level"),
        ("tele/{1}/SENSOR", "a name is a whole level"),
        ("tele/{a}/{a}", "is there twice"),
        ("tele/{payload}", "stands for the payload"),
        ("tele/{rest+}/SENSOR", "has to be the last"),
        ("tele/{device+}", "write {device}"),
        ("tele/#/x", "is no MQTT filter"),
        ("tele/a+", "is no MQTT filter"),
        ("$share/g/tele/+", "begins with $"),
        ("fog/tasks/{weight}/x", "are orders"),
        ("fog/mesh/#", "are orders"),
        ("fog/cancel/a/b", "are orders"),
        ("fog/+/a", "fog/results/…, fog/progress/…, fog/nodes/…"),
        ("fog/#", "fog/results/…, fog/progress/…, fog/nodes/…"),
    ],
)
def test_what_is_no_pattern_is_refused_with_a_reason(written: str, why: str) -> None:
    with pytest.raises(RuleFault) as caught:
        read_pattern(written)
    assert why in str(caught.value)
