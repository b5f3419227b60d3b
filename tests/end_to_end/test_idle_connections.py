"""A Redis that closes the connections that nobody uses, as managed ones do."""

import time
from pathlib import Path
from typing import Any

import msgspec
import redis

from broker.contract.messages import Progress, Stage
from tests.support.mosquitto_clients import TIMEOUT, listening, publish, request
from tests.support.programs import Program, fog_node
from tests.support.redis import private_redis


def pause(client: Any) -> None:
    """Wait until Redis has closed a connection that nobody used."""
    before = {one["id"] for one in client.client_list()}
    give_up = time.monotonic() + TIMEOUT
    while not before - {one["id"] for one in client.client_list()}:
        assert time.monotonic() < give_up
        time.sleep(0.1)


def submit(node: Program, name: str, seconds: str, *, cancel: bool) -> None:
    """See a task begin, tell how far it is, and end."""
    with (
        listening(node.port, f"fog/progress/me/{name}", count=3) as progress,
        listening(node.port, f"fog/results/me/{name}", count=1) as results,
    ):
        publish(node.port, f"fog/tasks/medium/sleep/me/{name}", seconds, "-q", "1")
        told = [msgspec.json.decode(one, type=Progress) for one in progress.wait()]
        assert [one.stage for one in told] == [Stage.ACCEPTED, Stage.RUNNING, Stage.RUNNING]
        if cancel:
            publish(node.port, f"fog/cancel/me/{name}", "", "-q", "1")
        assert results.wait()


def test_a_task_after_a_pause_is_as_any_other(tmp_path: Path) -> None:
    """Nobody says that Redis was away, no progress is lost, and a cancellation reaches its worker."""
    with private_redis(tmp_path / "redis") as url:
        client: Any = redis.Redis.from_url(url)
        client.config_set("timeout", 2)
        with fog_node(tmp_path, "--redis", url, workers="light=1,medium=1") as node:
            for number in range(3):
                assert request(node.port, f"fog/tasks/light/sum/me/{number}", "[1]").ok
                # Its percentages are four seconds apart, and it would hold the only worker too long.
                submit(node, f"long-{number}", "40", cancel=True)
                submit(node, f"short-{number}", "0.5", cancel=False)
                pause(client)
            for words in ("unsent", "unreadable", "unreachable", "retried", "silent"):
                assert words not in node.stderr
