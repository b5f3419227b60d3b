"""Says in one sentence, for the device, why a task ended without a value."""

import os
import traceback

from celery.exceptions import SoftTimeLimitExceeded

from broker.contract.messages import ErrorCode
from fog_tasks.errors import BadArguments, BadResult, NotRetried
from fog_tasks.running.limits import ProcessorTimeExceeded

LONGEST_SENTENCE = 2_000
"""Characters of an error's own text that are sent at most: some libraries put a whole document into it."""


def explain(fault: BaseException) -> tuple[ErrorCode, str]:
    """The error code and the sentence for what a task raised."""
    match fault:
        case SoftTimeLimitExceeded():
            return ErrorCode.TIMED_OUT, "it ran past its time limit"
        case ProcessorTimeExceeded():
            return ErrorCode.TIMED_OUT, str(fault)
        case BadArguments():
            return ErrorCode.BAD_ARGUMENTS, str(fault)
        case BadResult() | NotRetried():
            return ErrorCode.FAILED, str(fault)
        case SystemExit():
            return ErrorCode.FAILED, f"it called sys.exit({fault.code!r})"
        case _:
            return ErrorCode.FAILED, f"{type(fault).__name__}: {_sentence(fault)}{_place(fault)}"


def _sentence(fault: BaseException) -> str:
    """The error's own text, without what UTF-8 cannot encode, and cut off if it is long."""
    try:
        said = str(fault)
    except Exception as worse:  # noqa: BLE001  # a task's own __str__ may raise anything
        said = f"(its text cannot be told: {type(worse).__name__})"
    said = said.encode("utf-8", "backslashreplace").decode()
    return said if len(said) <= LONGEST_SENTENCE else said[:LONGEST_SENTENCE] + "…"


def _place(fault: BaseException) -> str:
    frames = traceback.extract_tb(fault.__traceback__)
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""  # noqa: PTH119
