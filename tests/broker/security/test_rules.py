"""The rules of each role, as pure functions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import is_filter, matches
from broker.contract.identity import NOBODY, Identity, Role
from broker.security.rules import covers, may_publish, may_subscribe, name_fault, own_topic_fault

DEVICE = Identity("thermo", Role.DEVICE)
NODE = Identity("fog-b", Role.NODE)
OPERATOR = Identity("ann", Role.OPERATOR)

PUBLISHES = [
    (DEVICE, "fog/tasks/light/sum", True),
    (DEVICE, "fog/tasks/light/sum/thermo", True),
    (DEVICE, "fog/tasks/light/sum/thermo/1", True),
    (DEVICE, "fog/tasks/light/sum/other/1", False),
    (DEVICE, "fog/tasks/light/sum/thermo/1/more", False),
    (DEVICE, "fog/cancel/thermo/1", True),
    (DEVICE, "fog/cancel/other/1", False),
    (DEVICE, "fog/results/thermo/1", False),
    (DEVICE, "fog/nodes/fog-b/state", False),
    (DEVICE, "fog/mesh/fog-a/tasks/light/sum/fog-b/1", False),
    (DEVICE, "fog/mesh/fog-a/asks/light/sum/fog-b/1", False),
    (DEVICE, "fog/mesh/fog-b/waits/1", False),
    (DEVICE, "anything", False),
    (DEVICE, "$SYS/broker/uptime", False),
    (NODE, "fog/mesh/fog-a/tasks/light/sum/fog-b/1", True),
    (NODE, "fog/mesh/fog-a/tasks/light/sum/fog-c/1", False),
    (NODE, "fog/mesh/fog-a/cancel/fog-b/1", True),
    (NODE, "fog/mesh/fog-a/cancel/fog-c/1", False),
    (NODE, "fog/mesh/fog-a/results/1", True),
    (NODE, "fog/mesh/fog-a/asks/light/sum/fog-b/1", True),
    (NODE, "fog/mesh/fog-a/asks/light/sum/fog-c/1", False),
    (NODE, "fog/mesh/fog-a/waits/1", True),
    (NODE, "fog/nodes/fog-b/state", True),
    (NODE, "fog/nodes/fog-c/state", False),
    (NODE, "fog/tasks/light/sum/fog-b/1", False),
    (OPERATOR, "fog/tasks/light/sum/thermo/1", True),
    (OPERATOR, "fog/cancel/thermo/1", True),
    (OPERATOR, "fog/mesh/fog-a/tasks/light/sum/fog-b/1", False),
    (OPERATOR, "fog/nodes/fog-b/state", True),
    (OPERATOR, "fog/nodes/fog-b/catalog", True),
    (OPERATOR, "fog/nodes/fog-b", False),
    (OPERATOR, "anything", False),
    (NOBODY, "fog/tasks/light/sum/anonymous/1", True),
    (NOBODY, "fog/tasks/light/sum/thermo/1", False),
]

SUBSCRIBES = [
    (DEVICE, "fog/results/thermo/+", True),
    (DEVICE, "fog/results/thermo/#", True),
    (DEVICE, "fog/progress/thermo/1", True),
    (DEVICE, "fog/nodes/+/state", True),
    (DEVICE, "fog/nodes/fog-a/catalog", True),
    (DEVICE, "$share/g/fog/results/thermo/+", True),
    (DEVICE, "fog/results/+/+", False),
    (DEVICE, "fog/results/#", False),
    (DEVICE, "fog/#", False),
    (DEVICE, "#", False),
    (DEVICE, "+/results/thermo/1", False),
    (DEVICE, "$share/g/#", False),
    (DEVICE, "$share/g/$share/h/#", False),
    (DEVICE, "fog/nodes/#", False),
    (DEVICE, "fog/tasks/#", False),
    (DEVICE, "fog/mesh/#", False),
    (DEVICE, "$SYS/#", False),
    (NODE, "fog/mesh/fog-b/results/+", True),
    (NODE, "fog/mesh/fog-b/waits/+", True),
    (NODE, "fog/mesh/fog-c/waits/+", False),
    (NODE, "fog/mesh/fog-c/results/+", False),
    (NODE, "fog/mesh/#", False),
    (NODE, "fog/results/thermo/+", False),
    (OPERATOR, "#", True),
    (OPERATOR, "$SYS/#", True),
    (OPERATOR, "fog/results/+/+", True),
]


@pytest.mark.parametrize(("who", "topic", "allowed"), PUBLISHES)
def test_publishing_follows_the_role(who: Identity, topic: str, allowed: bool) -> None:
    assert may_publish(who, topic) is allowed


@pytest.mark.parametrize(("who", "filter", "allowed"), SUBSCRIBES)
def test_subscribing_follows_the_role(who: Identity, filter: str, allowed: bool) -> None:
    assert may_subscribe(who, filter) is allowed


PLUG = Identity("plug", Role.DEVICE, ("tele/%u/#", "shared"), ("home/+/plug",))


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("tele/plug/SENSOR", True),
        ("shared", True),
        ("fog/tasks/light/sum/plug/1", True),
        ("tele/lamp/SENSOR", False),
        ("home/x/plug", False),
        ("fog/tasks/light/sum/lamp/1", False),
    ],
)
def test_topics_of_its_own_are_a_user_s_beside_those_of_its_role(topic: str, allowed: bool) -> None:
    assert may_publish(PLUG, topic) is allowed


@pytest.mark.parametrize(
    ("filter", "allowed"),
    [
        ("home/+/plug", True),
        ("$share/g/home/kitchen/plug", True),
        ("fog/results/plug/#", True),
        ("home/#", False),
        ("tele/plug/#", False),
    ],
)
def test_what_it_may_read_is_its_own_too(filter: str, allowed: bool) -> None:
    assert may_subscribe(PLUG, filter) is allowed


@pytest.mark.parametrize(
    "filter", ["tele/%u/#", "%u/events/rpc", "home/+/power", "/x", "shellies-%u/+/x", "a"]
)
def test_topics_that_may_be_a_user_s_own(filter: str) -> None:
    assert own_topic_fault(filter, "plug") is None


@pytest.mark.parametrize(
    ("filter", "name", "said"),
    [
        ("#", "plug", "begins with a wildcard"),
        ("+/plug", "plug", "begins with a wildcard"),
        ("fog/results/#", "plug", "is below fog/"),
        ("%u/#", "fog", "is below fog/"),
        ("$SYS/#", "plug", "begins with $"),
        ("$share/g/home/#", "plug", "begins with $"),
        ("%u/#", "$SYS", "begins with $"),
        ("tele/%c/#", "plug", "contains %"),
        ("tele/#/x", "plug", "is no topic filter"),
        ("tele/a+", "plug", "is no topic filter"),
        ("", "plug", "is no topic filter"),
        ("tele/a\nb", "plug", "contains U+000A"),
    ],
)
def test_topics_that_may_not(filter: str, name: str, said: str) -> None:
    assert said in str(own_topic_fault(filter, name))


@pytest.mark.parametrize("device", ["thermo", "fog-b", "ann", "anonymous", "other"])
@pytest.mark.parametrize("who", [DEVICE, NODE, OPERATOR, NOBODY])
def test_whoever_may_submit_as_a_device_may_read_its_outcomes(who: Identity, device: str) -> None:
    """So an acknowledgement may say why a submission was refused: it tells no more than the outcome."""
    if may_publish(who, f"fog/tasks/light/sum/{device}/1"):
        assert may_subscribe(who, f"fog/results/{device}/1")


LEVELS = st.sampled_from(["a", "b", "+", "#", "", "$SYS"])
FILTERS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(is_filter)
TOPICS = st.lists(st.sampled_from(["a", "b", "", "$SYS"]), min_size=1, max_size=5).map("/".join)


@given(allowed=FILTERS, wanted=FILTERS, topic=TOPICS)
def test_a_filter_that_is_covered_matches_nothing_else(allowed: str, wanted: str, topic: str) -> None:
    if covers(allowed, wanted) and matches(wanted, topic):
        assert matches(allowed, topic)


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a:b", "100%u", " a", "anonymous", "a\nuser b"])
def test_names_that_would_bend_a_rule_are_refused(name: str) -> None:
    assert name_fault(name) is not None
