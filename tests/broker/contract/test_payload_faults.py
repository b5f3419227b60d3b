"""What devices, phones and shells make of a payload is taken, or named for what it is."""

import re

import msgspec
import pytest

from broker.contract.payload_faults import LOOKED_AT, explain
from broker.contract.submissions import read_submission
from broker.errors import BadPayload

LONGEST = 60
"""Bytes of a sentence in JSON: the answer has to fit into 256 with its topic."""


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"\xef\xbb\xbf", b""), (b"", b"\0"), (b"", b"\r\n\0\0"), (b"\xef\xbb\xbf ", b" \0\n")],
)
@pytest.mark.parametrize(
    "payload", [b"", b"[1, 2]", b'{"$deadline": 5, "a": "b\\u0000"}', b"20.5", b'"text"']
)
def test_a_byte_order_mark_and_nuls_behind_do_not_count(before: bytes, payload: bytes, after: bytes) -> None:
    assert read_submission(before + payload + after) == read_submission(payload)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ("'[1,2]'", r"""it has ' around it; in Windows type "{\"a\": 1}" """.strip()),
        ("'{\"a\": 1}'\r\n", "it has ' around it"),
        ("\u201chello\u201d", 'curly quotes; type straight ones: "'),
        ("{\u201ca\u201d: 1}", "curly quotes"),
        ("\u201ehallo\u201c", "curly quotes"),
        (r"{\"a\":1}", r'it has \ before "'),
        ("{'a': 1}", "text has \" around it in JSON, not '"),
        ("['one']", "text has \" around it in JSON, not '"),
        ("{a: 1}", 'a name needs " around it'),
        ("{$deadline:1}", 'a name needs " around it'),
        ("hello", 'text needs " around it: "hello"'),
        ("grüß", 'text needs " around it'),
        ("True", "it is true, false or null in JSON"),
        ('{"a": None}', "it is true, false or null in JSON"),
        ("[1, NaN]", "no numbers in JSON"),
        ("-Infinity", "no numbers in JSON"),
        ("1e999", "out of range"),
        ("[1,2,]", "the last , is one too many"),
        ("[1,2", "it ends too early"),
        ('"abc', "it ends too early"),
        ("20,5", "there is more behind the value (byte 3)"),
        ("[1]\0[2]", "a NUL is in it"),
        ("[1,\xa02]", "a blank in it is none in JSON"),
        ("007", "invalid number (byte 1)"),
        ("[" * 5_000, "nested too deeply"),
        ('["{a: None}", "\'\'\'", ]', "the last , is one too many"),
        ('["' + "x" * LOOKED_AT + '", hello]', "invalid character (byte 2005)"),
    ],
)
def test_a_mark_is_named_with_what_to_type(payload: str, sentence: str) -> None:
    with pytest.raises(BadPayload, match=re.escape(sentence)) as refused:
        read_submission(payload.encode())
    assert str(refused.value).startswith("not JSON: ")
    assert len(msgspec.json.encode(str(refused.value))) <= LONGEST + len("not JSON: ")


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        ("[1,2]".encode("utf-16"), "it is UTF-16; send UTF-8"),
        ("[1,2]".encode("utf-16-le"), "it is UTF-16; send UTF-8"),
        (b'"caf\xe9"', "byte 4 is not UTF-8"),
        (b"\xff", "byte 0 is not UTF-8"),
    ],
)
def test_another_encoding_is_named(payload: bytes, sentence: str) -> None:
    with pytest.raises(BadPayload, match=sentence):
        read_submission(payload)


def test_a_large_payload_is_not_searched_to_its_end() -> None:
    """Nor is a character of many bytes, cut in two where the search ends, taken for another encoding."""
    assert explain(b"[" + "€".encode() * 1_000_000, ValueError("invalid character (byte 1)")).startswith(
        "inv"
    )
