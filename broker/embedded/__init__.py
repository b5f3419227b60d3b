"""An MQTT 3.1.1 broker that runs inside the process of a node."""

from broker.embedded.access import Access, AllowAll, Login
from broker.embedded.counters import Counters
from broker.embedded.engine import EmbeddedEngine
from broker.embedded.settings import EmbeddedSettings

__all__ = ["Access", "AllowAll", "Counters", "EmbeddedEngine", "EmbeddedSettings", "Login"]
