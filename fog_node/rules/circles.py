"""Rules whose results start each other round and round, as far as their topics show it."""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from broker.contract.filter_tree import FilterTree
from broker.contract.topics import ROOT


def circle(started_by: Mapping[str, Sequence[str]], tells: Mapping[str, Sequence[str]]) -> list[str] | None:
    """The names of rules of which each may start the next, and the last is the first; None if there are none.

    `started_by` are the filters of each rule; `tells` those of the topics on which its tasks are told of.
    """
    # A wildcard at the beginning does not reach into the contract's own tree, nor out of it.
    trees: dict[bool, FilterTree[str]] = {True: FilterTree(), False: FilterTree()}
    for wanted in {one for filters in started_by.values() for one in filters}:
        trees[_in_contract(wanted)].add(wanted, wanted)
    # Filters stand between the rules: many rules may have the same one.
    before = {("rule", name): {("filter", one) for one in filters} for name, filters in started_by.items()}
    for name, told in tells.items():
        for one in told:
            for level in trees[_in_contract(one)].overlapping(one):
                before.setdefault(("filter", level.here[0]), set()).add(("rule", name))
    try:
        TopologicalSorter(before).prepare()
    except CycleError as found:
        # Its last node is its first again, a rule or a filter.
        ring = [name for kind, name in found.args[1][:-1] if kind == "rule"]
        return [*ring, ring[0]]
    return None


def _in_contract(filter: str) -> bool:
    return filter.startswith(f"{ROOT}/")
