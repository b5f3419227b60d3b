"""What decides can be run in virtual time: importing it loads no event loop, no client and no log."""

import subprocess
import sys

import pytest

MODULES = (
    "fog_node.execution.in_flight",
    "fog_node.execution.pool",
    "fog_node.execution.pools",
    "fog_node.execution.application.queue",
    "fog_tasks.application.pending",
    "fog_node.jobs.books",
    "fog_node.jobs.job",
    "fog_node.jobs.limits",
    "fog_node.jobs.open_jobs",
    "fog_node.jobs.refusal",
    "fog_node.jobs.waits",
    "fog_node.mesh.handed_over",
    "fog_node.mesh.open_questions",
    "fog_node.placement.answers",
    "fog_node.placement.board",
    "fog_node.placement.estimates",
    "fog_node.placement.experience",
    "fog_node.placement.here",
    "fog_node.placement.placer",
    "fog_node.placement.policies.deadline",
    "fog_node.placement.policies.original",
    "fog_node.placement.policies.probing",
    "fog_node.placement.policies.simple",
    "fog_node.placement.surroundings",
    "fog_node.routing.destinations",
    "fog_node.routing.listener",
    "fog_node.routing.router",
    "fog_node.rules.reading",
    "fog_node.rules.rulebook",
    "fog_node.state",
)
IMPURE = {"asyncio", "celery", "kombu", "paho", "redis", "socket", "structlog"}


@pytest.mark.parametrize("module", MODULES)
def test_what_decides_loads_nothing_that_waits_or_speaks(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not IMPURE & set(loaded.stdout.split())
