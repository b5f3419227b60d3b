"""What a node is told of a task that has ended at a Celery application."""

from celery import states
from celery.exceptions import TimeLimitExceeded, WorkerLostError

from broker.contract.messages import ErrorCode
from fog_tasks.application.results import Meta
from fog_tasks.declaration.results import encode_value
from fog_tasks.errors import BadResult
from fog_tasks.reporting.reports import Done, Failed
from fog_tasks.running.faults import explain


def word_of(ticket: str, meta: Meta, ran: float) -> Done | Failed:
    """The word for a result in Celery's form; the task ran for `ran` seconds."""
    ran_ms, result = round(1e3 * ran, 3), meta["result"]
    match meta["status"]:
        case states.SUCCESS:
            try:
                return Done(ticket, encode_value(result), ran_ms)
            except BadResult as fault:
                return Failed(ticket, ErrorCode.FAILED, str(fault), ran_ms)
        case states.REVOKED if "expired" in str(result):
            return Failed(ticket, ErrorCode.EXPIRED, "its deadline passed before a worker was free", ran_ms)
        case states.REVOKED:
            return Failed(ticket, ErrorCode.CANCELLED, "it was revoked at its application", ran_ms)
        case _ if isinstance(result, TimeLimitExceeded):
            return Failed(ticket, ErrorCode.TIMED_OUT, "it ran past its time limit", ran_ms)
        case _:
            lost = isinstance(result, WorkerLostError)
            return Failed(ticket, *explain(result), ran_ms, worker_lost=lost)


def failed(ticket: str, text: str, *, expired: bool = False, worker_lost: bool = False) -> Failed:
    """The word for a task that ended without a result of its application's."""
    code = ErrorCode.EXPIRED if expired else ErrorCode.FAILED
    return Failed(ticket, code, text, 0.0, worker_lost=worker_lost)
