"""Scatters tasks that can be done in parts over this node and its idle neighbours, and gathers the values.

Only the whole task is in the journal: after a restart it is split anew. A part is a job like any other,
placed by the policy, taken back from a node that dies, but its outcome comes here. No I/O, no clock.
"""

import random
from itertools import zip_longest
from typing import Any

import msgspec
import structlog

from broker.contract.messages import ErrorCode, Outcome, TaskError
from broker.contract.topics import Weight
from fog_node.jobs.job import Job
from fog_node.placement.placer import Placer
from fog_node.replies.outcomes import local_outcome
from fog_node.routing.destinations import Destinations
from fog_node.routing.listener import Listener, ProgressTeller
from fog_node.scatter.gathering import Gathering
from fog_tasks.declaration.registry import Registry
from fog_tasks.declaration.splitting import MOST_PARTS, MergeStep, SplitStep, merge_name, split_name

log = structlog.get_logger()

WORTH = 0.1
"""Seconds that a task has to take for parts to pay: splitting and merging are two more turns at a worker."""

FINAL = frozenset((ErrorCode.EXPIRED, ErrorCode.CANCELLED, ErrorCode.TIMED_OUT, ErrorCode.OVERLOADED))
"""Errors of a part that a second try would end with too."""

_parts_decoder = msgspec.json.Decoder(list[bytes])


class Scatter:
    """All the tasks of a node that are being done in parts."""

    def __init__(
        self,
        node: str,
        registry: Registry,
        placer: Placer,
        *,
        destinations: Destinations,
        listener: Listener[Any],
        progress: ProgressTeller,
        chance: random.Random,
    ) -> None:
        self._node = node
        self._registry = registry
        self._placer = placer
        self._destinations = destinations
        self._listener = listener
        self._progress = progress
        self._chance = chance
        self._gatherings: dict[int, Gathering] = {}
        self._of_part: dict[int, Gathering] = {}

    def can_take(self, job: Job) -> bool:
        """Whether a job is of a kind that is done in parts: a whole one, that a device gave to this node."""
        task = self._registry.get(job.task)
        if task is None or task.split is None:
            return False
        return job.weight is Weight.MEDIUM and not job.part and not job.origin

    def take(self, job: Job, now: float) -> bool:
        """Begin to do a job in parts, if it is of that kind and there are slots free; else return False."""
        if not self.can_take(job) or self._placer.here.run_of(job) < WORTH:
            return False
        # Parts that would wait for a slot are no quicker than the whole.
        count = min(len(self._placer.free_slots(job, now)), MOST_PARTS)
        if count < 2:
            return False
        gathering = self._gatherings[job.key] = Gathering(job, now)
        self._step(gathering, split_name(job.task), SplitStep.payload(count, job.payload))
        return True

    def part_ended(self, part: Job, outcome: Outcome, now: float) -> None:
        """Hear the outcome of a part, or of a step."""
        gathering = self._of_part.get(part.key)
        if gathering is None or part.key not in gathering.jobs:
            return
        if isinstance(outcome.error, TaskError):
            self._failed(gathering, part, outcome.error, now)
        elif gathering.splitting:
            self._split(gathering, _value(outcome), now)
        elif gathering.merging:
            self._merged(gathering, _value(outcome), now)
        else:
            self._gathered(gathering, part, outcome)

    def withdraw(self, job: Job) -> None:
        """Take back all the parts of a job; nothing more is reported of it."""
        gathering = self._gatherings.pop(job.key, None)
        if gathering is not None:
            self._leave(gathering)

    def _step(self, gathering: Gathering, task: str, payload: bytes) -> None:
        job = self._part(gathering.parent, task, payload)
        self._forget_jobs(gathering)
        gathering.step(job)
        self._of_part[job.key] = gathering
        self._destinations.execute(job)

    def _split(self, gathering: Gathering, value: bytes, now: float) -> None:
        self._forget_jobs(gathering)
        parent = gathering.parent
        parts = [self._part(parent, parent.task, payload) for payload in _parts_decoder.decode(value)]
        gathering.parts(parts)
        for part in parts:
            self._of_part[part.key] = gathering
        log.debug("scattered", task=parent.task, device=parent.device, id=parent.id, parts=len(parts))
        # Asked anew: splitting took its time, and a slot that was free then may be taken.
        free = self._placer.free_slots(parent, now)
        for part, node in zip_longest(parts, free[: len(parts)]):
            # An earlier one may have failed at once, and the whole with it.
            if part.key in gathering.jobs:
                decision = (
                    self._placer.decide_now(part, now)
                    if node is None
                    else self._placer.decide_for(part, node, now)
                )
                self._destinations.send(part, decision, now)

    def _gathered(self, gathering: Gathering, part: Job, outcome: Outcome) -> None:
        del self._of_part[part.key]
        gathering.done(part, _value(outcome), outcome.node)
        self._progress.running(gathering.parent, gathering.percent)
        if gathering.merging:
            self._step(gathering, merge_name(gathering.parent.task), MergeStep.payload(gathering.values))

    def _merged(self, gathering: Gathering, value: bytes, now: float) -> None:
        # The gathering ends first: a late report of a part finds nothing.
        parent = gathering.parent
        self.withdraw(parent)
        ran_ms = 1e3 * (now - gathering.began)
        outcome = local_outcome(parent, node=self._node, now=now, ran_ms=ran_ms, value=value)
        self._listener.end(parent, msgspec.structs.replace(outcome, why=gathering.why), now)

    def _failed(self, gathering: Gathering, job: Job, error: TaskError, now: float) -> None:
        step = "splitting it" if gathering.splitting else "merging its parts" if gathering.merging else None
        if step is None and error.code not in FINAL and gathering.may_try_again(job):
            # Under a new id: the node where it failed would answer the old one with what it remembers.
            again = self._part(gathering.parent, job.task, job.payload)
            del self._of_part[job.key]
            self._of_part[again.key] = gathering
            gathering.try_again(job, again)
            self._destinations.send(again, self._placer.decide_now(again, now), now)
            return
        parent = gathering.parent
        self.withdraw(parent)
        failed = TaskError(error.code, f"{step or 'a part'}: {error.message}")
        self._listener.end(parent, local_outcome(parent, node=self._node, now=now, error=failed), now)

    def _leave(self, gathering: Gathering) -> None:
        jobs = list(gathering.jobs.values())
        self._forget_jobs(gathering)
        for job in jobs:
            self._destinations.recall(job)
            job.end()

    def _forget_jobs(self, gathering: Gathering) -> None:
        for key in gathering.jobs:
            self._of_part.pop(key, None)
        gathering.jobs = {}

    def _part(self, parent: Job, task: str, payload: bytes) -> Job:
        # A random key, larger than any in the journal. Parts are not in the journal, so that it may give the
        # same number again in the next life: a late answer to a part would be taken for another job's.
        key = self._chance.getrandbits(61) | 1 << 61
        return Job(
            key=key,
            origin="",
            device=parent.device,
            id=f"part-{key}",
            weight=parent.weight,
            task=task,
            payload=payload,
            reply="",
            received=parent.received,
            deadline=parent.deadline,
            max_hops=1 if parent.max_hops is None else min(1, parent.max_hops),
            part=True,
        )


def _value(outcome: Outcome) -> bytes:
    assert isinstance(outcome.value, msgspec.Raw)
    return bytes(outcome.value)
