"""Rules whose results start each other round and round, as far as their topics show it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from broker.contract.filter_tree import FilterTree, Level
from broker.contract.topics import ROOT
from fog_node.rules.templates import Several, Shape


def circle(started_by: Mapping[str, Sequence[str]], tells: Mapping[str, Sequence[Shape]]) -> list[str] | None:
    """The names of rules of which each may start the next, and the last the first; None if there are none.

    `started_by` are the filters of each rule, `tells` the topics on which something is told of its tasks.
    """
    tree: FilterTree[str] = FilterTree()
    for wanted in {wanted for filters in started_by.values() for wanted in filters}:
        tree.add(wanted, wanted)
    # Rules and filters in turn: many rules may have one filter.
    graph: dict[tuple[str, str], set[tuple[str, str]]] = {
        ("rule", name): {("filter", wanted) for wanted in filters} for name, filters in started_by.items()
    }
    for name, shapes in tells.items():
        for shape in shapes:
            for wanted in _met(tree.root, shape):
                graph.setdefault(("filter", wanted), set()).add(("rule", name))
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        return [name for kind, name in found.args[1] if kind == "rule"]
    return None


def _met(root: Level[str], shape: Shape) -> set[str]:
    """The filters that match one of the topics of a shape."""
    found: set[str] = set()
    # Wildcards at the beginning do not reach into the contract's own tree.
    own = shape[0] == ROOT
    ways = [(level, shape[1:]) for level in _below(root, shape[0], wild=not own)]
    if isinstance(shape[0], Several):
        ways += [(level, shape) for level, _ in ways]
    if not own and "#" in root.below:
        found.update(root.below["#"].here)
    while ways:
        level, rest = ways.pop()
        if "#" in level.below:
            found.update(level.below["#"].here)
        if not rest:
            found.update(level.here)
            continue
        following = list(_below(level, rest[0], wild=True))
        ways += [(one, rest[1:]) for one in following]
        if isinstance(rest[0], Several):
            ways += [(one, rest) for one in following]
    return found


def _below(level: Level[str], part: "str | re.Pattern[str] | Several", *, wild: bool) -> Iterator[Level[str]]:
    if isinstance(part, str):
        if part in level.below:
            yield level.below[part]
    else:
        for text, below in level.below.items():
            if text not in ("+", "#") and (isinstance(part, Several) or part.fullmatch(text)):
                yield below
    if wild and "+" in level.below:
        yield level.below["+"]
