"""The log of the client library: events with keys, written by the `logging` of the program that uses it.

structlog alone would print them to the standard output of a program that has not set it up.
"""

import logging

import structlog

log = structlog.wrap_logger(
    logging.getLogger("device_sim"),
    processors=[
        structlog.processors.format_exc_info,
        structlog.processors.KeyValueRenderer(key_order=["event"]),
    ],
)
