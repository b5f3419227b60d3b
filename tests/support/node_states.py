"""What a running node says of itself on `fog/nodes/NAME/state`, which it does every second."""

import time
from collections.abc import Callable

import msgspec

from broker.contract.messages import NodeState
from tests.support.mosquitto_clients import listening
from tests.support.programs import Program

TIMEOUT = 60.0


def state_of(node: Program, *, later: int = 0) -> NodeState:
    """The last state it has told, or one that it tells so many states later."""
    with listening(node.port, f"fog/nodes/{node.name}/state", count=1 + later) as states:
        return msgspec.json.decode(states.wait()[later], type=NodeState)


def wait_for_state(node: Program, check: Callable[[NodeState], object]) -> NodeState:
    """Return the first state it tells that is as it should be."""
    give_up = time.monotonic() + TIMEOUT
    found = state_of(node)
    while not check(found):
        assert time.monotonic() < give_up, found
        found = state_of(node, later=1)
    return found
