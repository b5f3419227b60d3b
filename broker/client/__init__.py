"""An MQTT client that lives on the event loop, for the node's own connections to brokers."""

from broker.client.bus_client import BusClient
from broker.client.settings import ClientSettings
from broker.client.subscriptions import Subscriptions

__all__ = ["BusClient", "ClientSettings", "Subscriptions"]
