"""The topic contract: what is built can be parsed, and nothing else can."""

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.filters import matches
from broker.contract.mesh_filters import (
    mesh_ask_filter,
    mesh_cancel_filter,
    mesh_result_filter,
    mesh_task_filter,
    mesh_wait_filter,
)
from broker.contract.submissions import may_reply
from broker.contract.topics import (
    CANCEL_FILTER,
    MAX_LEVEL_BYTES,
    TASK_FILTER,
    AnyTopic,
    CancelTopic,
    CatalogTopic,
    MeshAskTopic,
    MeshCancelTopic,
    MeshResultTopic,
    MeshTaskTopic,
    MeshWaitTopic,
    ProgressTopic,
    ResultTopic,
    StateTopic,
    TaskTopic,
    Weight,
    is_level,
    parse,
    progress_filter,
    result_filter,
)
from broker.errors import BadTopic


def no_character(character: str) -> bool:
    """Whether Unicode says that this is none, in the words of its standard (chapter 23.7)."""
    return "\ufdd0" <= character <= "\ufdef" or ord(character) & 0xFFFE == 0xFFFE


LEVELS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/+#").filter(
        lambda c: not no_character(c)
    ),
    min_size=1,
    max_size=20,
)
WEIGHTS = st.sampled_from(Weight)
TOPICS: st.SearchStrategy[AnyTopic] = st.one_of(
    st.builds(TaskTopic, WEIGHTS, LEVELS),
    st.builds(TaskTopic, WEIGHTS, LEVELS, LEVELS),
    st.builds(TaskTopic, WEIGHTS, LEVELS, LEVELS, LEVELS),
    st.builds(ResultTopic, LEVELS, LEVELS),
    st.builds(ProgressTopic, LEVELS, LEVELS),
    st.builds(CancelTopic, LEVELS, LEVELS),
    st.builds(StateTopic, LEVELS),
    st.builds(CatalogTopic, LEVELS),
    st.builds(MeshTaskTopic, LEVELS, WEIGHTS, LEVELS, LEVELS, LEVELS),
    st.builds(MeshResultTopic, LEVELS, LEVELS),
    st.builds(MeshCancelTopic, LEVELS, LEVELS, LEVELS),
    st.builds(MeshAskTopic, LEVELS, WEIGHTS, LEVELS, LEVELS, LEVELS),
    st.builds(MeshWaitTopic, LEVELS, LEVELS),
)


@given(TOPICS)
def test_what_is_built_is_parsed_to_the_same(topic: AnyTopic) -> None:
    assert parse(str(topic)) == topic


@given(st.text(st.sampled_from("fog/tasks+#light\0 \ud800é"), max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """Whatever parses is written back as it was; whatever does not raises BadTopic and nothing else."""
    with contextlib.suppress(BadTopic):
        assert str(parse(text)) == text


@given(st.lists(st.text(max_size=5), max_size=6))
def test_a_task_topic_with_a_fault_tells_who_sent_it_where_it_can(rest: list[str]) -> None:
    topic = "/".join(["fog", "tasks", "no such weight", *rest])
    levels = topic.split("/")
    with pytest.raises(BadTopic) as fault:
        parse(topic)
    readable = len(levels) > 4 and is_level(levels[4])
    assert fault.value.device == (levels[4] if readable else None)


@pytest.mark.parametrize(
    ("topic", "filter"),
    [
        (TaskTopic(Weight.LIGHT, "sum", "me", "1"), TASK_FILTER),
        (CancelTopic("me", "1"), CANCEL_FILTER),
        (ResultTopic("me", "1"), result_filter("me")),
        (ProgressTopic("me", "1"), progress_filter("me")),
        (MeshTaskTopic("b", Weight.HEAVY, "sum", "a", "k"), mesh_task_filter("b")),
        (MeshResultTopic("a", "k"), mesh_result_filter("a")),
        (MeshCancelTopic("b", "a", "k"), mesh_cancel_filter("b")),
        (MeshAskTopic("b", Weight.MEDIUM, "sum", "a", "k"), mesh_ask_filter("b")),
        (MeshWaitTopic("a", "k"), mesh_wait_filter("a")),
    ],
)
def test_filters_match_their_topics(topic: AnyTopic, filter: str) -> None:
    assert matches(filter, str(topic))


@pytest.mark.parametrize(
    ("topic", "part"),
    [
        ("fog/tasks/huge/sum/me/1", "light, medium, heavy, auto"),
        ("fog/tasks/light", "1 levels"),
        ("fog/tasks/light/sum/me/1/2", "5 levels"),
        ("fog/tasks/light//me/1", "is empty"),
        ("fog/tasks/light/s\tm/me/1", "contains U.0009"),
        ("fog/tasks/light/sum/me/" + "x" * (MAX_LEVEL_BYTES + 1), "longer than"),
        ("fog/elsewhere", "not part of the contract"),
        ("", "not part of the contract"),
    ],
)
def test_a_refusal_names_what_is_wrong(topic: str, part: str) -> None:
    with pytest.raises(BadTopic, match=part):
        parse(topic)


def test_a_level_is_any_text_but_what_mqtt_does_not_allow() -> None:
    """Of all code points, on every Python alike: nothing depends on which emoji it knows."""
    refused = {code for code in range(sys.maxunicode + 1) if not is_level(f"a{chr(code)}b")}
    controls = {*range(0x20), *range(0x7F, 0xA0)}
    surrogates = set(range(0xD800, 0xE000))
    none = {code for code in range(sys.maxunicode + 1) if no_character(chr(code))}
    assert len(none) == 66
    assert refused == controls | surrogates | none | set(map(ord, "/+#"))


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("fog/results/me/other", True),
        ("fog/results/me/a/b/c", True),
        ("replies/anywhere", True),
        ("fog/results/you/1", False),
        ("fog/results/me/", False),
        ("fog/results/me", False),
        ("fog/nodes/a/state", False),
        ("fog", False),
        ("$SYS/x", False),
        ("a/#", False),
        ("a/+/b", False),
        ("", False),
        ("/replies//mine/", True),
        ("fog/results/me//1", False),
        ("a\x01b", False),
        ("a\0b", False),
        ("a\ufffeb", False),
        ("a/" * 31, True),
        ("a/" * 32, False),
        ("fog/results/me" + "/a" * 29, True),
        ("fog/results/me" + "/a" * 30, False),
        ("x" * MAX_LEVEL_BYTES, True),
        ("x" * (MAX_LEVEL_BYTES + 1), False),
    ],
)
def test_where_an_outcome_may_be_sent(topic: str, allowed: bool) -> None:
    assert may_reply(topic, "me") is allowed
