"""The errors of tasks in MQTT 5's words, as an acknowledgement tells them. No I/O."""

from broker.contract.messages import ErrorCode
from broker.contract.refusal import Refusal
from broker.contract.topics import as_text
from broker.mqtt.reasons import Reason

MOST_CHARACTERS = 250
"""Of a sentence in an acknowledgement: one that names what was sent may be as long as that. The outcome says
all of it."""

_REASONS = {
    ErrorCode.FORBIDDEN: Reason.NOT_AUTHORIZED,
    ErrorCode.BAD_TOPIC: Reason.TOPIC_NAME_INVALID,
    ErrorCode.OVERLOADED: Reason.QUOTA_EXCEEDED,
    ErrorCode.RATE_LIMITED: Reason.QUOTA_EXCEEDED,
    ErrorCode.BAD_PAYLOAD: Reason.PAYLOAD_FORMAT_INVALID,
    ErrorCode.BAD_ARGUMENTS: Reason.PAYLOAD_FORMAT_INVALID,
}


def reason_for(code: ErrorCode) -> int:
    """The reason code of MQTT 5 for an error code; there is one for all that MQTT has no word for."""
    return _REASONS.get(code, Reason.IMPLEMENTATION_SPECIFIC_ERROR)


def refusal(code: ErrorCode, sentence: str) -> Refusal:
    """What an acknowledgement tells of an error."""
    text = as_text(sentence)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    return Refusal(reason_for(code), text)
