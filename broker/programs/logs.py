"""Where log lines go: stderr, readable on a terminal, JSON on request. Only programs call this.

With JSON every line of stderr is JSON, also the last one of a program that cannot go on.
"""

import enum
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, NoReturn

import structlog

from broker.programs.streams import LineStream, keep_standard_files, unfailing

LIBRARIES = (
    *("aiomqtt", "amqp", "amqtt", "asyncio", "billiard", "celery"),
    *("kombu", "multiprocessing", "paho", "redis", "transitions", "websockets", "zeroconf"),
)
"""Libraries that are heard from WARNING up, whatever the level is: below it they tell their own story."""

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


def set_up_logs(
    *, level: LogLevel, format: LogFormat, program: str, about: Callable[[], Mapping[str, str]] = dict
) -> None:
    """Send structlog's lines and the standard library's to stderr in one form.

    `about` tells at each line what else it is to name beside the program. Where stderr cannot be written the
    lines are lost, and the program goes on.
    """
    keep_standard_files()
    severity = logging.getLevelNamesMapping()[level.upper()]
    # Of its own, and kept: a process may let its standard error go elsewhere.
    sys.stderr = stderr = unfailing(os.dup(2))

    def name(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return {"program": program, **about(), **event}

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if format is LogFormat.JSON:
        shared.append(structlog.processors.format_exc_info)
    renderer = _renderer(format)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=lambda *_: _Writer(stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stderr)
    foreign = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, _in_one_line]
    if format is LogFormat.JSON:
        sys.excepthook = _uncaught
        threading.excepthook = lambda crash: _uncaught(crash.exc_type, crash.exc_value, crash.exc_traceback)
        sys.unraisablehook = lambda crash: _uncaught(crash.exc_type, crash.exc_value, crash.exc_traceback)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[*foreign, renderer], foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=severity, force=True)
    for library in LIBRARIES:
        logging.getLogger(library).setLevel(max(severity, logging.WARNING))
    # For libraries that keep their lines from the root: they would be written as they are.
    logging.lastResort = handler
    logging.captureWarnings(capture=True)


def end_with(sentence: object, format: LogFormat) -> NoReturn:
    """End the program with status 1, and with a sentence in the form of its log."""
    if format is not LogFormat.JSON:
        unfailing(2).write(f"error: {sentence}\n")
    else:
        log.critical("ended", reason=str(sentence))
    sys.exit(1)


def _uncaught(kind: type[BaseException], fault: BaseException | None, trace: TracebackType | None) -> None:
    log.critical("uncaught", reason=repr(fault), exc_info=(kind, fault, trace))


def _in_one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Some libraries add lines to what they say, and empty ones."""
    return {**event, "event": " ".join(str(event["event"]).split())}


def log_prints() -> LineStream:
    """Make what is printed lines of the log: in nodes and workers, code of their users may print."""
    sys.stdout = stdout = LineStream(1, lambda line: log.info("printed", text=line))
    return stdout


class _Writer(structlog.WriteLogger):
    """Does without a lock, with which a process may be forked: a line is written by one call anyway."""

    def msg(self, message: str) -> None:
        self._write(f"{message}\n")

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg


def _renderer(format: LogFormat) -> Any:
    if format is LogFormat.JSON:
        return structlog.processors.JSONRenderer()
    colours = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=24
    )
