"""Nodes that foreign clients talk to."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.foreign.conversation import Transport
from tests.support.mosquitto import free_port
from tests.support.programs import Program, fog_node


@dataclass(frozen=True)
class Node:
    """A node that serves both transports; an engine that `refuses` does so in its acknowledgements too."""

    program: Program
    ports: dict[Transport, int]
    refuses: bool


@pytest.fixture(scope="module", params=["embedded", "mosquitto"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A fog node on each engine."""
    engine, websockets = request.param, free_port()
    options = ("--engine", engine, "--ws", f"127.0.0.1:{websockets}")
    with fog_node(tmp_path_factory.mktemp(engine), *options) as program:
        yield Node(program, {"tcp": program.port, "websockets": websockets}, refuses=engine == "embedded")
