"""Filters as a tree: it answers as one filter after the other would."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filter_tree import FilterTree
from broker.contract.filters import matches

LEVELS = ["a", "$b", "", "+"]
FILTERS = st.builds(
    lambda levels, rest: "/".join([*levels, *rest]),
    st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3),
    st.sampled_from([[], ["#"]]),
) | st.just("#")
SEVERAL = st.lists(FILTERS, max_size=6)
TOPICS = [
    "/".join(levels) for depth in range(1, 5) for levels in itertools.product(("a", "$b", ""), repeat=depth)
]


def tree_of(filters: list[str]) -> FilterTree[str]:
    tree: FilterTree[str] = FilterTree()
    for one in filters:
        tree.add(one, one)
    return tree


@given(SEVERAL, st.sampled_from(TOPICS))
def test_it_finds_what_matches(filters: list[str], topic: str) -> None:
    tree, wanted = tree_of(filters), sorted(one for one in filters if matches(one, topic))
    assert sorted(one for level in tree.find(topic) for one in level.here) == wanted
    assert tree.matches(topic) is bool(wanted)


@given(SEVERAL, SEVERAL, st.sampled_from(TOPICS))
def test_what_is_removed_is_gone_and_nothing_else(filters: list[str], removed: list[str], topic: str) -> None:
    tree = tree_of(filters)
    for one in removed:
        tree.remove(one)
        assert tree.held(one) == []
    left = [one for one in filters if one not in removed]
    assert sorted(one for level in tree.find(topic) for one in level.here) == sorted(
        one for one in left if matches(one, topic)
    )
    assert tree.matches(topic) is any(matches(one, topic) for one in left)
    for one in left:
        tree.remove(one)
    assert not tree.root.below


@given(SEVERAL, FILTERS)
def test_it_finds_what_overlaps(filters: list[str], filter: str) -> None:
    """Those with which it has a topic in common: of three levels and one more there are enough to tell."""
    common = [topic for topic in TOPICS if matches(filter, topic)]
    wanted = sorted(one for one in filters if any(matches(one, topic) for topic in common))
    found = sorted(one for level in tree_of(filters).overlapping(filter) for one in level.here)
    assert found == wanted
