"""Asking another node at the moment of a decision, over a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from broker.contract.address import Address
from broker.contract.mesh_filters import mesh_ask_filter, mesh_wait_filter
from broker.contract.message import Message
from broker.contract.topics import MeshAskTopic, MeshWaitTopic, Weight, parse
from broker.engines.embedded import EmbeddedEngine
from broker.engines.embedded.settings import EmbeddedSettings
from broker.errors import BadPayload
from broker.links.link import Link
from fog_node.mesh.questions import Questions, all_or_late
from fog_node.placement.answers import Answer, wait_for_answers
from tests.support.eventually import eventually

WAIT = b'{"wait_ms":250}'


class Told:
    """Takes down what is learned of the other node."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def measured(self, _round_trip: float) -> None: ...

    def transferred(self, _size: int, _seconds: float) -> None: ...

    def answered(self, answer: Answer) -> None:
        self.answers.append(answer)


@dataclass
class Asked:
    """The node b behind a broker, and a's questions to it; it answers at once unless it is `silent`."""

    engine: EmbeddedEngine
    link: Link
    questions: Questions
    told: Told
    heard: list[MeshAskTopic] = field(default_factory=list)
    silent: bool = False

    def hear(self, message: Message) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, MeshAskTopic)
        self.heard.append(topic)
        if not self.silent:
            self.answer(topic)

    def answer(self, asked: MeshAskTopic, wait: bytes = WAIT) -> None:
        self.engine.publish(Message(topic=str(MeshWaitTopic(asked.origin, asked.key)), payload=wait))

    def take(self, message: Message) -> None:
        topic = parse(message.topic)
        assert isinstance(topic, MeshWaitTopic)
        self.questions.receive(topic, message.payload)


@pytest.fixture
async def asked() -> AsyncIterator[Asked]:
    engine = EmbeddedEngine(EmbeddedSettings(listen=Address("127.0.0.1", 0)))
    node: Asked

    def hear(message: Message) -> None:
        node.hear(message)

    await engine.start(hear, [mesh_ask_filter("b")])
    link = Link(engine.url, node="a")
    told = Told()
    node = Asked(engine, link, Questions("b", link, node="a", figures=told), told)
    link.start(node.take, [mesh_wait_filter("a")])
    await link.wait_connected()
    yield node
    await link.stop()
    await engine.stop()


async def test_the_answer_tells_the_wait_and_how_long_it_took(asked: Asked) -> None:
    answered = asked.questions.ask(Weight.MEDIUM, "sum")
    assert answered is not None
    await asyncio.wait_for(answered, 5)
    (answer,) = asked.told.answers
    assert (answer.weight, answer.task, answer.wait) == (Weight.MEDIUM, "sum", 0.25)
    assert answer.round_trip > 0
    assert answer.asked + answer.round_trip <= time.monotonic()


async def test_the_same_question_is_not_asked_twice_at_once(asked: Asked) -> None:
    asked.silent = True
    first = asked.questions.ask(Weight.MEDIUM, "sum")
    assert asked.questions.ask(Weight.MEDIUM, "sum") is first
    assert asked.questions.ask(Weight.MEDIUM, "echo") is not first
    await eventually(lambda: len(asked.heard) == 2)


async def test_an_answer_to_nothing_and_one_that_is_none_change_nothing(asked: Asked) -> None:
    asked.silent = True
    asked.questions.ask(Weight.MEDIUM, "sum")
    await eventually(lambda: asked.heard)
    asked.questions.receive(MeshWaitTopic("a", "of-an-earlier-life"), WAIT)
    for garbage in (b"", b"{}", b'{"wait_ms":-1}', b'{"wait_ms":"soon"}'):
        with pytest.raises(BadPayload):
            asked.questions.receive(MeshWaitTopic("a", asked.heard[0].key), garbage)
    assert asked.told.answers == []
    asked.answer(asked.heard[0])
    asked.answer(asked.heard[0])
    await eventually(lambda: asked.told.answers)
    assert len(asked.told.answers) == 1


async def test_a_node_that_is_away_is_not_asked(asked: Asked) -> None:
    await asked.engine.stop()
    await eventually(lambda: not asked.link.connected)
    assert asked.questions.ask(Weight.MEDIUM, "sum") is None


async def test_answers_are_waited_for_no_longer_than_their_time() -> None:
    loop = asyncio.get_running_loop()
    never, at_once = loop.create_future(), loop.create_future()
    at_once.set_result(None)
    await all_or_late([never, at_once], 0.02)
    assert not never.done()
    await asyncio.wait_for(all_or_late([at_once], 60.0), 5)


def test_the_time_for_answers_is_two_round_trips_within_bounds() -> None:
    assert wait_for_answers([0.01, 0.004]) == 0.02
    assert wait_for_answers([0.0001]) == 0.005
    assert wait_for_answers([0.001, 3.0]) == 0.05
    assert wait_for_answers([0.001, None]) == 0.05
