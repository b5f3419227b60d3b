"""Values that JSON does not have are written as docs/tasks.md says; by msgspec alone where it knows them."""

import enum
import subprocess
import sys
from array import array
from collections import OrderedDict, UserString, deque, namedtuple
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from device_sim.client.payloads import encode
from fog_tasks.declaration.results import encode_value

ID = "12345678-1234-5678-1234-567812345678"


class Whole(int): ...


class Real(float): ...


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "not this"


class Raw(bytes): ...


class Exact(Decimal): ...


class Moment(datetime): ...


class Span(timedelta): ...


class Id(UUID): ...


class Place(enum.Enum):
    HOME = Path("/home")


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - people write it


VALUES = [
    (np.float64(1.5), "1.5"),
    (np.float32(0.5), "0.5"),
    (np.longdouble(1.5), "1.5"),
    (np.int64(-3), "-3"),
    (np.uint8(3), "3"),
    (np.bool_(True), "true"),
    (np.str_("a"), '"a"'),
    (np.array([[1, 2], [3, 4]]), "[[1,2],[3,4]]"),
    (np.array(5), "5"),
    (np.array([1, "x", None], dtype=object), '[1,"x",null]'),
    (np.datetime64("2024-01-01T00:00:00.000000001"), '"2024-01-01T00:00:00"'),
    (np.array(["2024-01-01", "NaT"], dtype="M8[D]"), '["2024-01-01T00:00:00",null]'),
    (np.timedelta64(5, "s"), '"PT5S"'),
    ({np.int64(1): {np.str_("a"): np.bool_(False)}}, '{"1":{"a":false}}'),
    (array("d", [1.5]), "[1.5]"),
    (Whole(1), "1"),
    (Real(1.5), "1.5"),
    (Text("a"), '"a"'),
    (UserString("a"), '"a"'),
    (Decimal("1.50"), '"1.50"'),
    (Exact("1.50"), '"1.50"'),
    (Fraction(1, 4), "0.25"),
    ({1}, "[1]"),
    (frozenset([1]), "[1]"),
    (deque([1]), "[1]"),
    (range(3), "[0,1,2]"),
    ({"a": 1}.keys(), '["a"]'),
    ({"a": 1}.values(), "[1]"),
    (Pair(1, 2), "[1,2]"),
    (OrderedDict(a=1), '{"a":1}'),
    (MappingProxyType({"a": 1}), '{"a":1}'),
    (Path("/a/b"), '"/a/b"'),
    (Place.HOME, '"/home"'),
    (Rights.READ | Rights.WRITE, "3"),
    (date(2024, 1, 1), '"2024-01-01"'),
    (time(1, 2), '"01:02:00"'),
    (Moment(2024, 1, 1), '"2024-01-01T00:00:00"'),
    (timedelta(seconds=1), '"PT1S"'),
    (Span(seconds=1), '"PT1S"'),
    (UUID(ID), f'"{ID}"'),
    (Id(ID), f'"{ID}"'),
    (ip_address("192.0.2.1"), '"192.0.2.1"'),
    ({Path("a"): 1, Whole(2): 2, True: 3, None: 4}, '{"a":1,"2":2,"true":3,"null":4}'),
]


@pytest.mark.parametrize(("value", "written"), VALUES, ids=[repr(value) for value, _ in VALUES])
def test_a_value_is_written_as_people_expect_it(value: Any, written: str) -> None:
    assert encode_value(value).decode() == written
    assert encode_value([value]).decode() == f"[{written}]"


@pytest.mark.parametrize(("value", "written"), VALUES, ids=[repr(value) for value, _ in VALUES])
def test_a_device_writes_arguments_in_the_same_way(value: Any, written: str) -> None:
    assert encode({"value": value}).decode() == f'{{"value":{written}}}'


def test_bytes_are_base64_whatever_their_class() -> None:
    assert encode_value([b"hi", bytearray(b"hi"), memoryview(b"hi"), Raw(b"hi"), np.bytes_(b"hi")]) == (
        b'["aGk=","aGk=","aGk=","aGk=","aGk="]'
    )


def test_nothing_is_imported_for_it() -> None:
    code = "import fog_tasks.declaration.results, sys; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
