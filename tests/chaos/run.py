"""Submits tasks at a steady rate while faults happen, waits for the last answer, and judges."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.subscribe

from broker.contract.messages import Books, NodeState
from broker.contract.url import BrokerUrl
from tests.chaos import rules
from tests.chaos.cluster import NODE, cluster
from tests.chaos.devices import Device, devices, fresh_sessions
from tests.chaos.ledger import Ledger, Struck, read_executions
from tests.chaos.schedule import Fault, schedule

DEVICES = tuple(f"device-{number}" for number in range(4))
TICK = 0.05
AFTER = 0.5
"""Seconds for which tasks go on being submitted after a blow."""

QUIET = 60.0
"""Seconds without any answer after which the rest is given up for lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much happens: tasks in all, faults of some kinds, seconds between two on average.

    With `rules` devices publish as sensors do that know nothing of tasks.
    """

    tasks: int
    faults: int
    interval: float
    seed: int
    engine: str = "embedded"
    rules: bool = False
    kinds: Collection[Fault]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it."""

    ledger: Ledger
    executions: dict[str, list[float]]
    books: dict[str, Books]

    def faults(self) -> list[str]:
        """Everything that must not be, in sentences; none if all is well."""
        ledger = self.ledger
        found = [
            f"{what}: {len(names)}, such as {sorted(names)[:3]}"
            for what, names in (
                ("acknowledged and never answered", ledger.lost()),
                ("never acknowledged", set(ledger.submitted) - set(ledger.acknowledged)),
                ("answered in different ways", ledger.contradictory()),
                ("answered with an error", ledger.unsuccessful()),
                ("executed again without a fault between", self.again_without_a_fault()),
                ("answered without having been executed", set(ledger.answers) - set(self.executions)),
                ("answered twice, and not as one told again", ledger.answered_twice()),
            )
            if names
        ]
        for node, books in self.books.items():
            ends = books.done + books.failed + books.expired + books.cancelled
            if books.accepted != ends + books.rejected + books.open or books.open:
                found.append(f"the books of {node} do not balance, or something is open: {books}")
        return found

    def again_without_a_fault(self) -> set[str]:
        """The tasks that ran more than once for no reason."""
        again = self.ledger.executed_again(self.executions)
        return {name for name, between in again.items() if not between}


async def run(plan: Plan, folder: Path, tell: Callable[[str], None] = lambda _: None) -> Verdict:
    """Carry a plan out."""
    # Mosquitto snapshots its sessions now and then, and dies with its node.
    ledger = Ledger(forgotten_by=(Fault.ENGINE, Fault.NODE) if plan.engine == "mosquitto" else ())
    noted = folder / "executions"
    async with contextlib.AsyncExitStack() as stack:
        if "://" in plan.engine:
            there = BrokerUrl.parse(plan.engine)
            stack.enter_context(fresh_sessions(there, (*DEVICES, f"fog-node-{NODE}")))
        file = folder / "rules.toml" if plan.rules else None
        if file is not None:
            rules.write(file, noted)
        under = await stack.enter_async_context(
            cluster(folder, engine=plan.engine, seed=plan.seed, rules=file)
        )
        insistent = plan.engine == "mosquitto"
        with devices(
            *(DEVICES, under.broker, ledger, str(noted)),
            seed=plan.seed,
            insistent=insistent,
            rules=plan.rules,
        ) as clients:
            blows = schedule(plan.kinds, plan.faults, interval=plan.interval, seed=plan.seed)
            for number, blow in enumerate(blows):
                # Every blow falls amid work, and some of the work falls into what it takes to recover.
                share = plan.tasks * (number + 1) // plan.faults - plan.tasks * number // plan.faults
                submitting = asyncio.create_task(_submit(clients, share, blow.pause + AFTER))
                await asyncio.sleep(blow.pause)
                tell(f"{len(ledger.answers)} of {plan.tasks} answered; next: {blow.fault}")
                began, waiting = time.time(), len(ledger.unanswered)
                await under.strike(blow.fault)
                ledger.struck.append(Struck(blow.fault, began, time.time(), waiting))
                await submitting
            await _all_answered(ledger, clients)
            books = {node: await _final_books(node, broker) for node, broker in under.nodes.items()}
    with noted.open() as lines:
        return Verdict(ledger, read_executions(lines), books)


async def _submit(clients: list[Device], count: int, lasting: float) -> None:
    """Submit that many tasks, spread evenly over some seconds."""
    began = time.monotonic()
    for sent in range(count):
        late = began + lasting * sent / count - time.monotonic()
        if late > TICK:
            await asyncio.sleep(late)
            _insist(clients)
        clients[sent % len(clients)].submit()


def _insist(clients: list[Device]) -> None:
    for client in clients:
        client.insist()


async def _all_answered(ledger: Ledger, clients: list[Device]) -> None:
    last, since = -1, time.monotonic()
    while ledger.unanswered and time.monotonic() - since < QUIET:
        if len(ledger.answers) != last:
            last, since = len(ledger.answers), time.monotonic()
        _insist(clients)
        await asyncio.sleep(TICK)


async def _final_books(node: str, broker: BrokerUrl) -> Books:
    """The books of a node once nothing is open; the last ones seen where that does not come."""
    give_up = time.monotonic() + 10
    while True:
        state: NodeState = await asyncio.to_thread(_state, node, broker)
        if not state.books.open or time.monotonic() > give_up:
            return state.books
        await asyncio.sleep(0.5)


def _state(node: str, broker: BrokerUrl) -> NodeState:
    simple: Any = paho.mqtt.subscribe.simple
    signed = {"username": broker.username, "password": broker.password} if broker.username else None
    message = simple(
        f"fog/nodes/{node}/state",
        hostname=broker.host,
        port=broker.port,
        auth=signed,
        tls={} if broker.tls else None,
    )
    return msgspec.json.decode(message.payload, type=NodeState)
