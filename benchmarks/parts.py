"""The processes that take part in a task's way, and what each uses."""

from collections.abc import Iterable, Mapping

import psutil

from benchmarks.load.measured import Usage

GENERATOR = "load generator"


class Parts:
    """Named groups of processes whose processor time and memory are read."""

    def __init__(self, processes: Mapping[str, Iterable[psutil.Process]]) -> None:
        self._processes = {name: list(group) for name, group in processes.items()}
        self._processes[GENERATOR] = [psutil.Process()]

    def of(self, *names: str) -> list[psutil.Process]:
        """The processes of these parts."""
        return [process for name in names for process in self._processes.get(name, ())]

    def usage(self) -> dict[str, Usage]:
        """What each part has used since it was started."""
        return {name: _sum(group) for name, group in self._processes.items()}

    def usage_since(self, before: Mapping[str, Usage]) -> dict[str, Usage]:
        """What each part has used since then, and the memory it holds now."""
        return {name: Usage(now.cpu - before[name].cpu, now.memory) for name, now in self.usage().items()}


def _sum(group: Iterable[psutil.Process]) -> Usage:
    cpu, memory = 0.0, 0
    for process in group:
        with process.oneshot():
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_info().rss
    return Usage(cpu, memory)


def node_parts(root: psutil.Process) -> dict[str, list[psutil.Process]]:
    """A node's process and those it started: its workers, their children, Redis, a broker of its own."""
    parts: dict[str, list[psutil.Process]] = {"node": [root]}
    for child in root.children():
        command = " ".join(child.cmdline())
        if "fog_tasks.worker" in command:
            parts.setdefault("worker", []).append(child)
            parts.setdefault("worker processes", []).extend(child.children(recursive=True))
        elif "redis" in command or "valkey" in command:
            parts["redis"] = [child]
        elif "mosquitto" in command:
            parts["broker"] = [child]
        else:
            parts.setdefault("other", []).append(child)
    return parts
