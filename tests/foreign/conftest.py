"""Nodes that foreign clients talk to."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.foreign.conversation import Transport
from tests.support.mosquitto import free_port
from tests.support.programs import fog_node


@dataclass(frozen=True)
class Node:
    """A node that serves both transports; an engine that `refuses` does so in its acknowledgements too."""

    ports: dict[Transport, int]
    refuses: bool


@contextlib.contextmanager
def serving(folder: Path, *options: str, engine: str = "embedded") -> Iterator[Node]:
    """A fog node."""
    websockets = free_port()
    with fog_node(folder, "--engine", engine, "--ws", f"127.0.0.1:{websockets}", *options) as node:
        yield Node({"tcp": node.port, "websockets": websockets}, refuses=engine == "embedded")


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A fog node on each engine."""
    with serving(tmp_path_factory.mktemp("node"), engine=request.param) as node:
        yield node
