"""Where log lines go: stderr, readable on a terminal, JSON on request. Only programs call this.

With JSON every line of stderr is JSON, also the last one of a program that cannot go on.
"""

import contextlib
import enum
import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, NoReturn

import structlog

log = structlog.get_logger()


class LogFormat(enum.StrEnum):
    """How a log line is written; AUTO is HUMAN with colours on a terminal and without elsewhere."""

    AUTO = "auto"
    HUMAN = "human"
    JSON = "json"


class LogLevel(enum.StrEnum):
    """The least severe lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def set_up_logs(*, level: LogLevel, format: LogFormat, program: str) -> None:
    """Send structlog's lines and the libraries' own to stderr in one form.

    The libraries are heard from WARNING up, whatever `level` is: below it they tell their own story.
    """
    severity = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = _renderer(format)
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer]
        if format is LogFormat.JSON
        else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=lambda *_: _Printer(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(program=program)
    handler = logging.StreamHandler(sys.stderr)
    foreign = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _in_one_line]
    if format is LogFormat.JSON:
        foreign.append(structlog.processors.format_exc_info)
        sys.excepthook = _uncaught
        threading.excepthook = lambda crash: _uncaught(crash.exc_type, crash.exc_value, crash.exc_traceback)
        sys.unraisablehook = lambda crash: _uncaught(crash.exc_type, crash.exc_value, crash.exc_traceback)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[*foreign, renderer], foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=max(severity, logging.WARNING), force=True)
    # For libraries that keep their lines from the root: they would be written as they are.
    logging.lastResort = handler
    logging.captureWarnings(capture=True)


def end_with(sentence: object, format: LogFormat) -> NoReturn:
    """End the program with status 1, and with a sentence in the form of its log."""
    if format is not LogFormat.JSON:
        sys.exit(f"error: {sentence}")
    log.critical("ended", reason=str(sentence))
    sys.exit(1)


def _uncaught(kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None) -> None:
    log.critical("uncaught", reason=repr(fault), exc_info=(kind, fault, trace))


def _in_one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Some libraries add lines to what they say, and empty ones."""
    return {**event, "event": " ".join(str(event["event"]).split())}


class _Printer(structlog.PrintLogger):
    """Writes lines, and goes on without where they cannot be written: a full disk, a pipe nobody reads.

    A log that could not be written must not end what it tells of.
    """

    def msg(self, message: str) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _renderer(format: LogFormat) -> Any:
    if format is LogFormat.JSON:
        return structlog.processors.JSONRenderer()
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )
