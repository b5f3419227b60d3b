"""A Mosquitto that a node starts, configures and watches, as its broker."""

from broker.engines.mosquitto.access import MosquittoAccess
from broker.engines.mosquitto.configuration import MosquittoSettings
from broker.engines.mosquitto.engine import MosquittoEngine

__all__ = ["MosquittoAccess", "MosquittoEngine", "MosquittoSettings"]
