"""One rule: which messages, or which moments, start which task, and where its outcome is told."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.contract.topics import Weight


class Publish(enum.StrEnum):
    """What is told of a task that has ended well."""

    VALUE = "value"
    """What it returned and nothing else; text without quotation marks."""
    OUTCOME = "outcome"
    """The whole outcome of the contract."""


@dataclass(frozen=True, slots=True)
class Every:
    """A moment that comes again after so many seconds."""

    seconds: float

    def __str__(self) -> str:
        return f"every {self.seconds:g}s"


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments of a crontab's five fields: minute, hour, day of the month, month, day of the week."""

    fields: str

    def __str__(self) -> str:
        return f"cron {self.fields}"


@dataclass(frozen=True, slots=True)
class Filter:
    """The topics of a filter whose levels may have names: `tele/{plug}/SENSOR`, `zigbee2mqtt/{rest+}`."""

    pattern: str

    def __str__(self) -> str:
        return self.pattern


Trigger = Filter | Every | Cron


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What Home Assistant is told of a result, by its MQTT discovery.

    `more` are further keys of its discovery message, as they are written there.
    """

    platform: str
    name: str | None = None
    unit: str | None = None
    device_class: str | None = None
    state_class: str | None = None
    prefix: str = "homeassistant"
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is written in a file under `[[rule]]`, or follows from `@task(on=…)`.

    `source` says where it is written, for people. `arguments` holds templates and JMESPath as text, literals
    as they are; None hands the payload on. `when` and `changed` are JMESPath. `every` lets one message in so
    many through, `at_most` one in so many seconds, for each set of levels. `result`, `on_error` and `id` are
    templates. Durations in seconds.
    """

    name: str
    source: str
    on: tuple[Trigger, ...]
    task: str
    weight: Weight = Weight.AUTO
    deadline: float | None = None
    max_hops: int | None = None
    arguments: Mapping[str, Any] | None = None
    when: str | None = None
    changed: str | None = None
    every: int = 1
    at_most: float | None = None
    id: str | None = None
    retained: bool = False
    result: str | None = None
    on_error: str | None = None
    publish: Publish | None = None
    retain: bool = False
    qos: int = 1
    announce: Announcement | None = None

    @property
    def tells_value(self) -> bool:
        """Whether a good end tells the value alone: on a topic of its own, unless told otherwise."""
        if self.publish is None:
            return self.result is not None
        return self.publish is Publish.VALUE

    @property
    def timed(self) -> bool:
        """Whether the clock starts it, alone or beside messages."""
        return any(not isinstance(trigger, Filter) for trigger in self.on)
