"""The parts of a node, put together and not started: each knows those that it calls."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from broker.contract.message import Message
from broker.contract.topics import Weight
from broker.engines.memory import MemoryEngine
from broker.links.outbox import opened_store
from broker.namesakes import Namesakes
from fog_node.assembly import Assembly, Files, Parts
from fog_node.execution.task_versions import TaskVersions
from fog_node.journal.journal import Journal
from fog_node.placement.estimates import Estimates
from fog_node.rules.rulebook import Rulebook
from fog_node.settings import NodeSettings
from fog_node.topology import Topology
from fog_tasks.loading import load
from fog_tasks.task_files import TaskFiles

NO_REDIS = "unix:///nowhere"
"""None is needed: what would speak to it is not started."""


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[Files]:
    async with (
        Journal.opened(tmp_path / "journal.db") as journal,
        opened_store(tmp_path / "outbox.db", now=0.0) as outboxes,
    ):
        yield Files(journal, outboxes)


def parts(files: Files, **topology: Any) -> Parts:
    settings = NodeSettings(name="fog-a", workers={Weight.LIGHT: 2})
    assembly = Assembly(settings, Topology(address="fog-a", **topology), files, Namesakes("fog-a", 1))
    return assembly.parts(
        load([]),
        MemoryEngine(),
        Estimates(),
        NO_REDIS,
        versions=TaskVersions(TaskFiles()),
        on_duty=lambda _: None,
        rulebook=Rulebook([], {}),
        on_stall=lambda _: None,
    )


async def submit(node: Parts, topic: str) -> None:
    await node.engine.start(node.dispatcher.receive, ["fog/#"])
    assert isinstance(node.engine, MemoryEngine)
    acknowledged = node.engine.deliver(Message(topic=topic, payload=b"", qos=1))
    assert isinstance(acknowledged, asyncio.Future)
    await asyncio.wait_for(acknowledged, 5)


async def test_a_task_that_arrives_waits_for_the_nodes_own_workers(files: Files) -> None:
    node = parts(files)
    await submit(node, "fog/tasks/light/echo/me/1")
    assert node.pools.queued()[Weight.LIGHT] == 1
    assert len(node.jobs) == 1


async def test_a_task_for_the_cloud_waits_in_its_outbox(files: Files) -> None:
    node = parts(files, cloud="mqtt://127.0.0.1:1")
    await submit(node, "fog/tasks/heavy/echo/me/1")
    assert node.cloud is not None
    assert node.cloud.open == 1


async def test_a_task_in_the_outbox_is_there_in_the_next_life(files: Files) -> None:
    await submit(parts(files, cloud="mqtt://127.0.0.1:1"), "fog/tasks/heavy/echo/me/1")
    later = parts(files, cloud="mqtt://127.0.0.1:1")
    assert later.dispatcher.recover() == 1
    assert later.cloud is not None
    assert later.cloud.open == 1


async def test_a_node_without_a_cloud_has_no_gateways_to_hear(files: Files) -> None:
    node = parts(files)
    assert node.cloud is None
    assert node.gateways is None


async def test_a_job_that_another_node_lost_is_placed_again_by_the_router_made_last(files: Files) -> None:
    node = parts(files, cloud="mqtt://127.0.0.1:1")
    await submit(node, "fog/tasks/heavy/echo/me/1")
    assert node.cloud is not None
    node.cloud.lose_all()
    assert node.cloud.open == 1
