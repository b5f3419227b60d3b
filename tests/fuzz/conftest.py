"""A node with users, whose memory is watched."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from broker.contract.identity import Role
from broker.security.users import make_user, write_users
from tests.support.mosquitto import free_port
from tests.support.programs import Program, fog_node

USERS = {"good": Role.DEVICE, "mallory": Role.DEVICE, "evil": Role.NODE, "watch": Role.OPERATOR}


def users_file(folder: Path) -> Path:
    path = folder / "users.toml"
    write_users(path, {name: make_user(name, role, f"{name}-secret") for name, role in USERS.items()})
    return path


def memory(node: Program) -> float:
    """MiB of the node's own process that are in memory."""
    resident: int = psutil.Process(node.process.pid).memory_info().rss
    return resident / 2**20


@pytest.fixture(scope="module")
def ws_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, ws_port: int) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("fuzzed")
    options = ["--users", str(users_file(folder)), "--log-level", "warning", "--max-rate", "200"]
    # So few retained messages that they are all there before the second half of a storm.
    more = ["--max-burst", "200", "--connect-timeout", "5", "--max-retained", "300"]
    more += ["--ws", f"127.0.0.1:{ws_port}"]
    with fog_node(folder, *options, *more) as program:
        yield program
