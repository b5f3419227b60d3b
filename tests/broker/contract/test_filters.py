"""Topic filters, by the examples of MQTT 3.1.1, section 4.7."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import FEW, FilterSet, is_filter, matches


@pytest.mark.parametrize(
    ("filter", "topic", "matching"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/#", "sport", True),
        ("#", "a/b", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/x", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("a/b", "a/b", True),
        ("a/b", "a/B", False),
        ("a", "a/", False),
    ],
)
def test_matching(filter: str, topic: str, matching: bool) -> None:
    assert matches(filter, topic) is matching


@pytest.mark.parametrize("filter", ["#", "+", "a/#", "+/a/+", "/", "a//b", "$share/g/a"])
def test_well_formed(filter: str) -> None:
    assert is_filter(filter)


@pytest.mark.parametrize("filter", ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a\0b", "x" * 65536])
def test_ill_formed(filter: str) -> None:
    assert not is_filter(filter)


FILTERS = st.lists(st.sampled_from(["a", "b", "$c", "", "+"]), min_size=1, max_size=3).map("/".join)
MANY = st.lists(FILTERS | FILTERS.map(lambda one: f"{one}/#"), max_size=2 * FEW)
TOPICS = st.lists(st.sampled_from(["a", "b", "$c", "", "d"]), min_size=1, max_size=4).map("/".join)


@given(MANY, TOPICS)
def test_many_filters_answer_as_one_after_the_other(filters: list[str], topic: str) -> None:
    several = FilterSet(filters)
    expected = any(matches(one, topic) for one in filters)
    # The second answer may be remembered.
    assert [several.matches(topic) for _ in range(2)] == [expected] * 2
