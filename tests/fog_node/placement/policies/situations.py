"""Situations to decide on, written short."""

from broker.contract.topics import Weight
from fog_node.placement import Candidate, Place, Situation, Work

LIGHT, MEDIUM, HEAVY = Weight.LIGHT, Weight.MEDIUM, Weight.HEAVY


def here(wait: float = 0.0, run: float = 0.05, *, backlog: float = 0.0, slots: int = 2) -> Candidate:
    """The node itself."""
    return Candidate(node="a", place=Place.HERE, wait=wait, run=run, backlog=backlog, slots=slots)


def near(
    node: str,
    wait: float = 0.0,
    run: float = 0.05,
    *,
    age: float = 0.0,
    alive: bool = True,
    backlog: float = 0.0,
    transfer: float = 0.004,
) -> Candidate:
    """A neighbour."""
    return Candidate(
        node=node,
        place=Place.NEIGHBOUR,
        wait=wait,
        run=run,
        transfer=transfer,
        age=age,
        alive=alive,
        backlog=backlog,
    )


def up(wait: float = 0.0, run: float = 0.05, *, transfer: float = 0.05, alive: bool = True) -> Candidate:
    """The cloud."""
    return Candidate(
        node="cloud", place=Place.CLOUD, wait=wait, run=run, transfer=transfer, alive=alive, slots=8
    )


def medium(budget: float | None = None, *, hops: int = 2, visited: tuple[str, ...] = ()) -> Work:
    """A medium task."""
    return Work(weight=MEDIUM, budget=budget, hops_left=hops, visited=visited)


def around(this: Candidate, *neighbours: Candidate, cloud: Candidate | None = None) -> Situation:
    """All of them."""
    return Situation(here=this, neighbours=neighbours, cloud=cloud, backlog=lambda: this.backlog)
