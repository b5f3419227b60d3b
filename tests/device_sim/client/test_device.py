import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from broker.contract.messages import ErrorCode, Stage
from broker.errors import SettingsError
from device_sim.client.device import Device, DeviceSettings
from device_sim.errors import DeviceClosed, NoAnswer, NodeUnreachable, TaskFailed, UnreadableAnswer
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto, free_port
from tests.support.proxy import Proxy
from tests.support.scripted_node import ScriptedNode

FAST = DeviceSettings(connect_timeout=20.0, back_off_base=0.02, back_off_cap=0.1)


async def test_submit_returns_the_value(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, name="me") as device:
        assert await device.submit("light", "sum", [1, 2, 3], deadline=0.2) == 6
    ((topic, payload),) = node.heard
    assert (topic.weight, topic.task, topic.device) == ("light", "sum", "me")
    assert payload == b'{"$args":[1,2,3],"$deadline":0.2}'


async def test_bytes_arrive_as_they_are(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url) as device:
        assert await device.submit("medium", "raw", b"\xff\x00" * 500_000) == 1_000_000


@pytest.mark.parametrize("code", ErrorCode)
async def test_each_error_code_is_raised_as_its_own_class(
    node: ScriptedNode, mosquitto: Mosquitto, code: ErrorCode
) -> None:
    async with Device(mosquitto.url) as device:
        with pytest.raises(TaskFailed, match=code) as caught:
            await device.submit("light", "fail", [code])
        outcome = await device.outcome("light", "fail", [code])
    assert type(caught.value) is not TaskFailed
    assert caught.value.code is code
    assert caught.value.message == f"scripted: {code}"
    assert caught.value.outcome.node == "scripted"
    assert not outcome.ok


async def test_many_tasks_at_once_get_each_their_own_answer(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url) as one, Device(mosquitto.url) as other:
        work = [device.submit("light", "sum", [n, n]) for n in range(150) for device in (one, other)]
        assert await asyncio.gather(*work) == [2 * n for n in range(150) for _ in "ab"]
    ids = [topic.id for topic, _ in node.heard]
    assert len(set(ids)) == len(ids)


async def test_no_answer_in_time_is_said_with_the_id(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, settings=DeviceSettings(max_outstanding=1)) as device:
        with pytest.raises(NoAnswer, match=r"no answer to silent from mqtt://.* in 0.1 s"):
            await device.submit("light", "silent", id="late", timeout=0.1)
        await eventually(lambda: node.heard)
        # The slot is free again, and a late answer disturbs nobody.
        await node.answer(node.heard[0][0], 1)
        assert await device.submit("light", "sum", [1]) == 1


async def test_the_bound_on_outstanding_tasks_makes_the_next_one_wait(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Device(mosquitto.url, settings=DeviceSettings(max_outstanding=2)) as device:
        await device.send("light", "silent", id="a")
        await device.send("light", "silent", id="b")
        third = asyncio.create_task(device.submit("light", "sum", [3]))
        await eventually(lambda: len(node.heard) == 2)
        with pytest.raises(NoAnswer):
            await device.submit("light", "sum", [4], timeout=0.05)
        assert not third.done()
        await node.answer(node.heard[0][0])
        assert await third == 3


async def test_a_pending_task_can_be_waited_for_again_after_no_answer(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Device(mosquitto.url) as device:
        pending = await device.send("light", "silent", id="slow")
        with pytest.raises(NoAnswer, match=r"no answer to silent slow in 0.05 s"):
            await pending.outcome(timeout=0.05)
        await eventually(lambda: node.heard)
        await node.answer(node.heard[0][0], "late")
        assert set(await asyncio.gather(pending.value(), pending.value())) == {"late"}


async def test_progress_gives_every_step_and_ends_with_the_outcome(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Device(mosquitto.url) as device:
        for _ in range(2):
            pending = await device.send("heavy", "steps", progress=True)
            steps = [step async for step in pending.progress()]
            assert [step.percent for step in steps] == [None, 50.0, 100.0]
            assert steps[0].stage is Stage.ACCEPTED
            assert await pending.value() == "done"


async def test_progress_nobody_listened_to_is_an_error_not_silence(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Device(mosquitto.url) as device:
        pending = await device.send("heavy", "steps")
        with pytest.raises(ValueError, match="progress=True"):
            await anext(pending.progress())


async def test_cancel_reaches_the_node(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url) as device:
        pending = await device.send("heavy", "silent")
        await device.cancel(pending.id)
        outcome = await pending.outcome(timeout=30)
    assert node.cancelled == [pending.id]
    with pytest.raises(TaskFailed, match="cancelled"):
        await pending.value()
    assert not outcome.ok


async def test_an_answer_that_cannot_be_read_is_an_error_not_silence(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Device(mosquitto.url) as device:
        with pytest.raises(UnreadableAnswer, match="not an outcome"):
            await device.submit("light", "garbage", timeout=30)


async def test_unanswered_tasks_are_sent_again_under_their_id(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Proxy(mosquitto.port) as net, Device(net.url, settings=FAST) as device:
        pending = await device.send("light", "silent", [1], id="kept", deadline=0.02)
        await eventually(lambda: node.heard)
        net.cut()
        await eventually(lambda: not device.connected)
        meanwhile = await device.send("light", "sum", [1, 1])
        net.mend()
        assert await meanwhile.value(timeout=30) == 2
        first, again = [(topic, payload) for topic, payload in node.heard if topic.id == "kept"]
        assert first[0] == again[0]
        sent = msgspec.json.decode(first[1])
        assert sent == {"$args": [1], "$deadline": sent["$deadline"]}
        assert 0.001 <= sent["$deadline"] <= 0.02
        # What is left of the deadline, not the whole of it once more.
        assert again[1] == b'{"$args":[1],"$deadline":0.001}'
        await node.answer(again[0], "at last")
        assert await pending.value(timeout=30) == "at last"
        await node.answer(again[0], "twice")
        assert await device.submit("light", "sum", [5]) == 5


async def test_while_the_node_is_away_waiting_ends_in_time_and_says_why(mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, settings=FAST) as device:
        mosquitto.stop()
        await eventually(lambda: not device.connected)
        with pytest.raises(NodeUnreachable, match="away"):
            await device.cancel("any")
        with pytest.raises(NoAnswer, match="the node is away"):
            await device.submit("light", "sum", [1], timeout=0.05)
        mosquitto.start()
        await eventually(lambda: device.connected)


async def test_a_broker_that_stops_answering_is_left(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    settings = DeviceSettings(connect_timeout=2.0, keepalive=1, back_off_base=0.02, back_off_cap=0.1)
    async with Device(mosquitto.url, settings=settings) as device:
        mosquitto.freeze()
        await eventually(lambda: not device.connected)
        mosquitto.thaw()
        await eventually(lambda: device.connected)
        assert await device.submit("light", "sum", [1, 2]) == 3


async def test_progress_is_heard_again_after_a_lost_connection(
    node: ScriptedNode, mosquitto: Mosquitto
) -> None:
    async with Proxy(mosquitto.port) as net, Device(net.url, settings=FAST) as device:
        await device.send("heavy", "silent", progress=True)
        net.cut()
        await eventually(lambda: not device.connected)
        pending = await device.send("heavy", "steps", progress=True)
        net.mend()
        assert len([step async for step in pending.progress()]) == 3


async def test_a_broker_that_is_not_there_is_said_at_once() -> None:
    port = free_port()
    with pytest.raises(NodeUnreachable, match=f"127.0.0.1:{port}"):
        async with Device(f"mqtt://127.0.0.1:{port}"):
            pass


@contextlib.asynccontextmanager
async def fake_broker(*answers: bytes, hang_up: bool = True) -> AsyncIterator[str]:
    """A server that sends one of `answers` for each packet it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            for answer in answers:
                await reader.read(1000)
                writer.write(answer)
            if not hang_up:
                await reader.read()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


ACCEPTED = b"\x20\x02\x00\x00"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed before"),
        (b"\x20\x02\x00\x05", "Not authorized"),
        (b"\x20\x02\x00\x01", "closed before"),
        (b"HTTP/1.1 400\r\n", "no connection"),
    ],
)
async def test_a_broker_that_refuses_is_quoted(answer: bytes, said: str) -> None:
    async with fake_broker(answer) as url:
        with pytest.raises(NodeUnreachable, match=said):
            await Device(url, settings=FAST).__aenter__()


async def test_a_broker_that_accepts_and_says_nothing_is_given_up() -> None:
    async with fake_broker(hang_up=False) as url:
        with pytest.raises(NodeUnreachable, match=r"no answer in 0.2 s"):
            await Device(url, settings=DeviceSettings(connect_timeout=0.2)).__aenter__()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x90\x03\x00\x01\x80", "refused a subscription"),
        (b"", "was lost"),
        (b"\x00\x00", "was lost"),
        (b"\x90\x01\x00", "was lost"),
    ],
    ids=["refused", "closed", "garbage", "truncated"],
)
async def test_a_subscription_that_is_not_granted_is_said(answer: bytes, said: str) -> None:
    async with fake_broker(ACCEPTED, answer) as url:
        with pytest.raises(NodeUnreachable, match=said):
            await Device(url, settings=FAST).__aenter__()


async def test_a_subscription_that_is_not_answered_is_given_up() -> None:
    async with fake_broker(ACCEPTED, hang_up=False) as url:
        with pytest.raises(NodeUnreachable, match=r"did not answer a subscription in 2 s"):
            await Device(url, settings=DeviceSettings(connect_timeout=2.0)).__aenter__()


async def test_giving_up_while_connecting_leaves_nothing_open() -> None:
    async with fake_broker(hang_up=False) as url:
        entering = asyncio.create_task(Device(url).__aenter__())
        for _ in range(3):
            await asyncio.sleep(0)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering


async def test_a_device_is_entered_once(mosquitto: Mosquitto) -> None:
    device = Device(mosquitto.url, name="once")
    with pytest.raises(DeviceClosed, match="not entered yet"):
        await device.send("light", "sum")
    async with device:
        with pytest.raises(DeviceClosed, match="entered before"):
            await device.__aenter__()
        assert device.connected
    with pytest.raises(DeviceClosed, match="is closed"):
        await device.submit("light", "sum")
    with pytest.raises(DeviceClosed, match="entered before"):
        await device.__aenter__()


async def test_closing_tells_those_who_wait(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, settings=DeviceSettings(max_outstanding=1)) as device:
        pending = await device.send("light", "silent")
        waiting = asyncio.create_task(device.submit("light", "sum", [1]))
        await asyncio.sleep(0)
    with pytest.raises(DeviceClosed, match="closed before"):
        await pending.outcome()
    with pytest.raises(DeviceClosed):
        await waiting


async def test_cancelled_waiting_frees_the_slot(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, settings=DeviceSettings(max_outstanding=1)) as device:
        waiting = asyncio.create_task(device.submit("light", "silent"))
        await eventually(lambda: node.heard)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await device.submit("light", "sum", [2]) == 2


async def test_an_id_on_its_way_is_not_used_twice(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url) as device:
        await device.send("light", "silent", id="same")
        with pytest.raises(ValueError, match="still on its way"):
            await device.send("light", "sum", [1], id="same")
        device.forget("same")
        assert await device.submit("light", "sum", [1], id="same") == 1


@pytest.mark.parametrize(
    ("weight", "task", "id"),
    [("tiny", "sum", "1"), ("light", "a/b", "1"), ("light", "sum", ""), ("light", "+", "1")],
)
async def test_what_cannot_be_a_topic_is_refused_before_sending(
    mosquitto: Mosquitto, weight: str, task: str, id: str
) -> None:
    async with Device(mosquitto.url) as device:
        with pytest.raises(ValueError, match=r"tiny|contains|empty"):
            await device.send(weight, task, id=id)


def test_a_name_or_a_url_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(ValueError, match="device 'a/b' contains"):
        Device("mqtt://localhost", name="a/b")
    with pytest.raises(SettingsError, match="localhost"):
        Device("localhost")


async def test_two_programs_may_use_one_device_name(node: ScriptedNode, mosquitto: Mosquitto) -> None:
    async with Device(mosquitto.url, name="shared") as one, Device(mosquitto.url, name="shared") as other:
        mine = asyncio.create_task(one.submit("light", "sum", [1]))
        assert await other.submit("light", "sum", [2]) == 2
        assert await mine == 1
        assert one.connected
        assert other.connected
