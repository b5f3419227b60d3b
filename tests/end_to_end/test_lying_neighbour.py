"""A neighbour that lies harms only what it was given, and not even that where another node can run it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from broker.client import BusClient, ClientSettings
from broker.contract.message import Message
from broker.contract.messages import (
    ErrorCode,
    HandOff,
    NodeState,
    Outcome,
    Report,
    TaskError,
    decode_hand_off,
    encode,
)
from broker.contract.topics import MeshResultTopic, MeshTaskTopic, StateTopic, Weight, parse
from fog_node.jobs.refusal import REFUSALS
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.programs import Program, fog_node
from weighbridge import Device

TIMEOUT = 60.0
# The liar lives in the loop of the module, and so do the tests that talk to it.
pytestmark = pytest.mark.asyncio(loop_scope="module")
POLICY = ("--policy", "tests.end_to_end.away_policy:away")


class Liar:
    """A neighbour by script: it takes what is handed over, and answers as `lie` does."""

    def __init__(self, folder: Path) -> None:
        self._broker = Mosquitto(folder)
        self.lie: Callable[[MeshTaskTopic, HandOff], None] = self.honest
        self.given = 0

    async def start(self) -> None:
        self._broker.start()
        self.url = self._broker.url
        self._client = BusClient(self.url, ClientSettings(client_id="liar", persistent=False))
        self._client.start(self._receive, ["fog/mesh/liar/#"])
        await self._client.wait_connected(10)
        self._telling = asyncio.create_task(self._tell())

    async def stop(self) -> None:
        self._telling.cancel()
        await self._client.stop()
        self._broker.stop()

    def say(self, topic: object, payload: bytes) -> None:
        self._client.publish(Message(topic=str(topic), payload=payload, qos=1))

    def state(self, **load: Any) -> bytes:
        """Its state; `load` differs from that of an idle node of fifty slots."""
        idle = {"queued": 0, "running": 0, "slots": 50, "estimated_wait_ms": 0.0} | load
        state = NodeState(node="liar", online=True, version="", birth=1)
        raw = msgspec.to_builtins(state) | {"load": {"medium": idle}}
        return msgspec.json.encode(raw)

    def honest(self, topic: MeshTaskTopic, handed: HandOff) -> None:
        self.answer(topic, handed)

    def answer(
        self, topic: MeshTaskTopic, handed: HandOff, *, key: str | None = None, **changes: Any
    ) -> None:
        """Tell an outcome, that is right but for `changes`."""
        right = Outcome(
            ok=True,
            value=msgspec.Raw(b'"from the liar"'),
            id=handed.id,
            task=topic.task,
            node="liar",
            route=("liar",),
        )
        outcome = msgspec.structs.replace(right, **changes)
        self.say(MeshResultTopic(topic.origin, key or topic.key), encode(Report(outcome=outcome)))

    async def _tell(self) -> None:
        while True:
            self.say(StateTopic("liar"), self.state())
            await asyncio.sleep(0.5)

    def _receive(self, message: Message) -> None:
        topic = parse(message.topic)
        if isinstance(topic, MeshTaskTopic):
            self.given += 1
            self.lie(topic, decode_hand_off(message.payload))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def neighbour(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Liar]:
    liar = Liar(tmp_path_factory.mktemp("liar"))
    await liar.start()
    yield liar
    await liar.stop()


@pytest.fixture
def liar(neighbour: Liar) -> Liar:
    """The neighbour, which is honest until a test has it lie."""
    neighbour.lie, neighbour.given = neighbour.honest, 0
    return neighbour


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def beside(neighbour: Liar, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    # With MQTT 5 a broker keeps what is larger than the node takes, and the node never hears of it.
    options = ("--neighbour", neighbour.url, "--mqtt", "3", *POLICY)
    starting = fog_node(tmp_path_factory.mktemp("node"), *options, workers="light=1,medium=1")
    with contextlib.ExitStack() as stack:
        node = await asyncio.to_thread(stack.enter_context, starting)
        await eventually(lambda: "the node is new" in node.stderr, 30)
        yield node


@pytest.fixture
def node(beside: Program, liar: Liar) -> Iterator[Program]:
    """The node that the liar is a neighbour of."""
    yield beside
    assert "Traceback" not in beside.stderr


@pytest_asyncio.fixture(loop_scope="module")
async def device(node: Program, request_id: str) -> AsyncIterator[Device]:
    async with Device(node.url, name=request_id) as device:
        yield device


async def submit(device: Device) -> Outcome:
    """The outcome of a medium task, which goes to the liar first."""
    pending = await device.send("medium", "echo", "from here")
    outcome = await pending.outcome(timeout=TIMEOUT)
    assert (outcome.ok, outcome.id, outcome.task) == (True, pending.id, "echo")
    return outcome


async def test_it_is_believed_what_it_was_given(device: Device) -> None:
    outcome = await submit(device)
    assert (outcome.node, outcome.route) == ("liar", ("liar", "fog-a"))


async def test_outcomes_under_other_keys_are_nobodys(liar: Liar, device: Device) -> None:
    def lie(topic: MeshTaskTopic, handed: HandOff) -> None:
        life, key, recalls = topic.key.split("-")
        forged = (f"{life}-{int(key) + step}-{recalls}" for step in range(1, 50))
        for other in ("x", "1-1-1", f"{life}-{key}-7", f"{life}-{key}", *forged):
            liar.answer(topic, handed, key=other, value=msgspec.Raw(b'"forged"'))
        asyncio.get_running_loop().call_later(0.3, liar.honest, topic, handed)

    liar.lie = lie
    local = [await device.send("light", "sleep", 0.5) for _ in range(5)]
    assert (await submit(device)).value == msgspec.Raw(b'"from the liar"')
    for pending in local:
        slept = await pending.outcome(timeout=TIMEOUT)
        assert (slept.ok, slept.node) == (True, "fog-a")


async def test_a_wrong_id_task_or_route_is_set_right(liar: Liar, device: Device) -> None:
    liar.lie = lambda topic, handed: liar.answer(
        topic, handed, id="another", task="another", route=("fog-a", "fog-a", "cloud")
    )
    assert (await submit(device)).route[-1] == "fog-a"


async def test_what_cannot_be_read_is_logged(liar: Liar, node: Program, device: Device) -> None:
    def lie(topic: MeshTaskTopic, handed: HandOff) -> None:
        for payload in (b"", b"\xff", b"[]", b'{"outcome":5}', b"{" * 10_000):
            liar.say(MeshResultTopic(topic.origin, topic.key), payload)
        liar.honest(topic, handed)

    liar.lie = lie
    assert (await submit(device)).node == "liar"
    assert node.stderr.count("report_unreadable") == 5


async def test_a_state_that_no_node_can_be_in_is_not_believed(liar: Liar, node: Program) -> None:
    for load in ({"slots": 10**12}, {"estimated_wait_ms": -5.0}, {"queued": -1}, {"running": "many"}):
        liar.say(StateTopic("liar"), liar.state(**load))
    liar.say(StateTopic("liar"), liar.state().replace(b"0.0", b"NaN"))
    liar.say(StateTopic("fog-a"), encode(NodeState(node="fog-a", online=False, version="", birth=2**62)))
    await eventually(lambda: node.stderr.count("neighbour_unreadable") == 5)


async def test_who_gives_a_task_back_does_not_get_it_again(liar: Liar, device: Device) -> None:
    cancelled = TaskError(ErrorCode.CANCELLED, "no")
    liar.lie = lambda topic, handed: liar.answer(
        topic, handed, ok=False, value=msgspec.UNSET, error=cancelled
    )
    liar.given = 0
    assert (await submit(device)).node == "fog-a"
    assert liar.given == 1


def refuse(liar: Liar, code: ErrorCode) -> None:
    error = TaskError(code, "not here")
    liar.lie = lambda topic, handed: liar.answer(topic, handed, ok=False, value=msgspec.UNSET, error=error)
    liar.given = 0


async def test_what_a_neighbour_refuses_is_run_elsewhere(liar: Liar, device: Device) -> None:
    for code in REFUSALS:
        refuse(liar, code)
        assert (await submit(device)).node == "fog-a"
        assert liar.given == 1


async def test_what_has_failed_at_a_neighbour_has_failed(liar: Liar, device: Device) -> None:
    refuse(liar, ErrorCode.FAILED)
    pending = await device.send("medium", "echo", "from here")
    assert (await pending.outcome(timeout=TIMEOUT)).error == TaskError(ErrorCode.FAILED, "not here")


async def test_an_outcome_beyond_measure_ends_the_link(liar: Liar, node: Program, device: Device) -> None:
    huge = msgspec.Raw(b'"' + b"x" * (65 * 1024 * 1024) + b'"')
    liar.lie = lambda topic, handed: liar.answer(topic, handed, value=huge)
    assert (await submit(device)).node == "fog-a"
    assert "that are taken" in node.stderr


@pytest.mark.timeout(120)
async def test_a_node_that_hands_over_without_end_leaves_room_for_devices(tmp_path: Path) -> None:
    """A route that hides where a task has been, and a number of hops beyond reason, gain nothing."""
    with fog_node(tmp_path, "--max-backlog", "100", workers="light=1,medium=1") as node:
        client = BusClient(node.url, ClientSettings(client_id="fog-link-liar", persistent=False))
        refused: list[Report] = []

        def hear(message: Message) -> None:
            report = msgspec.json.decode(message.payload, type=Report)
            if isinstance(report.outcome, Outcome):
                refused.append(report)

        client.start(hear, ["fog/mesh/liar/results/+"])
        await client.wait_connected(10)
        for number in range(80):
            topic = MeshTaskTopic("fog-a", Weight.LIGHT, "sleep", "liar", f"1-{number}-0")
            handed = HandOff(device="d", id=str(number), payload=b"30", route=(), max_hops=10**9)
            client.publish(Message(topic=str(topic), payload=encode(handed), qos=1))
        await eventually(lambda: len(refused) == 30)
        errors = {str(one.outcome.error.code) for one in refused}  # type: ignore[union-attr]
        assert errors == {"rate-limited"}
        async with Device(node.url, name="me") as device:
            assert await device.submit("medium", "echo", 1) == 1
        await client.stop()
