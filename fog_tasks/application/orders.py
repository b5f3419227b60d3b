"""What a node and the program of its door say to each other: lists of these, in frames over a unix socket."""

import msgspec

from fog_tasks.reporting.reports import Advanced, Done, Failed, Running

HEADER = 8
"""Bytes before each frame: how long it is, the highest first."""


class Send(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Have a task run. `again` tells that it may have been sent by an earlier life of node or door.

    `expires` is on this machine's monotonic clock. `limit` are the seconds that it may run.
    """

    ticket: str
    task: str
    payload: bytes
    expires: float | None = None
    limit: float | None = None
    again: bool = False


class Revoke(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Nobody wants to know of a task any more; with `terminate` its process is ended, if it runs."""

    ticket: str
    terminate: bool = False


class Trouble(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is wrong with the application's broker or backend, in words; empty where it is well again."""

    about: str
    text: str


Order = Send | Revoke
Word = Running | Advanced | Done | Failed | Trouble

_encoder = msgspec.msgpack.Encoder()
_orders = msgspec.msgpack.Decoder(list[Order])
_words = msgspec.msgpack.Decoder(list[Word])


def frame(said: list[Order] | list[Word]) -> bytes:
    """Write a frame."""
    body = _encoder.encode(said)
    return len(body).to_bytes(HEADER, "big") + body


def read_orders(body: bytes) -> list[Order]:
    """Read what the node says. Raises msgspec.MsgspecError."""
    return _orders.decode(body)


def read_words(body: bytes) -> list[Word]:
    """Read what the door says. Raises msgspec.MsgspecError."""
    return _words.decode(body)
