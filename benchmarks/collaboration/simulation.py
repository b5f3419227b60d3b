"""Fog nodes in virtual time, deciding with the very policies, boards and estimates of the live node.

Small on purpose: queues, slots, states sent once an interval, a fixed delay between nodes, and the
neighbours' answers to probes. Seeded, so that a run can be repeated.
"""

import heapq
import itertools
import random
import statistics
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from broker.contract.messages import Load, NodeState
from broker.contract.topics import Weight
from fog_node.jobs.waits import expected_wait
from fog_node.placement.board import Board
from fog_node.placement.estimates import Estimates
from fog_node.placement.policies.situation import Decision, Place, Policy, Probe, Work
from fog_node.placement.surroundings import Local, Surroundings

TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated: `rates` are the tasks a second that arrive at each node; all in seconds.

    `burst` tasks arrive at the first node at once, at time `burst_at`. The execution time is
    exponential around `run`, or always `run` if `steady`.
    """

    rates: Sequence[float]
    run: float
    slots: int = 1
    steady: bool = False
    deadline: float | None = None
    interval: float = 1.0
    delay: float = 0.001
    hops: int = 1
    duration: float = 60.0
    warm_up: float = 5.0
    burst: int = 0
    burst_at: float = 5.0
    seed: int = 1


@dataclass(slots=True)
class _Task:
    at: float
    run: float
    origin: int
    deadline: float | None
    visited: tuple[str, ...] = ()
    burst: bool = False


@dataclass(slots=True)
class Result:
    """What came of a run: the times from arrival to outcome, who ran how many, and how far they travelled."""

    times: list[float] = field(default_factory=list)
    late: int = 0
    ran_at: Counter[str] = field(default_factory=Counter)
    burst_at: Counter[str] = field(default_factory=Counter)
    hops: int = 0
    probes: int = 0

    @property
    def mean(self) -> float:
        """Mean time in the system."""
        return statistics.fmean(self.times)

    @property
    def in_time(self) -> float:
        """The share of tasks that were done before their deadline."""
        return 1 - self.late / max(1, len(self.times))

    @property
    def hops_each(self) -> float:
        """Hand-offs a task."""
        return self.hops / max(1, len(self.times))


class _Node:
    def __init__(self, number: int, scenario: Scenario) -> None:
        self.name = f"n{number}"
        self.queue: deque[_Task] = deque()
        self.running = 0
        self.slots = scenario.slots
        self.known = Surroundings(
            node=self.name, estimates=Estimates(), board=Board(interval=scenario.interval)
        )
        self.average = self.known.estimates.of(Weight.MEDIUM, TASK).run

    @property
    def wait(self) -> float:
        tasks = len(self.queue) + self.running
        estimate = self.known.estimates.of(Weight.MEDIUM, TASK)
        return expected_wait(self.slots, [(estimate, tasks)])

    @property
    def backlog(self) -> float:
        return len(self.queue) * self.average

    def state(self) -> NodeState:
        load = Load(
            queued=len(self.queue),
            running=self.running,
            slots=self.slots,
            estimated_wait_ms=1e3 * self.wait,
        )
        return NodeState(
            node=self.name,
            online=True,
            version="",
            load={Weight.MEDIUM: load},
            backlog_ms=1e3 * self.backlog,
        )


class Simulation:
    """One run of a scenario under a policy. Used once."""

    def __init__(self, scenario: Scenario, policy: Policy) -> None:
        self._scenario = scenario
        self._policy = policy
        self._chance = random.Random(scenario.seed)
        self._nodes = [_Node(number, scenario) for number in range(len(scenario.rates))]
        self._numbers = {node.name: number for number, node in enumerate(self._nodes)}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._now = 0.0
        self._result = Result()

    def run(self) -> Result:
        """Run it to its end."""
        scenario = self._scenario
        for number, rate in enumerate(scenario.rates):
            # Nodes were not started together, and so don't report together.
            self._announce(number)
            self._after(self._chance.uniform(0, scenario.interval), partial(self._keep_announcing, number))
            if rate > 0:
                self._after(self._chance.expovariate(rate), partial(self._arrive, number))
        if scenario.burst:
            self._after(scenario.burst_at, self._burst)
        while self._events:
            self._now, _, act = heapq.heappop(self._events)
            act()
        return self._result

    def _after(self, delay: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay, next(self._order), act))

    def _arrive(self, number: int) -> None:
        self._submit(number, burst=False)
        if self._now < self._scenario.duration:
            pause = self._chance.expovariate(self._scenario.rates[number])
            self._after(pause, partial(self._arrive, number))

    def _burst(self) -> None:
        for _ in range(self._scenario.burst):
            self._submit(0, burst=True)

    def _submit(self, number: int, *, burst: bool) -> None:
        scenario = self._scenario
        run = scenario.run if scenario.steady else self._chance.expovariate(1 / scenario.run)
        self._place(number, _Task(self._now, run, number, scenario.deadline, burst=burst))

    def _keep_announcing(self, number: int) -> None:
        self._announce(number)
        if self._now < self._scenario.duration:
            self._after(self._scenario.interval, partial(self._keep_announcing, number))

    def _announce(self, number: int) -> None:
        state = self._nodes[number].state()
        for other in self._nodes:
            if other.name != state.node:
                self._after(self._scenario.delay, partial(self._hear, other, state))

    def _hear(self, node: _Node, state: NodeState) -> None:
        node.known.board.hear(state, self._now)
        node.known.board.measured(state.node, 2 * self._scenario.delay)

    def _place(self, number: int, task: _Task, probed: tuple[str, ...] = ()) -> None:
        node = self._nodes[number]
        work = Work(
            weight=Weight.MEDIUM,
            task=TASK,
            budget=None if task.deadline is None else task.at + task.deadline - self._now,
            hops_left=self._scenario.hops - len(task.visited),
            visited=task.visited,
        )
        local = Local(slots=node.slots, wait=node.wait, backlog=lambda: node.backlog)
        situation = node.known.situation(
            work,
            local,
            self._now,
            timeout=60.0,
            linked=self._numbers.keys,
            cloud_linked=False,
            probed=probed,
        )
        match self._policy(work, situation, self._chance):
            case Probe(nodes=nodes):
                self._result.probes += len(nodes)
                self._after(2 * self._scenario.delay, partial(self._answered, number, task, nodes))
            case Decision(place=Place.NEIGHBOUR) as decision:
                self._hand_over(node, task, decision)
            case Decision():
                self._run_here(node, task)

    def _answered(self, number: int, task: _Task, nodes: tuple[str, ...]) -> None:
        board = self._nodes[number].known.board
        for name in nodes:
            board.told(name, Weight.MEDIUM, self._nodes[self._numbers[name]].wait, self._now)
        self._place(number, task, probed=nodes)

    def _hand_over(self, node: _Node, task: _Task, decision: Decision) -> None:
        target = self._numbers[decision.node]
        self._result.hops += 1
        run = node.known.estimates.of(Weight.MEDIUM, TASK, place=decision.node).run
        node.known.board.sent(decision.node, Weight.MEDIUM, run, self._now)
        task.visited = (*task.visited, node.name)
        self._after(self._scenario.delay, partial(self._place, target, task))

    def _run_here(self, node: _Node, task: _Task) -> None:
        node.queue.append(task)
        self._start(node)

    def _start(self, node: _Node) -> None:
        while node.queue and node.running < node.slots:
            task = node.queue.popleft()
            node.running += 1
            self._after(task.run, partial(self._finish, node, task))

    def _finish(self, node: _Node, task: _Task) -> None:
        node.running -= 1
        node.known.estimates.observe(Weight.MEDIUM, TASK, task.run)
        node.average = node.known.estimates.of(Weight.MEDIUM, TASK).run
        self._start(node)
        self._after(len(task.visited) * self._scenario.delay, partial(self._deliver, node, task))

    def _deliver(self, node: _Node, task: _Task) -> None:
        self._tell_wait(node, task)
        if task.at < self._scenario.warm_up:
            return
        taken = self._now - task.at
        self._result.times.append(taken)
        self._result.late += task.deadline is not None and taken > task.deadline
        self._result.ran_at[node.name] += 1
        if task.burst:
            self._result.burst_at[node.name] += 1

    def _tell_wait(self, node: _Node, task: _Task) -> None:
        """With its outcome, a node tells whoever handed the task over how long the next would wait."""
        if task.visited:
            origin = self._nodes[self._numbers[task.visited[-1]]]
            origin.known.board.told(node.name, Weight.MEDIUM, node.wait, self._now)
            origin.known.estimates.observe(Weight.MEDIUM, TASK, task.run, place=node.name)
