"""Says in one sentence for the device why a task ended without a value."""

import os
import traceback

from celery.exceptions import SoftTimeLimitExceeded

from broker.contract.messages import ErrorCode
from fog_tasks.errors import BadArguments, BadResult
from fog_tasks.running.limits import ProcessorTimeExceeded

LONGEST_SENTENCE = 2_000
"""Characters of a fault's own text that are passed on: an outcome is no place for a dump."""


def explain(fault: BaseException) -> tuple[ErrorCode, str]:
    """The error code of what a task raised, and what to say of it."""
    match fault:
        case SoftTimeLimitExceeded():
            return ErrorCode.TIMED_OUT, "it ran past its time limit"
        case ProcessorTimeExceeded():
            return ErrorCode.TIMED_OUT, str(fault)
        case BadArguments():
            return ErrorCode.BAD_ARGUMENTS, str(fault)
        case BadResult():
            return ErrorCode.FAILED, str(fault)
        case SystemExit():
            return ErrorCode.FAILED, f"it called sys.exit({fault.code!r})"
        case _:
            return ErrorCode.FAILED, f"{type(fault).__name__}: {_sentence(fault)}{_place(fault)}"


def _sentence(fault: BaseException) -> str:
    """What a fault says of itself, in text that every encoding can carry, and not at any length."""
    try:
        said = str(fault)
    except Exception as worse:  # noqa: BLE001  # whatever a task's own __str__ does, the node has to hear
        said = f"(its text cannot be told: {type(worse).__name__})"
    said = said.encode("utf-8", "backslashreplace").decode()
    return said if len(said) <= LONGEST_SENTENCE else said[:LONGEST_SENTENCE] + "…"


def _place(fault: BaseException) -> str:
    frames = traceback.extract_tb(fault.__traceback__)
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""  # noqa: PTH119
