"""Tasks done in parts by several nodes, as real programs, with nodes killed amid the work."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import Outcome, Progress
from broker.contract.topics import Weight
from fog_node.inspection.control import AskPeers, Peers, ask
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.node_states import state_of
from tests.support.phone import value
from tests.support.programs import Program, fog_node

TASKS = ("--tasks", "tests/end_to_end/scatter_tasks.py", "--workers", "medium=1")
PIECES = list(range(24))


@contextlib.contextmanager
def nodes(folder: Path) -> Iterator[list[Program]]:
    """Node fog-a, with fog-b and fog-c as its neighbours; one medium slot each."""
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(fog_node(folder, *TASKS, name=name)) for name in ("fog-b", "fog-c")]
        links = [word for other in others for word in ("--neighbour", other.url)]
        first = stack.enter_context(fog_node(folder, *TASKS, *links, "--listen", f"127.0.0.1:{free_port()}"))
        asyncio.run(eventually(lambda: first.stderr.count("the node is new") == 2, 30))
        yield [first, *others]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scatter")


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[list[Program]]:
    with nodes(folder) as nodes_started:
        yield nodes_started


@pytest.fixture
def three(started: list[Program], folder: Path) -> list[Program]:
    """The nodes, once the first knows that the last test's parts have ended everywhere."""

    def idle() -> bool:
        peers = asyncio.run(ask(folder / "fog-a", AskPeers(), Peers)).peers
        waits = [peer.waits.get(Weight.MEDIUM) for peer in peers]
        return all(wait is not None and wait.slots and not wait.wait_ms for wait in waits)

    give_up = time.monotonic() + 40
    while running(started[0]) or not idle():
        assert time.monotonic() < give_up, "the nodes do not come to rest"
    return started


def running(node: Program) -> int:
    """How many medium tasks run at a node."""
    return state_of(node).load[Weight.MEDIUM].running


def submit(node: Program, task: str, name: str, **arguments: object) -> Outcome:
    return request(node.port, f"fog/tasks/medium/{task}/me/{name}", json.dumps(arguments))


def test_a_task_is_done_in_parts_by_all_nodes(three: list[Program], request_id: str) -> None:
    outcome = submit(three[0], "add_slowly", request_id, pieces=PIECES)
    assert value(outcome) == sum(PIECES)
    assert outcome.why == "split into 3 parts: fog-a 1, fog-b 1, fog-c 1"
    assert outcome.route == ("fog-a",)


def test_progress_is_the_share_of_the_parts_that_are_done(three: list[Program], request_id: str) -> None:
    with listening(three[0].port, f"fog/progress/me/{request_id}", count=5) as listener:
        submit(three[0], "add_slowly", request_id, pieces=PIECES)
        steps = [msgspec.json.decode(line, type=Progress) for line in listener.wait()]
    assert [step.stage for step in steps] == ["accepted", *["running"] * 4]
    assert [round(step.percent or 0) for step in steps[1:]] == [0, 33, 67, 100]


def test_a_part_that_fails_is_tried_once_more(three: list[Program], request_id: str, tmp_path: Path) -> None:
    arguments = {"pieces": PIECES, "bad": 7, "notes": str(tmp_path)}
    assert value(submit(three[0], "fails_at", request_id, **arguments, times=1)) == sum(PIECES)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_part_that_fails_again_fails_the_task(
    three: list[Program], request_id: str, tmp_path: Path
) -> None:
    arguments = {"pieces": PIECES, "bad": 7, "notes": str(tmp_path)}
    outcome = submit(three[0], "fails_at", request_id, **arguments)
    assert not isinstance(outcome.error, msgspec.UnsetType)
    assert outcome.error.code == "failed"
    assert outcome.error.message.startswith("a part: ValueError: 7 cannot be added")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_split_that_fails_fails_the_task(three: list[Program], request_id: str) -> None:
    outcome = submit(three[0], "undivided", request_id, pieces=PIECES)
    assert not isinstance(outcome.error, msgspec.UnsetType)
    assert outcome.error.message.startswith("splitting it: ValueError: these cannot be divided")


def test_cancelling_a_task_cancels_its_parts_everywhere(three: list[Program], request_id: str) -> None:
    name = f"fog/results/me/{request_id}"
    arguments = json.dumps({"pieces": PIECES, "seconds": 6.0})
    with (
        listening(three[0].port, name, count=1) as results,
        listening(three[0].port, f"fog/progress/me/{request_id}", count=2) as progress,
    ):
        publish(three[0].port, f"fog/tasks/medium/add_slowly/me/{request_id}", arguments, "-q", "1")
        progress.wait()
        publish(three[0].port, f"fog/cancel/me/{request_id}", "", "-q", "1")
        outcome = msgspec.json.decode(results.wait()[0], type=Outcome)
    assert not isinstance(outcome.error, msgspec.UnsetType)
    assert outcome.error.code == "cancelled"
    # The parts would take 48 s.
    asyncio.run(eventually(lambda: not any(map(running, three)), 40))


def begin(node: Program, name: str, arguments: str) -> None:
    """Submit a task and return when its parts are being done."""
    with listening(node.port, f"fog/progress/me/{name}", count=2) as progress:
        publish(node.port, f"fog/tasks/medium/add_slowly/me/{name}", arguments, "-q", "1")
        progress.wait()


def test_nodes_killed_amid_the_parts_cost_time_only(tmp_path: Path, request_id: str) -> None:
    work = {"pieces": PIECES, "seconds": 0.1}
    with nodes(tmp_path) as (first, second, _third):
        begin(first, request_id, json.dumps(work))
        second.kill()
        outcome = submit(first, "add_slowly", request_id, **work)
        assert value(outcome) == sum(PIECES)
        assert str(outcome.why).startswith("split into 3 parts")
        begin(first, f"{request_id}-next", json.dumps(work))
        first.kill()
        with fog_node(tmp_path, *TASKS, "--listen", f"127.0.0.1:{first.port}") as again:
            assert value(submit(again, "add_slowly", f"{request_id}-next", **work)) == sum(PIECES)
