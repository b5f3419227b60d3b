"""What Python values that JSON does not have are written as: one table for values of tasks and for arguments.

msgspec itself writes numbers, text, lists, tuples, sets, dictionaries, dataclasses, enums, dates and UUIDs.
docs/tasks.md has the whole table.
"""

import operator
from collections import UserString
from collections.abc import Callable, Mapping, Sequence, ValuesView
from collections.abc import Set as AbstractSet
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, SupportsIndex
from uuid import UUID

_TIMES = ("M", "m")
"""The kinds of arrays of times and of durations; only of microseconds are their elements Python's."""


_TABLE: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    # Subclasses of what msgspec knows.
    (int, int),
    (float, float),
    (str, str.__str__),
    (bytes, bytes),
    (Decimal, Decimal),
    ((date, time), operator.methodcaller("isoformat")),
    (timedelta, lambda value: timedelta(value.days, value.seconds, value.microseconds)),
    ((UUID, PurePath, IPv4Address, IPv6Address, UserString), str),
    (Mapping, dict),
    ((Sequence, AbstractSet, ValuesView), list),
    (Fraction, float),
)


def plain(value: Any) -> Any:
    """Stand in for a value that msgspec cannot write: its `enc_hook`. Raises TypeError.

    numpy's numbers and arrays, and whatever else has a `tolist`, are known by that: nothing is imported.
    """
    # These get here only as keys of a dictionary.
    if isinstance(value, bool | None):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | frozenset):
        raise TypeError("Only dicts with str-like or number-like keys are supported")
    for kinds, write in _TABLE:
        if isinstance(value, kinds):
            return write(value)
    if callable(getattr(value, "tolist", None)):
        return _listed(value)
    if isinstance(value, SupportsIndex):
        return operator.index(value)
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def _listed(value: Any) -> Any:
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    listed = (value.astype(f"{kind}8[us]") if kind in _TIMES else value).tolist()
    # The one number of numpy's that Python has no equal of stays what it is.
    return float(value) if type(listed) is type(value) else listed
