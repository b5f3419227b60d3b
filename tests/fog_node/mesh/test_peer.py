"""Hand-offs over a real broker: whom a silent job is asked for, and which answers count."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from broker.client import BusClient, ClientSettings
from broker.contract.mesh_filters import mesh_result_filter
from broker.contract.message import Message
from broker.contract.messages import (
    ErrorCode,
    Outcome,
    Progress,
    Report,
    Stage,
    TaskError,
    decode_hand_off,
    encode,
)
from broker.contract.topics import CLOUD, MeshCancelTopic, MeshResultTopic, MeshTaskTopic, Weight, parse
from broker.errors import EngineUnavailable
from broker.links.link import Link
from broker.links.outbox import Outbox, opened_store
from broker.running_time import RunningTime
from fog_node.jobs.job import Job
from fog_node.mesh.handed_over import NO_JOB
from fog_node.mesh.leases import LEASES
from fog_node.mesh.peer import Peer
from fog_node.placement.answers import Answer
from tests.support.eventually import eventually
from tests.support.jobs import job
from tests.support.mosquitto import Mosquitto

CLOCK = RunningTime()
NODE = "fog-a"
DONE = Outcome(ok=True, id="1", node="gate-1", route=("gate-1",))
CANCELLED = Outcome(
    ok=False, error=TaskError(ErrorCode.CANCELLED, ""), id="1", node="gate-1", route=("gate-1",)
)


@dataclass
class Cloud:
    """The other side: hears what is handed over and taken back, and says what it is told to."""

    client: BusClient
    tasks: list[tuple[MeshTaskTopic, str]] = field(default_factory=list)
    cancels: list[MeshCancelTopic] = field(default_factory=list)
    measurements: int = 0

    def hear(self, message: Message) -> None:
        match parse(message.topic):
            case MeshTaskTopic() as topic:
                self.tasks.append((topic, decode_hand_off(message.payload).id))
            case MeshCancelTopic(key=key) if key == NO_JOB:
                self.measurements += 1
            case MeshCancelTopic() as topic:
                self.cancels.append(topic)

    def say(self, key: str, report: Report) -> None:
        topic = str(MeshResultTopic(NODE, key))
        self.client.publish(Message(topic=topic, payload=encode(report), qos=1))

    def accept(self, key: str, gateway: str) -> None:
        step = Progress(stage=Stage.ACCEPTED, id="1", task="sleep", node=gateway)
        self.say(key, Report(progress=step))

    @property
    def addresses(self) -> list[str]:
        return [topic.node for topic, _ in self.tasks]


@dataclass
class Origin:
    """A node with one job away."""

    job: Job
    cloud: Cloud
    reports: list[Report] = field(default_factory=list)
    lost_jobs: list[Job] = field(default_factory=list)
    round_trips: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peer: Peer

    def transferred(self, size: int, seconds: float) -> None:
        assert seconds > 0
        self.sizes.append(size)

    def measured(self, round_trip: float) -> None:
        self.round_trips.append(round_trip)

    def answered(self, _answer: Answer) -> None: ...

    def reported_by_peer(self, _job: Job, report: Report, _teller: Peer, _now: float) -> None:
        self.reports.append(report)

    def expired(self, _job: Job, _now: float) -> None: ...

    def lost(self, job: Job, _now: float) -> None:
        self.lost_jobs.append(job)

    @property
    def outcomes(self) -> list[Outcome]:
        return [report.outcome for report in self.reports if report.outcome is not None]


@pytest.fixture
def lease() -> float:
    """None ends during a test, if it does not ask for another one."""
    return 600.0


@contextlib.asynccontextmanager
async def origin_at(url: str, folder: Path, link: Link, lease: float) -> AsyncIterator[Origin]:
    """A node that has just given one job to the cloud at a broker."""
    async with contextlib.AsyncExitStack() as stack:
        cloud = Cloud(BusClient(url, ClientSettings(client_id="cloud", persistent=False)))
        cloud.client.start(cloud.hear, ["fog/mesh/+/tasks/#", "fog/mesh/+/cancel/#"])
        stack.push_async_callback(cloud.client.stop)
        await cloud.client.wait_connected(10)
        store = await stack.enter_async_context(
            opened_store(folder / "outbox.db", now=CLOCK.now(), synchronous="off")
        )
        one = job(weight=Weight.HEAVY, task="sleep", payload=b"1", received=asyncio.get_running_loop().time())
        origin = Origin(one, cloud)
        peer = origin.peer = Peer(
            CLOUD,
            link,
            Outbox(store, CLOUD, CLOCK.now),
            node=NODE,
            journal_life="life",
            listener=origin,
            figures=origin,
            lease=lease,
        )
        link.start(peer.receive, [mesh_result_filter(NODE)])
        stack.push_async_callback(peer.stop)
        running = asyncio.create_task(peer.run())
        stack.callback(running.cancel)
        peer.submit(one)
        yield origin


@pytest.fixture
async def origin(mosquitto: Mosquitto, tmp_path: Path, lease: float) -> AsyncIterator[Origin]:
    async with origin_at(mosquitto.url, tmp_path, Link(mosquitto.url, node=NODE), lease) as origin:
        await eventually(lambda: origin.cloud.tasks)
        yield origin


@pytest.mark.parametrize("lease", [1.0])
async def test_a_silent_job_is_asked_for_where_it_is_then_anywhere_then_placed_anew(origin: Origin) -> None:
    (topic, _) = origin.cloud.tasks[0]
    origin.cloud.accept(topic.key, "gate-1")
    await eventually(lambda: origin.lost_jobs)
    assert origin.cloud.addresses == [CLOUD, "gate-1", CLOUD]
    assert {one.key for one, _ in origin.cloud.tasks} == {topic.key}
    await eventually(lambda: [cancel.key for cancel in origin.cloud.cancels] == [topic.key])


async def test_what_a_gateway_had_that_is_gone_is_handed_over_again_at_once(origin: Origin) -> None:
    (topic, _) = origin.cloud.tasks[0]
    origin.cloud.accept(topic.key, "gate-1")
    await eventually(lambda: origin.reports)
    origin.peer.leases.ask_again("gate-2", time.monotonic())
    origin.peer.leases.ask_again("gate-1", time.monotonic())
    await eventually(lambda: len(origin.cloud.tasks) > 1)
    assert origin.cloud.addresses[:2] == [CLOUD, CLOUD]


async def test_the_first_of_two_outcomes_counts_and_the_others_are_told_to_leave_it(origin: Origin) -> None:
    (topic, _) = origin.cloud.tasks[0]
    origin.cloud.accept(topic.key, "gate-1")
    await eventually(lambda: origin.reports)
    origin.peer.leases.ask_again("gate-1", time.monotonic())
    for _ in range(2):
        origin.cloud.say(topic.key, Report(outcome=DONE))
    await eventually(lambda: origin.cloud.cancels)
    await eventually(lambda: not origin.peer.open)
    assert len(origin.outcomes) == 1


async def test_a_job_that_was_taken_back_comes_again_as_a_new_one(origin: Origin) -> None:
    """And what is said of it under its earlier key counts no more."""
    (before, _) = origin.cloud.tasks[0]
    origin.peer.lose_all()
    origin.peer.submit(origin.job)
    await eventually(lambda: len(origin.cloud.tasks) > 1)
    (after, name) = origin.cloud.tasks[-1]
    assert (after.key, name) != (before.key, "1")
    origin.cloud.say(before.key, Report(outcome=CANCELLED))
    origin.cloud.say(after.key, Report(outcome=DONE))
    await eventually(lambda: origin.outcomes)
    assert origin.outcomes == [DONE]


async def test_a_recall_that_an_earlier_life_sent_does_not_end_the_job(origin: Origin) -> None:
    (topic, _) = origin.cloud.tasks[0]
    origin.cloud.say(topic.key, Report(outcome=CANCELLED))
    await eventually(lambda: origin.lost_jobs == [origin.job])
    assert origin.outcomes == []


async def test_the_round_trip_is_measured_without_hand_offs(origin: Origin) -> None:
    await eventually(lambda: len(origin.round_trips) >= 2)
    assert min(origin.round_trips) > 0


async def test_it_is_told_how_long_each_hand_off_was_on_its_way(origin: Origin) -> None:
    await eventually(lambda: origin.sizes)
    origin.peer.submit(dataclasses.replace(origin.job, key=2, id="2", payload=b"x" * 200_000))
    await eventually(lambda: len(origin.sizes) == 2)
    assert origin.sizes[0] < 1000
    assert origin.sizes[1] > 200_000


async def test_a_hand_off_that_the_other_broker_refuses_is_placed_anew_and_not_sent_on_and_on(
    tmp_path: Path,
) -> None:
    """As where a broker of MQTT 3.1.1 has dropped it: its lease ends."""
    rules = tmp_path / "rules"
    rules.write_text(f"topic readwrite fog/mesh/{NODE}/#\n", "utf-8")
    # Started as root it would take the rights of a user who may not read the rules.
    with Mosquitto(tmp_path, "user root", f"acl_file {rules}") as mosquitto:
        async with origin_at(mosquitto.url, tmp_path, Link(mosquitto.url, node=NODE), 1.0) as origin:
            await eventually(lambda: origin.lost_jobs)
            assert len(origin.sizes) == LEASES


class BusyLink(Link):
    """A link to a broker that takes no hand-off at present."""

    offered = 0

    def send(self, topic: str, payload: bytes) -> asyncio.Future[None]:
        if not isinstance(parse(topic), MeshTaskTopic):
            return super().send(topic, payload)
        self.offered += 1
        refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        refused.set_exception(EngineUnavailable("the broker refused a message: quota exceeded"))
        return refused


async def test_a_hand_off_that_the_other_broker_has_no_room_for_is_offered_once_in_a_lease(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    link = BusyLink(mosquitto.url, node=NODE)
    async with origin_at(mosquitto.url, tmp_path, link, 0.5) as origin:
        await eventually(lambda: origin.lost_jobs)
        assert link.offered == LEASES
