"""How the outcome of a rule's task is told, where that differs from what the contract says."""

import msgspec

from broker.contract.identity import Role


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept with a job that a rule started.

    `result` and `error` are topics, None where the contract's serves. With `value` a good end tells the value
    alone. `hops` counts the rules that led to the job, its own included; `role` is the publisher's whose
    message was the first.
    """

    rule: str
    result: str | None = None
    error: str | None = None
    value: bool = False
    retain: bool = False
    qos: int = 1
    hops: int = 1
    role: Role | None = None

    def topic(self, *, ok: bool) -> str | None:
        """Where a good or a bad end is told; None where the contract's topic serves."""
        if ok:
            return self.result
        # Who waits for whole outcomes there can tell a bad one, who waits for values cannot.
        return self.error or (None if self.value else self.result)
