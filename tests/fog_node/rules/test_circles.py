"""Rules that would start each other for ever."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import matches
from fog_node.errors import RuleFault
from fog_node.rules.circles import circle
from fog_tasks.declaration.task import task
from tests.support.rules import rulebook


@task
def step(**keys: Any) -> None: ...


def chain(*rules: tuple[str, str]) -> str:
    """Rules a, b, c … with what starts them and further keys."""
    return "\n".join(
        f"[[rule]]\nname = '{name}'\non = '{on}'\ntask = 'step'\n{keys}"
        for name, (on, keys) in zip("abc", rules, strict=False)
    )


def told(result: str) -> str:
    return f"result = '{result}'\non_error = 'errors/{{x}}'"


@pytest.mark.parametrize(
    ("rules", "way"),
    [
        ([("in/{x}", told("in/{x}"))], "a → a"),
        ([("in/{x}", told("in/seen-{x}"))], "a → a"),
        ([("in/{x}", told("mid/{x}")), ("mid/{x}", told("in/1"))], "a → b → a"),
        ([("in/{x}", told("b/{x}")), ("b/{x}", told("c/{x}")), ("c/{x}", told("in/{x}"))], "a → b → c → a"),
        ([("{x}/in", told("{x}/{payload:a}"))], "a → a"),
        ([("in/{x}", "result = 'out/{x}'\non_error = 'in/failed'")], "a → a"),
        ([("fog/results/{x}/{y}", told("out/{x}")), ("out/{x}", "")], "b → a → b"),
        ([("fog/results/{x}/{y}", "result = 'out/{x}'")], "a → a"),
        ([("fog/results/{device}/{y}", "")], "a → a"),
        ([("fog/results/a/{y}", "")], "a → a"),
        ([("fog/progress/{x}/{y}", told("out/{x}"))], "a → a"),
        ([("in/{x+}", told("out/{x}")), ("out/{x+}", told("in/{x}/more"))], "a → b → a"),
    ],
)
def test_a_circle_is_refused_and_shown(rules: list[tuple[str, str]], way: str) -> None:
    with pytest.raises(RuleFault) as caught:
        rulebook(chain(*rules), step)
    ring = str(caught.value).partition("circle: ")[2].partition(";")[0].split(" → ")
    assert str(caught.value).startswith(f"rules.toml: rule '{ring[0]}': on: ")
    # It may be told from any of its rules on.
    assert ring[0] == ring[-1]
    assert set(pairwise(ring)) == set(pairwise(way.split(" → ")))


@pytest.mark.parametrize(
    "rules",
    [
        [
            ("light/{x}", told("medium/{x}")),
            ("medium/{x}", told("heavy/{x}")),
            ("heavy/{x}", told("end/{x}")),
        ],
        [("in/{x}/raw", told("in/{x}/clean"))],
        [("{x}/raw", "")],
        [("{x}/{y}/{z}/{rest+}", "")],
        [("fog/results/{x}/{y}", told("out/{x}"))],
        [("fog/results/camera/{x}", "")],
        [("every 60s", "result = 'in/1'"), ("in/{x}", told("out/1"))],
        [("fog/nodes/{x}/state", told("out/{x}"))],
    ],
)
def test_chains_that_end_are_taken(rules: list[tuple[str, str]]) -> None:
    rulebook(chain(*rules), step)


LEVELS = st.sampled_from(["a", "b", "+"])
FILTERS = st.builds(
    lambda levels, more: "/".join([*levels, *more]),
    st.lists(LEVELS, min_size=1, max_size=3),
    st.sampled_from([[], ["#"]]),
)
TOPICS = [
    "/".join(levels)
    for one in "ab"
    for levels in [
        [one],
        *([one, two] for two in "ab"),
        *([one, two, three] for two in "ab" for three in "ab"),
    ]
]
"""Filters of these levels have a topic in common only if they have one of these."""


@given(st.dictionaries(st.sampled_from("uvwx"), st.tuples(FILTERS, FILTERS), min_size=1))
def test_a_circle_is_found_where_topics_lead_back(rules: dict[str, tuple[str, str]]) -> None:
    found = circle(
        {name: [on] for name, (on, _) in rules.items()}, {name: [to] for name, (_, to) in rules.items()}
    )
    following = {
        name: {
            other
            for other, (on, _) in rules.items()
            if any(matches(to, topic) and matches(on, topic) for topic in TOPICS)
        }
        for name, (_, to) in rules.items()
    }
    reached = following
    for _ in rules:
        reached = {
            name: {*others, *(far for other in others for far in following[other])}
            for name, others in reached.items()
        }
    assert (found is not None) == any(name in others for name, others in reached.items())
    if found is not None:
        assert all(after in following[before] for before, after in pairwise(found))
        assert found[0] == found[-1]
