"""Topic filters, by the examples of MQTT 3.1.1, section 4.7."""

import pytest

from broker.contract.filters import is_filter, matches


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
