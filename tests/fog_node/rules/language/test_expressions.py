"""JMESPath as people write it in rules."""

import tomllib

import pytest

from fog_node.errors import RuleFault
from fog_node.rules.language.content import Content
from fog_node.rules.language.expressions import Expression


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("DS18B20-1.Temperature", """'"DS18B20-1".Temperature'"""),
        ("a[-1].x-y-z", """'a[-1]."x-y-z"'"""),
        ("0x00158d.state == 'ON'", """'''"0x00158d".state == 'ON''''"""),
        ("Küche.t > `5`", """'"Küche".t > `5`'"""),
    ],
)
def test_a_key_that_is_no_name_is_told_how_it_is_written(text: str, meant: str) -> None:
    with pytest.raises(RuleFault) as caught:
        Expression(text)
    assert str(caught.value).endswith(f"is put in double quotes: {meant}")
    Expression(tomllib.loads(f"when = {meant}")["when"])


@pytest.mark.parametrize("text", ["a b", "a[0]b", "'x-y", "a-"])
def test_of_what_no_quotes_mend_the_literals_are_told(text: str) -> None:
    with pytest.raises(RuleFault, match=r"is no JMESPath .* numbers"):
        Expression(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Power > '5'", '> "5"'),
        ("'-2.5' <= Power", '<= "-2.5"'),
        ("on && (Power < 'x' || Power >= `\"5\"`)", '>= "5"'),
        ("plugs[?Power > '5']", '> "5"'),
        ("Power < `null`", "< null"),
        ("Power < `true`", "< true"),
    ],
)
def test_an_order_that_no_number_has_is_refused(text: str, said: str) -> None:
    with pytest.raises(RuleFault) as caught:
        Expression(text)
    assert f": {said} is true of no number: a number stands in backticks, `5`" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("Time > '2026-01-01'", b'{"Time":"2026-11-28T20:10:05"}'),
        ("state == '5'", b'{"state":"5"}'),
        ("Power > `5`", b'{"Power":6}'),
    ],
)
def test_texts_have_an_order_among_themselves(text: str, payload: bytes) -> None:
    assert Expression(text).holds(Content(payload))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("E.power > `5`", ["E.power finds nothing in the payload"]),
        ("s == `6` && !on && s != 'x'", ['s is "6"', "on is true"]),
        ("l[0].a || contains(s, '7')", ["l[0].a finds nothing in the payload", 's is "6"']),
        ('"x-1".T', ['"x-1".T finds nothing in the payload']),
        ("l[?a].b", []),
        ("long", ['long is "' + 39 * "x" + "…"]),
    ],
)
def test_what_its_paths_find_is_told(text: str, parts: list[str]) -> None:
    payload = b'{"E":{"Power":6},"s":"6","on":true,"l":[{"a":null}],"long":"%s"}' % (b"x" * 50)
    assert Expression(text).parts(Content(payload)) == parts
