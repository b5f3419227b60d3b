"""Why a submission is not taken on, as MQTT 5 tells its publisher in the acknowledgement."""

import msgspec

from broker.contract.messages import ErrorCode
from broker.contract.pending import Pending
from broker.contract.topics import as_text

MOST_CHARACTERS = 250
"""Of a sentence in an acknowledgement: one that names what was sent may be as long as that. The outcome says
all of it."""

NOT_AUTHORIZED = 0x87
TOPIC_NAME_INVALID = 0x90
QUOTA_EXCEEDED = 0x97
PAYLOAD_FORMAT_INVALID = 0x99
IMPLEMENTATION_SPECIFIC_ERROR = 0x83

_REASONS = {
    ErrorCode.FORBIDDEN: NOT_AUTHORIZED,
    ErrorCode.BAD_TOPIC: TOPIC_NAME_INVALID,
    ErrorCode.OVERLOADED: QUOTA_EXCEEDED,
    ErrorCode.RATE_LIMITED: QUOTA_EXCEEDED,
    ErrorCode.BAD_PAYLOAD: PAYLOAD_FORMAT_INVALID,
    ErrorCode.BAD_ARGUMENTS: PAYLOAD_FORMAT_INVALID,
}


def reason_of(code: ErrorCode) -> int:
    """The reason code of MQTT 5 for an error code; there is one for all that MQTT has no word for."""
    return _REASONS.get(code, IMPLEMENTATION_SPECIFIC_ERROR)


class Refusal(msgspec.Struct, frozen=True):
    """A reason code of MQTT 5, and a sentence for the Reason String, fit to stand in a packet."""

    reason: int
    sentence: str


Taken = Pending | Refusal | None
"""What a publisher's acknowledgement says, or waits for: None that the message is taken in, a refusal that it
is not. What is under way has one of the two as its result, or fails."""


def refusal(code: ErrorCode, sentence: str) -> Refusal:
    """What an acknowledgement tells of an error."""
    text = as_text(sentence)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    return Refusal(reason_of(code), text)
