"""Every error Weighbridge raises on purpose, up to the message bus.

WeighbridgeError
├── SettingsError        a setting that cannot be used
├── BadTopic             a topic outside the contract of topics.md
├── BadPayload           a payload that cannot be read
├── EngineError          the message bus cannot do what was asked
│   └── EngineUnavailable
├── LinkFull             the outgoing queue of a link is at its bound
├── StorageError         a file of messages or tasks that cannot be opened, read or written
└── OutboxFull           as much waits for a link as may
"""


class WeighbridgeError(Exception):
    """Base of every error raised on purpose; its text is one sentence for a person."""


class SettingsError(WeighbridgeError):
    """Raised when a flag, an environment variable or a key of a file has a value that cannot be used."""


class BadTopic(WeighbridgeError):
    """Raised when a topic does not follow the contract of topics.md.

    `device` and `id` hold what could still be read, so that the sender can be told.
    """

    def __init__(self, reason: str, *, device: str | None = None, id: str | None = None) -> None:
        super().__init__(reason)
        self.device = device
        self.id = id


class BadPayload(WeighbridgeError):
    """Raised when a payload is not what its topic calls for."""


class EngineError(WeighbridgeError):
    """Raised when a broker engine cannot start or cannot do what was asked."""


class EngineUnavailable(EngineError):
    """Raised when the broker cannot take a message now, and may later."""


class LinkFull(WeighbridgeError):
    """Raised when a link already holds as many unsent messages as it may."""


class StorageError(WeighbridgeError):
    """Raised when a file in which messages or tasks are kept cannot be opened, read or written."""


class OutboxFull(WeighbridgeError):
    """Raised when as much waits for a link as may."""
