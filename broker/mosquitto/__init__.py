"""A Mosquitto that a node starts, configures and watches, as its broker."""

from broker.mosquitto.access import MosquittoAccess
from broker.mosquitto.configuration import MosquittoSettings
from broker.mosquitto.engine import MosquittoEngine

__all__ = ["MosquittoAccess", "MosquittoEngine", "MosquittoSettings"]
