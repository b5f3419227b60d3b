"""Why a submission is not taken on, as MQTT 5 tells its publisher in the acknowledgement."""

import msgspec

from broker.contract.pending import Pending


class Refusal(msgspec.Struct, frozen=True):
    """A reason code of MQTT 5, and a sentence for the Reason String, fit to stand in a packet."""

    reason: int
    sentence: str


Taken = Pending | Refusal | None
"""What a publisher's acknowledgement says, or waits for: None that the message is taken in, a refusal that it
is not. What is under way has one of the two as its result, or fails."""
