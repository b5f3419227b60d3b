"""Three fog nodes, a cloud and a device, each on a host of its own."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.hosts import Host, Hosts
from tests.support.programs import Program

FOG = ("fog-a", "fog-b", "fog-c")
PORT = 1883
TIMEOUT = 40.0
WORKERS = {"fog-a": "light=1,medium=1,heavy=1", "cloud": "heavy=2"}


def wait_for(check: Callable[[], object], what: str) -> None:
    """Return as soon as `check()` is true."""
    give_up = time.monotonic() + TIMEOUT
    while not check():
        assert time.monotonic() < give_up, f"not within {TIMEOUT:g} s: {what}"
        time.sleep(0.02)


class Listener:
    """A `device-sim watch`: what one node publishes, as a device hears it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._heard: list[tuple[str, dict[str, Any]]] = []

    def messages(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """What has come so far: topics and messages of `results`, `progress` or `nodes`."""
        while not self._program.lines.empty():
            line = self._program.lines.get()
            if line is not None:
                topic, _, payload = line.partition(" ")
                self._heard.append((topic, json.loads(payload)))
        return [(topic, message) for topic, message in self._heard if topic.split("/")[1] == kind]

    def outcomes(self) -> Counter[str]:
        """How often each outcome has come, by its topic."""
        return Counter(topic for topic, _ in self.messages("results"))

    def started_at(self, node: str) -> int:
        """How many tasks were said to run at a node."""
        steps = self.messages("progress")
        return len({topic for topic, step in steps if (step["stage"], step["node"]) == ("running", node)})

    def open(self) -> int | None:
        """How many tasks the node says are open; None until it has said so."""
        states = self.messages("nodes")
        return None if not states else int(states[-1][1].get("books", {}).get("open", 0))


class Town:
    """The hosts and what runs on them."""

    def __init__(self, hosts: Hosts, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._programs: list[Program] = []
        stack.callback(self._end)
        self.hosts = {name: hosts.add(name) for name in (*FOG, "cloud", "device")}
        self.network = hosts
        self.nodes: dict[str, Program] = {}

    def url(self, name: str) -> str:
        """Where the broker of a node is."""
        return f"mqtt://{self.hosts[name].address}:{PORT}"

    def start(self, name: str, *options: str) -> Program:
        """Start a node, or start it again; returns before it is ready."""
        command = (
            ["cloud_node"] if name == "cloud" else ["fog_node", "--discover", "--cloud", self.url("cloud")]
        )
        command += ["--name", name, "--listen", f"0.0.0.0:{PORT}", "--allow-anonymous"]
        command += ["--data", str(self._folder / name), "--workers", WORKERS.get(name, "light=1,medium=1")]
        program = self.run(self.hosts[name], *command, *options)
        self.nodes[name] = program
        return program

    def run(self, host: Host, *command: str) -> Program:
        """Run a program of ours on a host until the town ends."""
        program = Program(command, self._folder, inside=host.inside)
        self._programs.append(program)
        return program

    def _end(self) -> None:
        for program in self._programs:
            program.process.terminate()
        for program in self._programs:
            program.close()

    def device(self, *command: str) -> Program:
        """Run a `device-sim` command on the device's host."""
        return self.run(self.hosts["device"], "device_sim", *command)

    @contextlib.contextmanager
    def listening(self, node: str = "fog-a") -> Iterator[Listener]:
        """Hear what a node publishes from now on."""
        program = self.device("watch", "--node", self.url(node))
        listener = Listener(program)
        try:
            wait_for(lambda: listener.messages("nodes"), f"a state of {node}: {program.stderr}")
            yield listener
        finally:
            program.terminate()

    def offer(
        self, weight: str, task: str, *, count: int, listener: Listener
    ) -> Callable[[], dict[str, Any]]:
        """Have a device send tasks to fog-a within half a second; what is returned waits for their outcomes.

        It gives the report of this weight, and sees that each outcome has come once.
        """
        already = listener.outcomes()
        reported = self.fleet(self.url("fog-a"), weight, task, count=count)

        def wait() -> dict[str, Any]:
            report = reported()
            wait_for(lambda: len(listener.outcomes() - already) >= count, "all outcomes are heard")
            once_each(listener)
            return report

        return wait

    def fleet(self, url: str, weight: str, task: str, *, count: int) -> Callable[[], dict[str, Any]]:
        """Have a device send tasks; what is returned waits until all are done, and gives the report."""
        file = self._folder / f"report-{time.monotonic_ns()}.json"
        rates = {"light": 0, "medium": 0, "heavy": 0} | {weight: 120 * count}
        words = [word for one, rate in rates.items() for word in (f"--{one}", str(rate))]
        words += ["--node", url, "--seconds", "0.5", "--grace", str(TIMEOUT)]
        device = self.device("fleet", *words, "--task", f"{weight}={task}", "--report", str(file))

        def wait() -> dict[str, Any]:
            assert device.process.wait(TIMEOUT + 5) == 0, device.stderr
            report: dict[str, Any] = json.loads(file.read_text("utf-8"))["weights"][weight]
            assert report["sent"] == report["done"] == count, report
            return report

        return wait

    def wait_idle(self, name: str) -> None:
        """Wait until a node has ended all it had."""
        with self.listening(name) as listener:
            wait_for(lambda: listener.open() == 0, f"{name} has ended what it had")


def once_each(listener: Listener) -> None:
    """See that no outcome has come twice."""
    assert set(listener.outcomes().values()) == {1}
