"""What an acknowledgement of MQTT 5 tells of an error."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import ErrorCode
from broker.mqtt.kinds import PUBACK, PUBREC
from broker.mqtt.reasons import CODES
from fog_node.jobs.reasons import MOST_CHARACTERS, reason_for, refusal

PAGE = Path(__file__).parents[3] / "topics.md"
REASONS = {
    ErrorCode.FORBIDDEN: 0x87,
    ErrorCode.BAD_TOPIC: 0x90,
    ErrorCode.OVERLOADED: 0x97,
    ErrorCode.RATE_LIMITED: 0x97,
    ErrorCode.BAD_PAYLOAD: 0x99,
    ErrorCode.BAD_ARGUMENTS: 0x99,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_has_a_reason_that_a_puback_and_a_pubrec_may_have(code: ErrorCode) -> None:
    assert reason_for(code) == REASONS.get(code, 0x83)
    assert reason_for(code) in CODES[PUBACK] & CODES[PUBREC]


def test_the_sentence_is_told_as_it_is() -> None:
    assert refusal(ErrorCode.RATE_LIMITED, "wait 3 s; ça va…").sentence == "wait 3 s; ça va…"


def test_a_sentence_with_what_a_device_sent_in_it_can_stand_in_a_packet() -> None:
    """A Reason String with U+0000 in it would end the device's connection."""
    assert refusal(ErrorCode.BAD_PAYLOAD, "no option $\0\x1f\ud800\uffff").sentence == "no option $" + "�" * 4


@given(st.text(min_size=MOST_CHARACTERS + 1))
def test_a_long_sentence_is_cut_and_says_so(sentence: str) -> None:
    told = refusal(ErrorCode.BAD_ARGUMENTS, sentence).sentence
    assert len(told) == MOST_CHARACTERS
    assert told.endswith("…")


def test_topics_md_has_each_reason_with_its_codes() -> None:
    rows = re.findall(r"^\| (0x[\dA-F]{2}) [a-z ]+ \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) == 5
    for reason, codes in rows:
        for code in re.findall("`(.*?)`", codes):
            assert reason_for(ErrorCode(code)) == int(reason, 16)
