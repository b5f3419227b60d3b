"""Each hostile input gets what docs/hostile-inputs.md says, and a good device its answers meanwhile."""

import asyncio
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.broker.engines.embedded.raw_client import RawClient
from tests.fuzz.conftest import memory, users_file
from tests.fuzz.hostile import CASES
from tests.fuzz.storm import GoodDevice
from tests.support.eventually import eventually
from tests.support.programs import REPOSITORY, Program, fog_node

PAGE = REPOSITORY / "docs" / "hostile-inputs.md"
TABLE = re.compile(r"(?<=<!-- hostile inputs -->\n).*?(?=<!-- end -->)", re.DOTALL)


@pytest.fixture(scope="module")
def strict_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    options = ["--users", str(users_file(folder)), "--connect-timeout", "2", "--max-payload", "100000"]
    with fog_node(folder, *options) as program:
        yield program


@pytest.mark.timeout(240)
async def test_hostile_inputs_get_what_is_documented(strict_node: Program) -> None:
    """FUZZ_WRITE_TABLE=1 writes the table of the document anew."""
    node, over, rows = strict_node, asyncio.Event(), list[str]()
    good = GoodDevice(node.port)
    await good.connect()
    asking = asyncio.create_task(good.go_on(over))
    start = memory(node)
    wrong = []
    try:
        for case in CASES:
            before, answered = memory(node), good.answered
            client = await RawClient.open(node.port)
            got = await case.act(client)
            client.drop()
            # At least one task of the good device is asked and answered after each input.
            await eventually(partial(good.has_answered, answered + 1), 20)
            rows.append(
                f"| {case.name} | {got} | {before:.1f} → {memory(node):.1f} | {good.answered - answered} |"
            )
            if got != case.expected:
                wrong.append((case.name, got, case.expected))
    finally:
        over.set()
        await asking
        good.leave()
    assert wrong == []
    assert len(CASES) >= 40
    assert good.answered == good.asked
    assert memory(node) - start < 64
    assert "Traceback" not in node.stderr, node.stderr[-3000:]
    if os.environ.get("FUZZ_WRITE_TABLE"):
        head = [
            "| input | what it got | node's memory, MiB | good device's tasks answered |",
            "|---|---|---|---|",
        ]
        table = "\n".join([*head, *rows]) + "\n"
        PAGE.write_text(TABLE.sub(lambda _: table, PAGE.read_text()))


def test_the_document_lists_every_input() -> None:
    listed = PAGE.read_text()
    assert [case.name for case in CASES if f"| {case.name} | {case.expected} |" not in listed] == []


@pytest.mark.timeout(120)
async def test_three_thousand_silent_connections_keep_nobody_out(node: Program) -> None:
    """A device from another address connects and is served while one host holds 3,000 open."""
    writers: list[asyncio.StreamWriter] = []
    good = GoodDevice(node.port, local="127.0.0.2")
    try:
        for _ in range(60):
            opened = await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", node.port) for _ in range(50))
            )
            writers += [writer for _, writer in opened]
        await good.connect()
        for _ in range(5):
            await good.ask()
        assert good.answered == 5
    finally:
        good.leave()
        for writer in writers:
            writer.transport.abort()
