"""What a watched node has noted, put together."""

import itertools

import pytest

from benchmarks.profiling.parts import LEGS, LOOP, OTHER, Passage, legs, median_ms, part_of, passage

MOMENTS = [
    ("ended", 0.5),  # of the task before
    ("received", 1.1),
    ("storing", 1.2),
    ("sending", 1.3),
    ("reported", 1.5),  # `Running`, by itself
    ("stored", 1.55),
    ("reported", 1.7),
    ("ending", 1.8),
    ("reported", 1.85),  # of nobody's task any more
    ("ended", 1.9),
    ("replied", 1.95),
]


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (
            [
                "msgspec.json",
                "fog_node.intake.submissions",
                "fog_node.dispatcher",
                "broker.engines.embedded.routing.router",
            ],
            "intake",
        ),
        (["asyncio.streams", "redis.asyncio.connection", "fog_node.execution.work_queue"], "to the workers"),
        (["broker.engines.embedded.output_commit", "asyncio.base_events", "fog_node.program"], "MQTT broker"),
        (["fog_node.announcer", "fog_node.program"], OTHER),
        (["asyncio.runners", "fog_node.program", "__main__"], LOOP),
        (["somewhere"], LOOP),
    ],
)
def test_a_stack_counts_for_the_innermost_part_whose_code_it_is(stack: list[str], part: str) -> None:
    assert part_of(stack) == part


def test_the_last_report_before_the_end_is_the_one_that_ended_it() -> None:
    found = passage(1.0, 1.4, 2.0, MOMENTS)
    assert found == Passage(
        sent=1.0,
        received=1.1,
        stored=1.55,
        sending=1.3,
        ran=1.4,
        reported=1.7,
        ending=1.8,
        ended=1.9,
        answered=2.0,
    )


@pytest.mark.parametrize("name", ["received", "stored", "sending", "ending", "ended"])
def test_a_task_of_which_a_moment_is_missing_does_not_count(name: str) -> None:
    moments = [one for one in MOMENTS if one[0] != name or one[1] < 1.0]
    assert passage(1.0, 1.4, 2.0, moments) is None


def test_the_legs_follow_each_other_from_the_device_and_back() -> None:
    assert LEGS[0][1] == "sent"
    assert LEGS[-1][2] == "answered"
    assert all(before[2] == after[1] for before, after in itertools.pairwise(LEGS))


def test_the_legs_of_one_task_add_up_to_all_of_its_way() -> None:
    found = passage(1.0, 1.4, 2.0, MOMENTS)
    assert found is not None
    assert sum(legs([found]).values()) == pytest.approx(median_ms([found], "sent", "answered")) == 1000
