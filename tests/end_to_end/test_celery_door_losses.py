"""What is with a Celery application is not lost, nor run twice, whoever dies beside it."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.applications import (
    BESIDE,
    MODULE,
    Place,
    config,
    door,
    door_program,
    redis_place,
    workers,
)
from tests.support.command_lines import said_by
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.node_states import wait_for_state
from tests.support.phone import value
from tests.support.programs import REPOSITORY, fog_node, running
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import private_redis
from weighbridge import Device

SHORT_LEASE = "lease = 1.0\n"

TASKS = 2_000
KILLS = 3


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with redis_place(tmp_path / "redis") as found:
        yield found


@pytest.fixture(params=["redis", "rabbitmq"])
def each_place(request: pytest.FixtureRequest) -> Place:
    """Results that Redis keeps, and results that come only once."""
    if request.param == "redis":
        found: Place = request.getfixturevalue("place")
        return found
    return Place(broker=request.getfixturevalue("rabbitmq").url, backend="rpc://")


def _times_begun(folder: Path, name: str) -> int:
    return (folder / f"{name}.begun").stat().st_size


@pytest.mark.parametrize("ends", ["while the node is away", "when it is back"])
async def test_a_node_that_is_back_hears_what_it_had_sent(
    each_place: Place, tmp_path: Path, ends: str
) -> None:
    """Whether it died or was stopped, for which it waits for nobody; the task runs once."""
    options = (
        "--config",
        config(each_place, tmp_path, more=SHORT_LEASE),
        "--listen",
        f"127.0.0.1:{free_port()}",
    )
    with workers(each_place, tmp_path) as shop:
        with fog_node(tmp_path, *options) as node:
            publish(node.port, "fog/tasks/auto/wait_for/till/1", '["parcel"]', "-q", "1")
            await eventually((tmp_path / "parcel.begun").exists)
            if ends == "while the node is away":
                node.kill()
            else:
                assert node.terminate() == 0
        if ends == "while the node is away":
            (tmp_path / "parcel.go").touch()
            await eventually(lambda: "succeeded" in shop.log.read_text("utf-8"))
        with fog_node(tmp_path, *options) as node:
            (tmp_path / "parcel.go").touch()
            assert value(request(node.port, "fog/tasks/auto/wait_for/till/1", '["parcel"]')) == "parcel"
        assert _times_begun(tmp_path, "parcel") == 1


async def test_a_door_that_died_hears_what_it_had_sent(each_place: Place, tmp_path: Path) -> None:
    with (
        door(each_place, tmp_path, more=SHORT_LEASE) as node,
        workers(each_place, tmp_path),
        listening(node.port, "fog/results/till/1", count=1) as results,
    ):
        publish(node.port, "fog/tasks/auto/wait_for/till/1", '["parcel"]')
        await eventually((tmp_path / "parcel.begun").exists)
        door_program(node).kill()
        (tmp_path / "parcel.go").touch()
        assert b'"value":"parcel"' in (await asyncio.to_thread(results.wait))[0]
    assert _times_begun(tmp_path, "parcel") == 1


async def test_a_task_that_its_worker_took_along_is_sent_again(each_place: Place, tmp_path: Path) -> None:
    with (
        door(each_place, tmp_path, more=SHORT_LEASE) as node,
        listening(node.port, "fog/results/till/1", count=1) as results,
    ):
        with workers(each_place, tmp_path, processes=1) as shop:
            publish(node.port, "fog/tasks/auto/wait_for/till/1", '["parcel"]')
            await eventually((tmp_path / "parcel.begun").exists)
            shop.kill()
        (tmp_path / "parcel.go").touch()
        with workers(each_place, tmp_path):
            assert b'"value":"parcel"' in (await asyncio.to_thread(results.wait))[0]


async def test_one_that_waits_behind_others_is_not_taken_for_lost(place: Place, tmp_path: Path) -> None:
    """However long its lease is over: it runs once."""
    with door(place, tmp_path, more=SHORT_LEASE) as node, workers(place, tmp_path, processes=1):
        async with Device(node.url, name="till") as till:
            held = [await till.send("auto", "wait_for", [f"held-{number}"]) for number in range(12)]
            await asyncio.to_thread(_idle_for_leases, node.port)
            for number in range(12):
                (tmp_path / f"held-{number}.go").touch()
            assert [await one.value() for one in held] == [f"held-{number}" for number in range(12)]
    assert [_times_begun(tmp_path, f"held-{number}") for number in range(12)] == [1] * 12


def _idle_for_leases(port: int) -> None:
    """Wait until the node has told five states, one each second: longer than several leases."""
    with listening(port, "fog/nodes/fog-a/state", count=6) as states:
        states.wait()


async def test_a_broker_that_is_away_is_told_and_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    with redis_place(folder) as place:
        pass
    with door(place, tmp_path) as node:
        wait_for_state(node, lambda state: any("Celery" in one for one in state.trouble))
        with listening(node.port, "fog/results/till/1", count=1) as results:
            publish(node.port, "fog/tasks/auto/price/till/1", "[5]", "-q", "1")
            with private_redis(folder), workers(place, tmp_path):
                assert "£5.00".encode() in (await asyncio.to_thread(results.wait))[0]
                wait_for_state(node, lambda state: not state.trouble)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
async def test_what_a_broker_loses_is_sent_again(kind: str, tmp_path: Path) -> None:
    """Redis loses all, and a RabbitMQ that is killed what it has not written yet, or results."""
    broker: Restarted = _Redis(tmp_path) if kind == "redis" else RabbitMQ(tmp_path)
    broker.start()
    try:
        place = broker.place if isinstance(broker, _Redis) else Place(broker=broker.url, backend="rpc://")
        with door(place, tmp_path, more=SHORT_LEASE) as node:
            async with Device(node.url, name="till") as till:
                sent = [await till.send("auto", "price", [number]) for number in range(20)]
                await asyncio.to_thread(_idle_for_leases, node.port)
                broker.stop()
                wait_for_state(node, lambda state: any("Celery" in one for one in state.trouble))
                broker.start()
                with workers(place, tmp_path):
                    assert [await one.value() for one in sent] == [f"£{number}.00" for number in range(20)]
                    wait_for_state(node, lambda state: not state.trouble)
    finally:
        broker.stop()


class _Redis:
    """One that is started and stopped as RabbitMQ is, and keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "redis"
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        self.place = self._running.enter_context(redis_place(self._folder))

    def stop(self) -> None:
        self._running.close()


Restarted = _Redis | RabbitMQ


async def test_tasks_by_name_alone_need_no_module(place: Place, tmp_path: Path) -> None:
    table = f'[celery."{MODULE}.price"]\n'
    with door(place, tmp_path, more=table, app=False) as node, workers(place, tmp_path):
        assert (
            value(request(node.port, "fog/tasks/auto/price/till/1", '{"pounds": 3, "pence": 7}')) == "£3.07"
        )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--celery", "nowhere:app"), "--celery nowhere:app cannot be loaded"),
        (("--celery", f"{MODULE}:price"), "this is no Celery application; write MODULE:APP"),
        (("--celery", f"{MODULE}:app"), "has no result backend, so nobody would hear what became of a task"),
    ],
)
def test_what_cannot_be_used_is_said_at_the_start(
    tmp_path: Path, options: tuple[str, str], sentence: str
) -> None:
    command = ("fog_node", "--name", "fog-a", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"))
    with (
        pytest.raises(AssertionError, match="ended with 1") as ended,
        running(*command, *options, folder=tmp_path),
    ):
        pass
    assert sentence in str(ended.value)
    assert "Traceback" not in str(ended.value)


HOLD = """
import os, time
from pathlib import Path
import celery
app = celery.Celery("shop")

@app.task
def hold(name: str) -> str:
    with open(f"{name}.begun", "a") as begun:
        begun.write("x")
    while not Path(f"{name}.go").exists():
        time.sleep(0.01)
    return name
"""
FRESH = """
@app.task
def fresh(number: int) -> int:
    return number
"""


async def test_a_reload_brings_new_tasks_and_what_is_with_the_application_goes_on(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(HOLD)
    options = ("--celery", BESIDE, "--config", config(place, tmp_path, more=SHORT_LEASE, app=False))
    command = ("fog_node", "--name", "fog-a", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"))
    with running(
        *command,
        *("--workers", "light=1", *options),
        folder=tmp_path,
        cwd=tmp_path,
        environment={"PYTHONPATH": str(REPOSITORY)},
    ) as node:
        with (
            workers(place, tmp_path, processes=1, beside=True),
            listening(node.port, "fog/results/till/1", count=1) as results,
        ):
            publish(node.port, "fog/tasks/auto/hold/till/1", '["parcel"]')
            await eventually((tmp_path / "parcel.begun").exists)
            (tmp_path / "shop.py").write_text(HOLD + FRESH)
            before = door_program(node)
            told = await asyncio.to_thread(said_by, "fog_node", "reload", "--data", str(tmp_path / "data"))
            assert "task shop.fresh: new" in told.stdout
            await eventually(lambda: not before.is_running())
            (tmp_path / "parcel.go").touch()
            assert b'"value":"parcel"' in (await asyncio.to_thread(results.wait))[0]
        assert _times_begun(tmp_path, "parcel") == 1
        with workers(place, tmp_path, beside=True):
            assert value(request(node.port, "fog/tasks/auto/fresh/till/2", "[7]")) == 7


@pytest.mark.timeout(240)
async def test_thousands_of_tasks_have_an_outcome_though_their_workers_are_killed(
    rabbitmq: RabbitMQ, tmp_path: Path
) -> None:
    place = Place(broker=rabbitmq.url, backend="rpc://")
    done = 0

    async def submit(till: Device, number: int) -> None:
        nonlocal done
        assert await till.submit("auto", "price", [number], timeout=180) == f"£{number}.00"
        done += 1

    with door(place, tmp_path, more=SHORT_LEASE) as node:
        async with Device(node.url, name="till") as till, asyncio.TaskGroup() as group:
            for number in range(TASKS):
                group.create_task(submit(till, number))
            for kill in range(1, KILLS + 1):
                with workers(place, tmp_path) as shop:
                    await eventually(lambda kill=kill: done >= kill * TASKS // (KILLS + 2))  # type: ignore[misc]
                    shop.kill()
            with workers(place, tmp_path):
                await eventually(lambda: done == TASKS, timeout=120)
    assert done == TASKS
