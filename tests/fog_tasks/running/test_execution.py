"""Tasks in a real worker, called by an ordinary Celery client and by a node."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from billiard.exceptions import SoftTimeLimitExceeded
from celery import Celery

from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_tasks import BadArguments, BadResult
from fog_tasks.errors import TaskEnded
from fog_tasks.loading import load
from fog_tasks.redis_url import celery_url
from fog_tasks.reporting.reports import (
    Advanced,
    Done,
    Failed,
    Hello,
    Report,
    Running,
    decode_report,
    stream_name,
)
from fog_tasks.running.app import make_app, queue_name
from fog_tasks.running.celery_message import PLAIN_JSON
from fog_tasks.running.execution import BATCH
from fog_tasks.running.faults import explain
from fog_tasks.running.settings import WorkerSettings
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.programs import Program
from tests.support.redis import private_redis

NODE = "fog-a"
QUEUE = queue_name(NODE, Weight.LIGHT)
WILD_TASKS = "tests/end_to_end/wild_tasks.py"
TIMEOUT = 20.0


@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        (SoftTimeLimitExceeded(), ErrorCode.TIMED_OUT, "it ran past its time limit"),
        (BadArguments("sum: no"), ErrorCode.BAD_ARGUMENTS, "sum: no"),
        (BadResult("it returned no"), ErrorCode.FAILED, "it returned no"),
        (SystemExit(3), ErrorCode.FAILED, "it called sys.exit(3)"),
        (SystemExit("bye"), ErrorCode.FAILED, "it called sys.exit('bye')"),
        (KeyError("a"), ErrorCode.FAILED, "KeyError: 'a'"),
        (KeyboardInterrupt(), ErrorCode.FAILED, "KeyboardInterrupt: "),
    ],
)
def test_a_fault_is_explained_in_one_sentence(fault: BaseException, code: ErrorCode, sentence: str) -> None:
    assert explain(fault) == (code, sentence)


def test_a_fault_that_was_raised_is_explained_with_its_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        1 / 0  # noqa: B018
    code, sentence = explain(caught.value)
    assert code is ErrorCode.FAILED
    assert sentence.startswith("ZeroDivisionError: division by zero (test_execution.py, line ")


class Reports:
    """The stream of a node, read from its beginning to wherever a test has come."""

    def __init__(self, url: str) -> None:
        self.redis = redis.Redis.from_url(url, protocol=2)
        # redis-py's own dictionary would have one of several reports in an entry.
        self.redis.set_response_callback("XREAD", lambda answer, **_: answer)
        self._last = b"0"
        self._read: list[Report] = []

    def wait_for(self, wanted: type[Report] | tuple[type[Report], ...], ticket: str | None = None) -> Any:
        """The next report of a kind, of one ticket if that is given; those before it are skipped."""
        give_up = time.monotonic() + TIMEOUT
        while time.monotonic() < give_up:
            while self._read:
                report = self._read.pop(0)
                if isinstance(report, wanted) and ticket in {None, getattr(report, "ticket", None)}:
                    return report
            answer: Any = self.redis.xread({stream_name(NODE): self._last}, block=1000)
            for self._last, fields in answer[0][1] if answer else ():
                self._read += map(decode_report, fields[1::2])
        raise AssertionError(f"no {wanted} came within {TIMEOUT} s")


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def reports(redis_url: str) -> Iterator[Reports]:
    reader = Reports(redis_url)
    yield reader
    reader.redis.close()


@pytest.fixture(scope="module")
def worker(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    settings = WorkerSettings(node=NODE, redis_url=redis_url, weight=Weight.LIGHT, tasks=[WILD_TASKS])
    folder = tmp_path_factory.mktemp("worker")
    program = Program(["fog_tasks.worker"], folder, settings.environment())
    reader = Reports(redis_url)
    try:
        reader.wait_for(Hello)
        yield program
    finally:
        reader.redis.close()
        program.close()


@pytest.fixture
def client(redis_url: str, worker: Program) -> Iterator[Celery]:
    """A client that knows nothing of this project but the names of a task and of a queue."""
    url = celery_url(redis_url)
    with Celery("anybody", broker=url, backend=url, set_as_current=False) as app:
        yield app


@pytest.fixture
def node(redis_url: str, worker: Program) -> Iterator[Celery]:
    with make_app(redis_url, node=NODE, registry=load([])) as app:
        yield app


def call(client: Celery, name: str, *arguments: Any, **named: Any) -> Any:
    return client.send_task(name, args=arguments, kwargs=named, queue=QUEUE).get(timeout=TIMEOUT)


def give(node: Celery, name: str, *arguments: Any, **options: Any) -> str:
    """Send a task as a node does; return its ticket."""
    ticket = uuid4().hex
    options |= {"task_id": ticket, "reply_to": stream_name(NODE), "ignore_result": True}
    options |= {"serializer": PLAIN_JSON}
    node.send_task(name, args=arguments, queue=QUEUE, **options)
    return ticket


@pytest.mark.parametrize(
    ("name", "arguments", "named", "value"),
    [
        ("sum", (1, 2, 3), {}, 6),
        ("sum", (), {"numbers": [1, 2.5]}, 3.5),
        ("echo", (), {"a": [1, None]}, {"a": [1, None]}),
        ("shout", ("ab",), {"times": 2}, "ABAB"),
        ("length", (b"\xff\x00",), {}, 2),
    ],
)
def test_an_ordinary_celery_client_gets_the_value(
    client: Celery, name: str, arguments: tuple[Any, ...], named: dict[str, Any], value: Any
) -> None:
    assert call(client, name, *arguments, **named) == value


@pytest.mark.parametrize(
    ("name", "arguments", "fault", "sentence"),
    [
        ("raising", ("oh",), ValueError, "^oh$"),
        ("shout", (1,), BadArguments, "shout: parameter 'text': expected `str`, got `int`"),
        ("returning_an_object", (), BadResult, "cannot be written as JSON"),
    ],
)
def test_a_task_that_fails_raises_at_an_ordinary_celery_client(
    client: Celery, name: str, arguments: tuple[Any, ...], fault: type[Exception], sentence: str
) -> None:
    with pytest.raises(fault, match=sentence):
        call(client, name, *arguments)


def test_a_node_hears_what_a_task_returned(node: Celery, reports: Reports) -> None:
    odd = {"__type__": "uuid", "__value__": "x"}
    ticket = give(node, "echo", odd)
    assert json.loads(reports.wait_for((Done, Failed), ticket).value) == odd


def test_a_node_hears_that_a_task_runs(node: Celery, reports: Reports) -> None:
    ticket = give(node, "sleep", 0.5)
    first = reports.wait_for((Running, Done, Failed), ticket)
    assert isinstance(first, Running)
    assert first.worker.startswith("light-")


def test_a_node_hears_how_far_a_task_is(node: Celery, reports: Reports) -> None:
    ticket = give(node, "halves")
    assert reports.wait_for(Running, ticket).worker.startswith("light-")
    assert reports.wait_for(Advanced, ticket).percent == 50.0
    assert reports.wait_for(Advanced, ticket).percent == 100.0
    assert reports.wait_for((Done, Failed), ticket).ran_ms >= 150


@pytest.mark.parametrize("last", ["patient", "obsessed"])
def test_what_has_ended_in_a_batch_is_reported_while_a_longer_task_runs(
    node: Celery, reports: Reports, tmp_path: Path, last: str
) -> None:
    """Also while that is deaf to all signals."""
    stop = tmp_path / "stop"
    items: list[Any] = [
        ("sum", (1, 2), {}, 5.0),
        ("shout", ("a",), {}, 5.0),
        (last, (str(stop),), {}, TIMEOUT),
    ]
    ticket = give(node, BATCH, items)
    try:
        assert {reports.wait_for(Done, ticket).index for _ in range(2)} == {0, 1}
    finally:
        stop.touch()
    # What the worker has told for its process comes from that once more.
    later = iter(lambda: reports.wait_for(Done, ticket), None)
    assert next(done.value for done in later if done.index == 2) == b"true"


@pytest.mark.parametrize(
    ("name", "limits", "code", "sentence", "worker_lost"),
    [
        ("sing", {}, ErrorCode.UNKNOWN_TASK, "has no task named 'sing'", False),
        ("shout", {}, ErrorCode.BAD_ARGUMENTS, "parameter 'text' is missing", False),
        ("leaving", {}, ErrorCode.FAILED, "it called sys.exit(3)", False),
        # Without a limit, which may run out before: Celery notices a death at once or five seconds later.
        ("dying", {}, ErrorCode.FAILED, "the process that ran it died", True),
        # The hard limit is far behind, or a loaded machine might come to it first.
        (
            "looping",
            {"soft_time_limit": 0.3, "time_limit": TIMEOUT},
            ErrorCode.TIMED_OUT,
            "it ran past its time limit",
            False,
        ),
        (
            "stubborn",
            {"soft_time_limit": 1.0, "time_limit": 2.0},
            ErrorCode.TIMED_OUT,
            "and was killed",
            False,
        ),
    ],
)
def test_a_node_hears_how_a_task_failed_and_the_worker_goes_on(
    node: Celery,
    reports: Reports,
    name: str,
    limits: dict[str, float],
    code: ErrorCode,
    sentence: str,
    worker_lost: bool,
) -> None:
    ticket = give(node, name, **limits)
    failed = reports.wait_for((Done, Failed), ticket)
    assert isinstance(failed, Failed)
    assert failed.code is code
    assert sentence in failed.message
    assert failed.worker_lost is worker_lost
    after = reports.wait_for((Done, Failed), give(node, "sum", 1, 2))
    assert isinstance(after, Done)
    assert after.value == b"3"


def test_a_task_that_left_the_program_does_not_end_its_worker(client: Celery, node: Celery) -> None:
    """Celery's own record of it names the fault, in place of a lost process."""
    ticket = uuid4().hex
    stream = stream_name(NODE)
    result = node.send_task("leaving", queue=QUEUE, task_id=ticket, reply_to=stream, ignore_result=False)
    with pytest.raises(TaskEnded, match=r"it called sys\.exit\(3\)"):
        result.get(timeout=TIMEOUT)
    assert call(client, "sum", 1) == 1


def test_what_someone_pickled_is_dropped_unread_and_the_worker_goes_on(
    client: Celery, worker: Program
) -> None:
    client.send_task("sum", args=[1], queue=QUEUE, serializer="pickle")
    assert call(client, "sum", 1, 2) == 3
    assert "Refusing to deserialize untrusted content of type pickle" in worker.stderr


async def test_flower_shows_the_worker_and_the_task(
    client: Celery, worker: Program, redis_url: str, tmp_path: Path
) -> None:
    port = free_port()
    options = ("--address=127.0.0.1", f"--port={port}", f"--db={tmp_path / 'flower'}")
    command = ("celery", "--broker", celery_url(redis_url), "flower", *options)
    flower = Program(command, tmp_path, {"FLOWER_UNAUTHENTICATED_API": "true"})

    def shown(path: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/{path}", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    try:
        await eventually(lambda: any(shown("workers?status=true").values()), TIMEOUT)
        # Flower asks for this itself, but not in its first five seconds.
        client.control.enable_events()
        result = client.send_task("sum", args=[1, 2, 3], queue=QUEUE)
        assert result.get(timeout=TIMEOUT) == 6
        await eventually(lambda: shown(f"task/info/{result.id}").get("state") == "SUCCESS", TIMEOUT)
        info = shown(f"task/info/{result.id}")
        assert (info["name"], info["result"]) == ("sum", "6")
        assert info["worker"] in shown("workers?status=true")
    finally:
        flower.close()
