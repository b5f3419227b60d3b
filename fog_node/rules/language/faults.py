"""What can be wrong with a rule as it is written, and with a message that it is asked about."""

from collections.abc import Iterator
from contextlib import contextmanager

from broker.contract.messages import ErrorCode
from broker.errors import WeighbridgeError
from fog_node.errors import RuleFault


class Misfit(WeighbridgeError):
    """Raised when a message cannot become what its rule makes of it; the text is for the device."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def about(source: str, rule: str | int, key: str) -> Iterator[None]:
    """Let a RuleFault raised inside say where it is written: in the rule of a name, or of a number."""
    try:
        yield
    except RuleFault as fault:
        raise RuleFault(f"{source}: rule {rule!r}: {key}: {fault}") from fault
