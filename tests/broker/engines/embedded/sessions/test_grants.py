"""What a client is granted by several filters that match the same topic."""

import itertools

import pytest

from broker.engines.embedded.sessions.grant import GRANTS, NOTHING, Grant

PLAIN = Grant.of(0, no_local=False, retain_as_published=False, identifier=1)
AS_PUBLISHED = Grant.of(1, no_local=False, retain_as_published=True, identifier=2)
NO_LOCAL = Grant.of(2, no_local=True, retain_as_published=False, identifier=3)
ALL = (PLAIN, AS_PUBLISHED, NO_LOCAL, GRANTS[1])


def test_what_3_1_1_asks_for_takes_no_memory() -> None:
    assert Grant.of(1, no_local=False, retain_as_published=False) is GRANTS[1]
    assert Grant.joined((GRANTS[1], GRANTS[0])) is GRANTS[1]


@pytest.mark.parametrize("parts", list(itertools.permutations(ALL, 3)))
def test_filters_that_match_together_give_one_copy(parts: tuple[Grant, Grant, Grant]) -> None:
    """With the highest QoS and all identifiers; one's own messages count for those that want them alone."""
    joined = Grant.joined(parts)

    def expected(some: list[Grant]) -> tuple[int, bool, list[int]]:
        return (
            max(one.qos for one in some),
            any(one.retain_as_published for one in some),
            sorted(number for one in some for number in one.identifiers),
        )

    def found(one: Grant) -> tuple[int, bool, list[int]]:
        return one.qos, one.retain_as_published, sorted(one.identifiers)

    assert found(joined) == expected(list(parts))
    own = [one for one in parts if one is not NO_LOCAL]
    assert found(joined.own or joined) == expected(own)


def test_one_gets_nothing_of_ones_own_where_no_filter_wants_it() -> None:
    other = Grant.of(0, no_local=True, retain_as_published=True)
    assert Grant.joined((NO_LOCAL, other)).own is NOTHING
    assert Grant.joined((NO_LOCAL, other)).no_local
    assert not Grant.joined((NO_LOCAL, PLAIN)).no_local
