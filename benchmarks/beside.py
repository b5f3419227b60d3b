"""The node of this tree beside that of another: `python -m benchmarks.beside OTHER_TREE [ROUNDS]`.

`python -m benchmarks.beside . --mqtt 5` compares the versions instead: the other's devices speak 3.1.1.

What a change costs or gains is told by both versions in one run, since the machine's speed drifts. Both nodes
run all the time, and take turns: one is loaded while the other is idle. OTHER_TREE is a checkout with .venv.
"""

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import psutil
import typer

from benchmarks.contestants.settings import PROCESSES
from benchmarks.load.generator import Generator
from benchmarks.load.measured import Measured, Work
from benchmarks.parts import Parts, node_parts

DEVICES = 16
WINDOW = 3.0
LOADS = (1, 64, 256)
READY_TIMEOUT = 60.0


@contextlib.asynccontextmanager
async def node_of(tree: Path, version: int) -> AsyncIterator[Generator]:
    """Devices at a node that runs from a tree."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-beside-") as folder:
        process = await asyncio.create_subprocess_exec(
            *(str(tree / ".venv/bin/python"), "-m", "fog_node", "--name", "bench", "--listen", "127.0.0.1:0"),
            *(
                "--data",
                folder,
                "--workers",
                f"light={PROCESSES}",
                "--max-rate",
                "0",
                "--log-level",
                "warning",
            ),
            cwd=tree,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_TIMEOUT)
            generator = Generator(Parts(node_parts(psutil.Process(process.pid))))
            await generator.connect(urlsplit(line.split()[-1].decode()).port or 0, DEVICES, version=version)
            try:
                yield generator
            finally:
                generator.close()
        finally:
            process.terminate()
            await process.wait()


def main(
    other: Annotated[Path, typer.Argument(metavar="OTHER_TREE", help="A checkout with .venv.", exists=True)],
    rounds: Annotated[int, typer.Argument(min=1, help="How often each is loaded.")] = 8,
    mqtt: Annotated[Literal["3", "5"], typer.Option(help="What this tree's devices speak.")] = "3",
) -> None:
    """Measure the node of this tree beside that of another, in turns."""
    asyncio.run(compare(other.absolute(), rounds, 5 if mqtt == "5" else 4))


async def compare(other: Path, rounds: int, version: int) -> None:
    """Print each load's ratios: this tree's figure over the other's, the median of the rounds' own ratios."""
    trees = {"this": (Path(__file__).parent.parent, version), "other": (other, 4)}
    taken: dict[tuple[str, int], list[Measured]] = {}
    async with contextlib.AsyncExitStack() as stack:
        nodes = {name: await stack.enter_async_context(node_of(*each)) for name, each in trees.items()}
        for generator in nodes.values():
            await generator.closed(Work(), outstanding=64, seconds=2.0)
        for number in range(rounds):
            for load in LOADS:
                for name in list(nodes)[:: -1 if number % 2 else 1]:
                    one = await nodes[name].closed(Work(), outstanding=load, seconds=WINDOW)
                    taken.setdefault((name, load), []).append(one)
    print("outstanding  tasks/s: this  other  ratio   p50 ms: this  other  ratio")
    for load in LOADS:
        this, before = taken["this", load], taken["other", load]
        rates = statistics.median(a.rate / b.rate for a, b in zip(this, before, strict=True))
        p50s = statistics.median(a.latency.p50 / b.latency.p50 for a, b in zip(this, before, strict=True))
        rate = [statistics.median(one.rate for one in found) for found in (this, before)]
        p50 = [statistics.median(one.latency.p50 for one in found) for found in (this, before)]
        print(
            f"{load:11}  {rate[0]:13,.0f}  {rate[1]:5,.0f}  {rates:5.3f}"
            f"  {p50[0]:13.2f}  {p50[1]:5.2f}  {p50s:5.3f}"
        )


if __name__ == "__main__":
    typer.run(main)
