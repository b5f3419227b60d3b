"""An MQTT broker that runs inside the process of a node."""

from broker.engines.embedded.access import Access, AllowAll, Login
from broker.engines.embedded.counters import Counters
from broker.engines.embedded.engine import EmbeddedEngine
from broker.engines.embedded.settings import EmbeddedSettings

__all__ = ["Access", "AllowAll", "Counters", "EmbeddedEngine", "EmbeddedSettings", "Login"]
