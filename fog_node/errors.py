"""What can go wrong in a node beside what the layers below raise."""

from broker.errors import SettingsError, WeighbridgeError


class StartError(WeighbridgeError):
    """Raised when a part that the node needs cannot be started."""


class RedisAway(WeighbridgeError):
    """Raised when Redis cannot be reached."""


class RuleFault(SettingsError):
    """Raised when a rule cannot be as it is written; names the file, rule and key, and what is allowed."""
