"""Every error that the message bus raises on purpose. The packages above it have some of their own.

WeighbridgeError
├── SettingsError           a setting that cannot be used
├── BadTopic                a topic outside the contract of topics.md
├── BadPayload              a payload that cannot be read
├── EngineError             the broker cannot do what was asked
│   ├── EngineUnavailable   it may later
│   │   └── StoreFailed     it could not keep what has to survive a crash
│   └── PublishRefused      it takes this message from us neither now nor later
├── ProtocolError           the other side of a connection has broken the rules of MQTT
│   └── UnsupportedVersion  or speaks another version of it
├── StorageError            a file of messages or tasks cannot be used
├── LinkFull                as much waits in memory for another broker as may
└── OutboxFull              as much waits on disk for another node as may
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


class StoreFailed(EngineUnavailable):
    """Raised when sessions and retained messages could not be kept."""


class PublishRefused(EngineError):
    """Raised when a broker does not take a message, and would not if it were sent again."""


class ProtocolError(WeighbridgeError):
    """Raised when the other side sends what MQTT does not allow; the connection is to be closed.

    `reason` is the reason code that MQTT 5 has for it: without a word, that of a malformed packet.
    """

    def __init__(self, sentence: str, reason: int = 0x81) -> None:
        super().__init__(sentence)
        self.reason = reason


class UnsupportedVersion(ProtocolError):
    """Raised when a client asks for a protocol `level` that is not spoken here.

    `version` is the one in whose words the client understands that.
    """

    def __init__(self, sentence: str, *, level: int, version: int) -> None:
        super().__init__(sentence, 0x84)
        self.level = level
        self.version = version


class LinkFull(WeighbridgeError):
    """Raised when a link already holds as many unsent messages as it may."""


class StorageError(WeighbridgeError):
    """Raised when a file in which messages or tasks are kept cannot be opened, read or written."""


class OutboxFull(WeighbridgeError):
    """Raised when as much waits for a link as may."""
