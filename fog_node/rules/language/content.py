"""A payload as rules see it: JSON, or else text. Read once, however many rules look at it."""

from functools import cached_property
from typing import Any

import msgspec

from broker.contract.messages import UNREADABLE, ErrorCode
from broker.contract.payload_faults import explain, trimmed
from fog_node.rules.language.faults import Misfit

_anything = msgspec.json.Decoder()


class Content:
    """One payload."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not trimmed(self.payload)

    @cached_property
    def value(self) -> Any:
        """What the JSON says; text where it is none: `ON`, `23.5 C`; None of nothing. Raises Misfit."""
        inner = trimmed(self.payload)
        if not inner:
            return None
        try:
            return _anything.decode(inner)
        except UNREADABLE as fault:
            # What begins like an object or an array was meant to be one.
            if inner.lstrip().startswith((b"{", b"[")):
                raise Misfit(ErrorCode.BAD_PAYLOAD, f"not JSON: {explain(inner, fault)}") from fault
        return self.text

    @cached_property
    def text(self) -> str:
        """The payload as text. Raises Misfit."""
        try:
            return trimmed(self.payload).decode()
        except UnicodeDecodeError as fault:
            sentence = f"neither JSON nor text: {explain(self.payload, fault)}"
            raise Misfit(ErrorCode.BAD_PAYLOAD, sentence) from fault
