"""What a node writes for Celery's workers, beside what Celery's own client writes."""

from pathlib import Path
from typing import Any

import msgspec
import redis

from broker.contract.topics import Weight
from fog_tasks.loading import load
from fog_tasks.running.app import make_app, queue_name
from fog_tasks.running.celery_message import PLAIN_JSON, TimeLimits, encode_message
from tests.support.redis import private_redis

QUEUE = queue_name("fog-a", Weight.LIGHT)
THEIRS_ALONE = {"delivery_tag", "body_encoding", "origin", "delivery_info"}
"""Properties and headers whose values may differ: a number of their own, and how the body is packed."""


def shape(message: dict[str, Any]) -> dict[str, Any]:
    parts = {**message, **message["headers"], **message["properties"]}
    del parts["headers"], parts["properties"], parts["body"]
    return {key: None if key in THEIRS_ALONE else value for key, value in parts.items()}


def test_a_message_has_the_same_parts_and_values_as_celerys_own(tmp_path: Path) -> None:
    with private_redis(tmp_path) as url, redis.Redis.from_url(url) as server:
        with make_app(url, node="fog-a", registry=load([])) as app:
            app.send_task(
                "sum",
                (1, 2),
                {"a": "b"},
                task_id="t-1",
                queue=QUEUE,
                reply_to="fog:fog-a:reports",
                ignore_result=True,
                time_limit=3,
                soft_time_limit=2,
                serializer=PLAIN_JSON,
            )
        found: Any = server.lindex(QUEUE, 0)
    theirs = msgspec.json.decode(found)
    ours = msgspec.json.decode(
        encode_message(
            task="sum",
            arguments=(1, 2),
            named={"a": "b"},
            ticket="t-1",
            queue=QUEUE,
            reply_to="fog:fog-a:reports",
            limits=TimeLimits(soft=2, hard=3),
        )
    )
    assert shape(ours) == shape(theirs)


def test_arguments_too_deep_to_be_shown_are_sent_all_the_same() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    message = encode_message(
        task="echo",
        arguments=(deep,),
        named={},
        ticket="t",
        queue=QUEUE,
        reply_to="",
        limits=TimeLimits(soft=None, hard=None),
    )
    assert msgspec.json.decode(msgspec.json.decode(message)["body"])[0] == [deep]
