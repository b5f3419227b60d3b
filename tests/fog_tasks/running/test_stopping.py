"""What a worker notes of signals, and for how long."""

import signal
import time

import pytest

from fog_tasks.running.stopping import TOLD_FOR, Stopping


class Clock:
    """A monotonic clock that moves when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_that_all_were_told_to_end_explains_failures_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that was told alone goes on; its tasks must not die for ever instead of failing."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock.monotonic)
    stopping = Stopping()
    assert not stopping._worker_told(0.0)
    stopping._note(signal.SIGTERM, None)
    clock.now += TOLD_FOR - 1
    assert stopping._worker_told(0.0)
    clock.now += 2
    assert not stopping._worker_told(0.0)
    stopping._note(signal.SIGTERM, None)
    assert stopping._worker_told(0.0)
