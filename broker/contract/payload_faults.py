"""Says what is wrong with a payload that is not JSON, and what to type: shells and phones leave marks."""

import re

LOOKED_AT = 2_000
"""Bytes of a payload in which a mark is looked for; one further on is told by its place."""

_BOM = b"\xef\xbb\xbf"
_END = b"\0 \t\r\n"

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)
_MARKS = tuple(
    (re.compile(mark), sentence)
    for mark, sentence in (
        ("\0", "a NUL is in it; send as many bytes as the text has"),
        ("[\u2018-\u201f\xab\xbb\u2032\u2033]", 'it has curly quotes; type straight ones: "'),
        (r"^\s*'.*'\s*$", r"""it has ' around it; in Windows type "{\"a\": 1}" """.rstrip()),
        (r"\\", r'it has \ before "; a shell has left it there'),
        (r"[\[{,:]\s*'", """text has " around it in JSON, not '"""),
        (r"[{,]\s*[A-Za-z_$][\w$]*\s*:", 'a name needs " around it: {"seconds": 1}'),
        (r"\b(?:NaN|Infinity|inf|nan)\b", "NaN and infinity are no numbers in JSON"),
        (r"\b(?:True|False|None)\b", "it is true, false or null in JSON"),
        (r",\s*[\]}]", "the last , is one too many"),
        (r"^\s*[^\W\d_]", 'text needs " around it: "hello"'),
        (
            "[\xa0\u2000-\u200f\u2028-\u202f\u2060\u3000\ufeff]",
            "a blank in it is none in JSON; type a plain one",
        ),
    )
)
_FOUND = re.compile(r"^(?:JSON is malformed: )?(?P<what>.*?)(?: \(byte (?P<place>\d+)\))?$", re.DOTALL)
_WORDS = {
    "Input data was truncated": "it ends too early; a quote or bracket is missing",
    "trailing characters": "there is more behind the value",
}


def trimmed(payload: bytes) -> bytes:
    """The payload without what is no part of it: a byte order mark before it, NULs behind it."""
    return payload.removeprefix(_BOM).rstrip(_END)


def explain(payload: bytes, fault: Exception) -> str:
    """One short sentence on why `payload` cannot be read; `fault` is what its reader says of it."""
    if payload.startswith((b"\xff\xfe", b"\xfe\xff")) or payload[1:4:2] in {b"\0", b"\0\0"}:
        return "it is UTF-16; send UTF-8"
    try:
        # A character may be cut in two at the end.
        text = payload[:LOOKED_AT].decode("utf-8", "strict" if len(payload) <= LOOKED_AT else "ignore")
    except UnicodeDecodeError as found:
        return f"byte {found.start} is not UTF-8"
    bare = _TEXT.sub('""', text)
    for mark, sentence in _MARKS:
        if mark.search(bare):
            return sentence
    return _told(fault)


def _told(fault: Exception) -> str:
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    found = _FOUND.match(str(fault))
    assert found is not None
    what = _WORDS.get(found["what"], found["what"])
    return what if found["place"] is None else f"{what} (byte {found['place']})"
