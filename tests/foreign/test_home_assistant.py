"""Home Assistant at a node."""

import json

import msgspec

from broker.contract.messages import NodeState, Outcome
from tests.foreign.conftest import Node
from tests.support.home_assistant import DISCOVERY, STATUS, HomeAssistant
from tests.support.mosquitto_clients import listening, request


def test_it_sees_the_node_asks_it_and_tells_devices_when_it_comes_and_goes(
    node: Node, request_id: str
) -> None:
    """What is answered while it is away does not wait for it: it asks for no session."""
    port, name = node.ports["tcp"], request_id
    filters = (*DISCOVERY, "fog/nodes/+/state", f"fog/results/{name}/+")
    with listening(port, STATUS, count=4, shown="%j") as device:
        for life in ("first", "second"):
            with HomeAssistant(port, filters) as home:
                assert home.session_present is False
                state = home.next()
                assert state.retain
                assert msgspec.json.decode(state.payload, type=NodeState).online
                home.publish(f"fog/tasks/light/sum/{name}/{life}", "[1,2,3]", qos=1)
                while not (outcome := home.next()).topic.startswith("fog/results/"):
                    pass
                assert outcome.topic == f"fog/results/{name}/{life}"
                assert msgspec.json.decode(outcome.payload, type=Outcome).value == msgspec.Raw(b"6")
            assert request(port, f"fog/tasks/light/sum/{name}/away", "[1]").ok
        heard = [json.loads(line)["payload"] for line in device.wait()]
    assert heard == ["online", "offline"] * 2
