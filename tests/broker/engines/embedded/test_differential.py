"""Random sessions at our broker and at a real Mosquitto have the same outcome.

A few in the normal suite; as many as WEIGHBRIDGE_DIFFERENTIAL_SEQUENCES says in the long form.
"""

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from broker.engines.embedded import EmbeddedSettings
from tests.broker.engines.embedded.conftest import LOOPBACK, embedded, real_mosquitto
from tests.broker.engines.embedded.differential import Differential

LONG = "WEIGHBRIDGE_DIFFERENTIAL_SEQUENCES"
SEQUENCES = int(os.environ.get(LONG, "100"))


@pytest.mark.timeout(60 + SEQUENCES)
def test_random_sessions_have_the_same_outcome(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        # Copies fill Mosquitto's window sooner than ours: neither is to be full.
        ours = embedded(EmbeddedSettings(listen=LOOPBACK, window=1000))
        theirs = real_mosquitto(tmp_path, "max_inflight_messages 1000")
        _, here = runner.run(ours.__aenter__())
        there = runner.run(theirs.__aenter__())
        try:
            run_state_machine_as_test(
                # Any maker of machines will do, as its documentation says.
                lambda: Differential(runner, here, there),  # type: ignore[arg-type]
                settings=settings(
                    max_examples=SEQUENCES,
                    stateful_step_count=20,
                    derandomize=LONG not in os.environ,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(theirs.__aexit__(None, None, None))
            runner.run(ours.__aexit__(None, None, None))
