"""Which link a neighbour has that several addresses lead to, with real links that find nobody there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from broker.contract.messages import NodeState, Report
from broker.links.link import Link
from broker.links.outbox import Outbox, opened_store
from broker.namesakes import Namesakes
from broker.running_time import RunningTime
from fog_node.jobs.job import Job
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.mesh.peer import Peer
from fog_node.placement.answers import NeighbourFigures
from fog_node.placement.board import Board
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port

CLOCK = RunningTime()
STATE = NodeState(node="b", online=True, version="", birth=1)


class Nobody:
    """Nothing is handed over here, so nothing is heard of it."""

    def reported_by_peer(self, _job: Job, _report: Report, _teller: Peer, _now: float) -> None: ...

    def expired(self, _job: Job, _now: float) -> None: ...

    def lost(self, _job: Job, _now: float) -> None: ...


@pytest.fixture
async def hood(tmp_path: Path) -> AsyncIterator[Neighbourhood]:
    """It forgets a node after a tenth of a second."""
    async with opened_store(tmp_path / "outbox.db", now=CLOCK.now(), synchronous="off") as store:
        board = Board(interval=0.03)

        def make_peer(name: str, link: Link) -> Peer:
            return Peer(
                name,
                link,
                Outbox(store, name, CLOCK.now),
                node="a",
                journal_life="life",
                listener=Nobody(),
                figures=NeighbourFigures(board, name),
            )

        hood = Neighbourhood(Namesakes("a", 1), board, lambda url: Link(url, node="a"), make_peer)
        running = asyncio.create_task(hood.run())
        yield hood
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await hood.stop()


def urls(hood: Neighbourhood) -> list[str]:
    return [one.url for one in hood.neighbours()]


async def test_of_two_addresses_one_is_linked_and_the_other_tried_when_that_is_silent(
    hood: Neighbourhood,
) -> None:
    first, second = (f"mqtt://127.0.0.1:{free_port()}" for _ in range(2))
    assert hood.add(first)
    assert hood.add(second)
    one, other = hood.neighbours()
    hood.hear(one, STATE)
    hood.hear(other, STATE)
    # What was on its way when its link was given up changes nothing.
    hood.hear(other, STATE)
    assert urls(hood) == [first]
    assert not hood.add(second)
    await eventually(lambda: urls(hood) == [first, second])
    hood.hear(hood.neighbours()[1], STATE)
    assert urls(hood) == [second]
    peer = hood.peer("b")
    assert peer is not None
    assert peer.place == second.removeprefix("mqtt://")
    await eventually(lambda: urls(hood) == [second, first])


async def test_an_address_that_is_given_up_is_not_tried_again(hood: Neighbourhood) -> None:
    first, second = (f"mqtt://127.0.0.1:{free_port()}" for _ in range(2))
    hood.add(first)
    hood.add(second)
    one, other = hood.neighbours()
    hood.hear(one, STATE)
    hood.hear(other, STATE)
    hood.drop(second)
    assert hood.add(second)
    hood.drop(first)
    assert urls(hood) == [second]
    assert hood.peer("b") is None


async def test_two_neighbours_of_one_name_are_told_once(hood: Neighbourhood) -> None:
    first, second = (f"mqtt://127.0.0.1:{free_port()}" for _ in range(2))
    hood.add(first)
    hood.add(second)
    one, other = hood.neighbours()
    with capture_logs() as logs:
        for neighbour, birth in ((one, 1), (other, 2), (one, 1), (other, 2)):
            hood.hear(neighbour, msgspec.structs.replace(STATE, birth=birth))
    told = [line for line in logs if line["event"] == "neighbour_name_taken"]
    assert [line["urls"] for line in told] == [[second, first]]
