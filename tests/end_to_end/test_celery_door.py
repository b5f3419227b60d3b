"""Tasks of an existing Celery application, run by its own workers for devices, through a node."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from broker.contract.messages import Catalog, ErrorCode, TaskError
from device_sim.errors import Cancelled
from tests.support.applications import MODULE, Place, door, redis_place, workers
from tests.support.eventually import eventually
from tests.support.mosquitto_clients import listening, publish, request
from tests.support.phone import value
from tests.support.programs import Program
from weighbridge import Device

TABLES = f"""
[celery."{MODULE}.price"]
name = "tag"
weight = "light"

[celery."{MODULE}.wait_for"]
timeout = 30
terminate = true

[[rule]]
name = "till"
on = "till/{{till}}/sold"
task = "tag"
arguments = {{ pounds = "item.price" }}
result = "till/{{till}}/tag"
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A node that is a door to running workers, and the folder in which their tasks meet the tests."""

    node: Program
    folder: Path


@pytest.fixture(scope="module", params=["redis", "rabbitmq", "files"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Each way in which results come: told by Redis, as messages, and looked for in a folder."""
    if request.param == "rabbitmq":
        yield Place(broker=request.getfixturevalue("rabbitmq").url, backend="rpc://")
        return
    with redis_place(tmp_path_factory.mktemp("redis")) as redis:
        files = f"file://{tmp_path_factory.mktemp('results')}"
        yield redis if request.param == "redis" else Place(broker=redis.broker, backend=files)


@pytest.fixture(scope="module")
def shop(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with door(place, folder, more=TABLES) as node, workers(place, folder):
        yield Shop(node, folder)


@pytest.mark.parametrize("name", ["tag", "weigh", f"{MODULE}.weigh"])
def test_a_task_has_the_name_of_its_table_or_celerys_or_the_end_of_that(
    shop: Shop, request_id: str, name: str
) -> None:
    outcome = request(shop.node.port, f"fog/tasks/auto/{name}/till/{request_id}", "[3]")
    if name == "tag":
        assert (value(outcome), outcome.task) == ("£3.00", "tag")
    else:
        assert outcome.task == f"{MODULE}.weigh"
        assert outcome.error == TaskError(ErrorCode.FAILED, "ValueError: 3 g is too heavy")


def test_arguments_are_checked_by_the_applications_annotations(shop: Shop, request_id: str) -> None:
    outcome = request(shop.node.port, f"fog/tasks/auto/tag/till/{request_id}", '{"pounds": "three"}')
    sentence = "tag: parameter 'pounds': expected `int`, got `str`"
    assert outcome.error == TaskError(ErrorCode.BAD_ARGUMENTS, sentence)


@pytest.mark.parametrize(
    ("task", "payload", "returned"),
    [
        ("weekday", '["2026-11-28"]', "date Saturday"),
        ("measure", b"\x00\xff\xfe", 3),
        ("largest", f"[[1, {2**80}]]", 2**80),
        ("tag", "[4]", "£4.00"),
    ],
)
def test_a_function_gets_what_a_celery_client_would_give_it(
    shop: Shop, request_id: str, task: str, payload: str | bytes, returned: object
) -> None:
    outcome = request(shop.node.port, f"fog/tasks/auto/{task}/till/{request_id}", payload)
    assert value(outcome) == returned


def test_the_applications_own_retries_are_not_seen(shop: Shop, request_id: str) -> None:
    assert value(request(shop.node.port, f"fog/tasks/auto/ring/till/{request_id}", "[2]")) == 2


async def test_states_are_progress(shop: Shop) -> None:
    async with Device(shop.node.url, name="till") as till:
        pending = await till.send("auto", "pack", [4], progress=True)
        steps = [one.percent async for one in pending.progress() if one.percent is not None]
        assert await pending.value() == "packed"
    # Where results are looked for, a step may be over before it was seen.
    assert steps == sorted(steps)
    assert set(steps) <= {25, 50, 75, 100}
    assert steps


async def test_a_cancelled_task_is_ended_where_it_runs_if_its_table_says_so(shop: Shop) -> None:
    """Both processes of the worker are held up; without it the last task would wait for a minute."""
    async with Device(shop.node.url, name="till") as till:
        held = [await till.send("auto", "wait_for", [f"held-{number}"]) for number in range(2)]
        for number in range(2):
            await eventually((shop.folder / f"held-{number}.begun").exists)
        for one in held:
            await till.cancel(one.id)
            with pytest.raises(Cancelled):
                await one.value()
        assert await till.submit("auto", "tag", [4]) == "£4.00"


async def test_what_runs_past_the_limit_of_its_table_is_timed_out(place: Place, tmp_path: Path) -> None:
    limit = f'[celery."{MODULE}.wait_for"]\ntimeout = 0.5\n'
    with door(place, tmp_path, more=limit) as node, workers(place, tmp_path):
        outcome = request(node.port, "fog/tasks/auto/wait_for/till/1", '["never"]')
    assert outcome.error == TaskError(ErrorCode.TIMED_OUT, "it ran past its time limit")


def test_what_no_worker_begins_in_time_is_expired(place: Place, tmp_path: Path) -> None:
    elsewhere = f'[celery."{MODULE}.price"]\nqueue = "nobody-reads"\n'
    with door(place, tmp_path, more=elsewhere) as node:
        outcome = request(node.port, "fog/tasks/auto/price/till/1", '{"pounds": 1, "$deadline": 1}')
    assert isinstance(outcome.error, TaskError)
    assert outcome.error.code is ErrorCode.EXPIRED


def test_a_result_that_cannot_be_read_is_a_failure_of_its_task_and_of_no_other(
    shop: Shop, request_id: str
) -> None:
    outcome = request(shop.node.port, f"fog/tasks/auto/give_up/till/{request_id}", '["no flour"]')
    sentence = "its result cannot be read: Exception information must include the exception type"
    assert outcome.error == TaskError(ErrorCode.FAILED, sentence)
    assert value(request(shop.node.port, f"fog/tasks/auto/tag/till/{request_id}", "[6]")) == "£6.00"


def test_a_rule_starts_a_task_of_the_application(shop: Shop) -> None:
    with listening(shop.node.port, "till/2/tag", count=1) as tags:
        publish(shop.node.port, "till/2/sold", '{"item": {"price": 3}}', "-q", "1")
        assert [one.decode() for one in tags.wait()] == ["£3.00"]


async def test_large_values_come_whole(shop: Shop) -> None:
    async with Device(shop.node.url, name="till") as till:
        sizes = [await till.send("auto", "fill", [5_000_000 + number]) for number in range(8)]
        assert [len(await one.value()) for one in sizes] == [5_000_000 + number for number in range(8)]


def test_the_catalog_has_what_can_be_answered(shop: Shop) -> None:
    """A task whose result its application throws away is left out, and the log says so."""
    with listening(shop.node.port, f"fog/nodes/{shop.node.name}/catalog", count=1) as catalogs:
        catalog = msgspec.json.decode(catalogs.wait()[0], type=Catalog)
    own = {one.task for one in catalog.tasks if one.task == "tag" or one.task.startswith(MODULE)}
    assert own == {"tag"} | {
        f"{MODULE}.{name}"
        for name in ("fill", "give_up", "largest", "measure", "pack", "ring", "wait_for", "weekday", "weigh")
    }
    assert f"{MODULE}.sweep" in shop.node.stderr
