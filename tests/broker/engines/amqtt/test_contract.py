"""The private names of amqtt on which a node relies: an upgrade that changes one fails here."""

import inspect

import pytest
from amqtt.broker import Broker
from amqtt.mqtt.protocol.handler import ProtocolHandler

from broker.engines.amqtt.broker import NodeBroker


@pytest.mark.parametrize(
    "name",
    [
        "_client_connected",
        "_initialize_client_session",
        "_handle_message_delivery",
        "_broadcast_message",
        "_publish_retained_messages_for_subscription",
        "retain_message",
    ],
)
def test_what_is_overridden_is_there_and_is_called(name: str) -> None:
    assert name in vars(NodeBroker)
    assert inspect.iscoroutinefunction(getattr(Broker, name))
    assert f"self.{name}(" in inspect.getsource(Broker)


@pytest.mark.parametrize("flow", ["_handle_qos1_message_flow", "_handle_qos2_message_flow"])
def test_an_acknowledgement_waits_for_the_queue(flow: str) -> None:
    text = inspect.getsource(getattr(ProtocolHandler, flow))
    handed, _, after = text.rpartition("await self.session.delivered_message_queue.put(app_message)")
    assert handed
    assert ("PubackPacket.build" if "qos1" in flow else "PubcompPacket.build") in after


@pytest.mark.parametrize("name", ["_broadcast_queue", "_tasks_queue", "_servers"])
def test_what_is_read_is_there(name: str) -> None:
    assert f"self.{name}" in inspect.getsource(Broker.__init__)
