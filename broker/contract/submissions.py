"""What a device may ask for with a task: arguments, options, and where the outcome is to go."""

from typing import Annotated, Any

import msgspec

from broker.contract.messages import UNREADABLE
from broker.contract.payload_faults import explain, trimmed
from broker.contract.topics import ROOT, is_level
from broker.errors import BadPayload

_anything = msgspec.json.Decoder()
_in_order = msgspec.json.Encoder(order="deterministic")

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Hops = Annotated[int, msgspec.Meta(ge=0, le=16)]


MOST_LEVELS = 32
"""Of a topic that a sender names: as many as the embedded broker takes. Other brokers take more."""


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a sender may ask for beside the arguments: the keys of an object that begin with `$`."""

    deadline: Annotated[Seconds | None, msgspec.Meta(description="seconds from now")] = msgspec.field(
        name="$deadline", default=None
    )
    max_hops: Hops | None = msgspec.field(name="$max_hops", default=None)
    reply: str | None = msgspec.field(name="$reply", default=None)
    args: tuple[Any, ...] | None = msgspec.field(name="$args", default=None)


class Submission(msgspec.Struct, frozen=True):
    """The arguments of a task and the options that came with them."""

    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = msgspec.field(default_factory=dict)
    options: Options = msgspec.field(default_factory=Options)


def read_submission(payload: bytes) -> Submission:
    """Read what a person typed: nothing, a JSON object, an array or any other single JSON value.

    An object's keys that begin with `$` are options; `$args` holds positional arguments for a
    sender that wants both an array and an option. A byte order mark before it and NULs behind it do not
    count. Raises BadPayload.
    """
    if not payload.strip():
        return Submission()
    try:
        value = _anything.decode(payload)
    except UNREADABLE as fault:
        inner = trimmed(payload)
        if inner != payload:
            return read_submission(inner)
        raise BadPayload(f"not JSON: {explain(payload, fault)}") from fault
    match value:
        case dict():
            return _read_object(value)
        case list():
            return Submission(arguments=tuple(value))
        case _:
            return Submission(arguments=(value,))


def _read_object(value: dict[str, Any]) -> Submission:
    named = {key: item for key, item in value.items() if not key.startswith("$")}
    if len(named) == len(value):
        return Submission(named=named)
    asked = {key: item for key, item in value.items() if key.startswith("$")}
    try:
        options = msgspec.convert(asked, Options)
    except msgspec.ValidationError as fault:
        known = Options.__struct_encode_fields__
        unknown = next((key for key in asked if key not in known), None)
        if unknown is not None:
            raise BadPayload(f"no option {unknown[:20]}; there are {', '.join(known)}") from fault
        what, _, place = str(fault).partition(" - at ")
        raise BadPayload(f"option {place.strip('`').removeprefix('$.')}: {what}") from fault
    return Submission(arguments=options.args or (), named=named, options=options)


def canonical(arguments: tuple[Any, ...], named: dict[str, Any]) -> bytes:
    """The same bytes for the same arguments, in whatever order they are named."""
    return _in_order.encode((arguments, named))


def own_results(device: str) -> str:
    """What every result topic of a device begins with."""
    return f"{ROOT}/results/{device}/"


def may_reply(topic: str, device: str) -> bool:
    """Tell whether an outcome may go to a topic that a sender names.

    It may go anywhere outside the contract's own tree and the broker's `$` topics, and inside the
    contract's tree only below the device's own results: a node is not to be made to publish for others. It
    has to be a topic that brokers take: they would close the node's connection, each time it comes back.
    """
    levels = topic.split("/")
    if not topic or topic.startswith("$") or len(levels) > MOST_LEVELS:
        return False
    own = topic.startswith(own_results(device))
    if not own and levels[0] == ROOT:
        return False
    return all((not level and not own) or is_level(level) for level in levels)
