"""Messages that leave at once, or when the broker is back."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from broker.contract.message import Message
from broker.engines.memory import MemoryEngine
from broker.errors import EngineUnavailable, PublishRefused
from fog_node.replies.replies import Replies
from tests.support.eventually import eventually


class Flaky(MemoryEngine):
    """A broker that may be `away`, and acknowledges nothing by itself while it is `slow`."""

    def __init__(self) -> None:
        super().__init__()
        self.away = self.slow = False
        self.taken: list[asyncio.Future[None]] = []
        self.heard: list[str] = []
        self.listen("#", lambda message: self.heard.append(message.topic))

    def publish(self, message: Message) -> asyncio.Future[None] | None:  # type: ignore[override]
        if self.away:
            raise EngineUnavailable("it is away")
        super().publish(message)
        if not self.slow:
            return None
        self.taken.append(asyncio.get_running_loop().create_future())
        return self.taken[-1]


def message(topic: str, qos: int = 1) -> Message:
    return Message(topic=topic, payload=b"", qos=qos)


@pytest.fixture
def engine() -> Flaky:
    return Flaky()


@pytest.fixture
async def replies(engine: Flaky) -> AsyncIterator[Replies]:
    made = Replies(engine)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()


async def test_a_message_leaves_at_once(engine: Flaky, replies: Replies) -> None:
    replies.send(message("a"))
    assert engine.heard == ["a"]


async def test_what_the_broker_could_not_take_leaves_later_and_in_order(
    engine: Flaky, replies: Replies
) -> None:
    engine.away = True
    replies.send(message("a"))
    engine.away = False
    replies.send(message("b"))
    assert engine.heard == []
    await eventually(lambda: engine.heard == ["a", "b"])


async def test_what_is_sent_before_the_broker_runs_leaves_when_it_does_and_alarms_nobody(
    engine: Flaky,
) -> None:
    engine.away, made = True, Replies(engine)
    with capture_logs() as logs:
        made.send(message("a"))
        made.send(message("b"))
        engine.away = False
        running = asyncio.create_task(made.run())
        await eventually(lambda: engine.heard == ["a", "b"])
        assert not logs
        engine.away = True
        made.send(message("c"))
        assert [one["event"] for one in logs] == ["replies_delayed"]
    running.cancel()


async def test_a_step_that_the_broker_could_not_take_is_dropped(engine: Flaky, replies: Replies) -> None:
    engine.away = True
    replies.send(message("progress", qos=0))
    engine.away = False
    await replies.drain()
    assert engine.heard == []


async def test_a_step_does_not_wait_behind_outcomes(engine: Flaky, replies: Replies) -> None:
    engine.away = True
    replies.send(message("a"))
    engine.away = False
    replies.send(message("progress", qos=0))
    assert engine.heard == ["progress"]


async def test_what_the_broker_took_and_lost_is_sent_again(engine: Flaky, replies: Replies) -> None:
    engine.slow = True
    replies.send(message("a"))
    engine.taken[0].set_exception(EngineUnavailable("it went away"))
    engine.slow = False
    await eventually(lambda: engine.heard == ["a", "a"])


async def test_what_the_broker_refuses_is_not_sent_again_and_holds_nothing_up(
    engine: Flaky, replies: Replies
) -> None:
    engine.slow = True
    replies.send(message("a"))
    engine.taken[0].set_exception(PublishRefused("not authorised"))
    engine.slow = False
    await asyncio.wait_for(replies.drain(), 10)
    assert replies.unsent_since is None
    replies.send(message("b"))
    assert engine.heard == ["a", "b"]


async def test_a_broker_that_stays_away_is_tried_again_until_it_is_back(
    engine: Flaky, replies: Replies
) -> None:
    engine.slow = engine.away = True
    replies.send(message("a"))
    draining = asyncio.create_task(replies.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    engine.slow = engine.away = False
    await asyncio.wait_for(draining, 10)
    assert engine.heard == ["a"]


async def test_everything_is_sent_once_the_broker_has_acknowledged_it(
    engine: Flaky, replies: Replies
) -> None:
    engine.slow = True
    replies.send(message("a"))
    draining = asyncio.create_task(replies.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    engine.taken[0].set_result(None)
    await asyncio.wait_for(draining, 10)


async def test_since_when_something_is_unsent_is_known_until_the_broker_has_it(
    engine: Flaky, replies: Replies
) -> None:
    before = time.monotonic()
    assert replies.unsent_since is None
    engine.slow = True
    replies.send(message("a"))
    first = replies.unsent_since
    assert first is not None
    assert before <= first <= time.monotonic()
    engine.taken[0].set_exception(EngineUnavailable("it went away"))
    await eventually(lambda: len(engine.taken) == 2)
    assert replies.unsent_since == first
    engine.taken[1].set_result(None)
    await eventually(lambda: replies.unsent_since is None)
