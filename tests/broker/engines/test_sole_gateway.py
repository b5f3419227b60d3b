"""What a gateway that takes all tasks hears of others."""

from broker.contract.message import Message
from broker.contract.messages import NodeState, encode
from broker.engines.sole_gateway import MOST_HEARD, SoleGateway
from broker.namesakes import SILENCE


def state(node: str, *, cloud: bool = True, online: bool = True, replayed: bool = False) -> Message:
    told = NodeState(node=node, online=online, version="", cloud=cloud)
    return Message(topic=f"fog/nodes/{node}/state", payload=encode(told), replayed=replayed)


def test_another_gateway_is_trouble_for_as_long_as_it_speaks() -> None:
    sole = SoleGateway("cloud")
    sole.hear(state("gate-2"), 1.0)
    assert ["'gate-2'" in one for one in sole.trouble(1.0 + SILENCE)] == [True]
    assert sole.trouble(1.1 + SILENCE) == []


def test_nobody_else_is() -> None:
    sole = SoleGateway("cloud")
    for other in (
        *(state("cloud"), state("fog-a", cloud=False), state("gone", online=False)),
        *(state("before", replayed=True), Message(topic="fog/nodes/x/state", payload=b"{")),
        Message(topic="fog/nodes/x/catalog", payload=state("x").payload),
    ):
        sole.hear(other, 1.0)
    assert sole.trouble(1.0) == []


def test_whoever_makes_up_gateways_cannot_fill_the_state() -> None:
    sole = SoleGateway("cloud")
    for number in range(2 * MOST_HEARD):
        sole.hear(state(f"gate-{number}"), 1.0)
    assert len(sole.trouble(1.0)) == MOST_HEARD
