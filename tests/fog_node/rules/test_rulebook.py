"""What the rules of a node make of messages, and what they count."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.contract.messages import ErrorCode
from broker.contract.topics import Weight
from fog_node.errors import RuleFault
from fog_node.jobs.answer import Answer
from fog_node.rules.compiled import MOST_HOPS
from fog_node.rules.rulebook import Rulebook
from fog_node.rules.verdict import Firing, PassedOver, Unfit
from fog_tasks.declaration.task import task
from tests.support.rules import firing, rule, rulebook, verdict


@task
def energy(watts: float, plug: str) -> None: ...
@task
def note(**keys: Any) -> None: ...


PLUG = """
[[rule]]
name = "plug-energy"
on = "tele/{plug}/SENSOR"
task = "energy"
weight = "heavy"
deadline = "2s"
max_hops = 1
arguments = { watts = "ENERGY.Power" }
when = "ENERGY.Power > `5`"
result = "home/{plug}/energy"
on_error = "home/{plug}/error"
retain = true
qos = 2
"""
SENSOR = b'{"Time":"2026-11-28T20:00:00","ENERGY":{"Power":63,"Voltage":231}}'


def test_a_plugs_message_becomes_a_task_with_what_the_rule_says_of_it() -> None:
    found = firing(rulebook(PLUG, energy), SENSOR, "tele/plug1/SENSOR", role=Role.DEVICE)
    assert (found.task, found.weight, found.deadline, found.max_hops) == ("energy", Weight.HEAVY, 2.0, 1)
    assert (found.device, found.id, found.levels) == ("plug-energy", None, {"plug": "plug1"})
    assert found.payload == b'{"watts":63,"plug":"plug1"}'
    assert found.answer == Answer(
        rule="plug-energy",
        result="home/plug1/energy",
        error="home/plug1/error",
        value=True,
        retain=True,
        qos=2,
        hops=1,
        role=Role.DEVICE,
    )


def test_the_level_device_names_the_device_and_the_id_may_be_in_the_payload() -> None:
    book = rule("id = '{place}-{payload:seq}'", note, on="in/{place}/{device}")
    found = firing(book, b'{"seq":7}', "in/hall/plug1")
    assert (found.device, found.id) == ("plug1", "hall-7")
    assert found.answer == Answer(rule="one")


@pytest.mark.parametrize(
    ("keys", "topic", "payload", "code", "answer"),
    [
        ("id = '{payload:seq}'", "in/hall", b"{}", ErrorCode.BAD_PAYLOAD, Answer(rule="one")),
        ("id = '{payload:seq}'", "in/hall", b'{"seq":"a/b"}', ErrorCode.BAD_PAYLOAD, Answer(rule="one")),
        (
            "result = 'out/{payload:to}'\non_error = 'errors/{place}'",
            "in/hall",
            b'{"to":"a/b"}',
            ErrorCode.BAD_PAYLOAD,
            Answer(rule="one", error="errors/hall", value=True),
        ),
        (
            "result = '{payload:to}/x/y'",
            "in/hall",
            b'{"to":"fog"}',
            ErrorCode.BAD_TOPIC,
            Answer(rule="one", value=True),
        ),
        (
            "result = '{payload:to}/x/y'",
            "in/hall",
            b'{"to":"$SYS"}',
            ErrorCode.BAD_TOPIC,
            Answer(rule="one", value=True),
        ),
        (
            "when = 'a'\nresult = 'out/{place}'",
            "in/hall",
            b'{"a":',
            ErrorCode.BAD_PAYLOAD,
            Answer(rule="one", result="out/hall", value=True),
        ),
        ("", "in/" + "x" * 300, b"", ErrorCode.BAD_TOPIC, Answer(rule="one")),
    ],
)
def test_what_cannot_become_a_task_is_told_as_far_as_it_can_be_read(
    keys: str, topic: str, payload: bytes, code: ErrorCode, answer: Answer
) -> None:
    on = "in/{device}" if len(topic) > 100 else "in/{place}"
    found = verdict(rule(keys, note, on=on), payload, topic)
    assert isinstance(found, Unfit)
    assert (found.code, found.device, found.id, found.answer) == (code, "one", None, answer)


def test_one_message_is_asked_of_each_rule_that_means_it_once() -> None:
    book = rulebook(
        """
        [[rule]]
        name = "both"
        on = ["in/{place}", "+/hall"]
        task = "note"
        [[rule]]
        name = "all"
        on = "#"
        task = "note"
        [[rule]]
        name = "another"
        on = "in/cellar"
        task = "note"
        """,
        note,
    )
    found = book.verdicts(Message(topic="in/hall", payload=b"{}"), 0.0)
    assert {one.rule.name for one in found} == {"both", "all"}
    assert len(found) == 2
    assert book.filters == ("in/+", "+/hall", "#", "in/cellar")
    assert book.concerns("in/hall")
    assert not rule("", note).concerns("out/hall")
    assert book.verdicts(Message(topic="fog/tasks/light/note/me/1", payload=b"{}"), 0.0) == []


def test_only_filters_of_rules_that_want_retained_messages_are_told_for_them() -> None:
    book = rulebook(
        PLUG + "[[rule]]\nname = 'kept'\non = 'kept/#'\ntask = 'note'\nretained = true", energy, note
    )
    assert book.retained_filters == ("kept/#",)


def test_a_chain_of_too_many_rules_is_passed_over() -> None:
    book = rule("", note)
    message = Message(topic="in/hall", payload=b"{}")
    (last,) = book.verdicts(message, 0.0, hops=MOST_HOPS - 1)
    assert isinstance(last, Firing)
    assert last.answer.hops == MOST_HOPS
    (beyond,) = book.verdicts(message, 0.0, hops=MOST_HOPS)
    assert isinstance(beyond, PassedOver)
    assert beyond.reason == "hops"


def test_a_moment_starts_the_task_with_its_literals_and_the_rights_of_an_operator() -> None:
    book = rulebook(
        """
        [[rule]]
        name = "tick"
        on = ["every 90s", "cron */5 * * * *"]
        task = "energy"
        arguments = { watts = 5, plug = "'plug1'" }
        result = "home/tick"
        """,
        energy,
    )
    (timed,) = book.timed
    found = book.fire(timed)
    assert (found.device, found.payload, found.levels) == ("tick", b'{"watts":5,"plug":"plug1"}', {})
    assert found.answer == Answer(rule="tick", result="home/tick", value=True, role=Role.OPERATOR)
    (count,) = book.counts()
    assert (count.on, count.matched, count.fired) == ("every 90s, cron */5 * * * *", 1, 1)
    assert book.filters == ()


def test_each_message_is_counted_once() -> None:
    book = rulebook(PLUG, energy)
    for payload in (SENSOR, SENSOR, b'{"ENERGY":{"Power":1}}', b"{"):
        verdict(book, payload, "tele/plug1/SENSOR")
    book.refused("plug-energy", ErrorCode.OVERLOADED)
    book.refused("gone", ErrorCode.OVERLOADED)
    (count,) = book.counts()
    assert (count.name, count.source, count.task) == ("plug-energy", "rules.toml", "energy")
    assert (count.matched, count.fired) == (4, 1)
    assert (count.passed_over, count.refused) == ({"when": 1}, {"bad-payload": 1, "overloaded": 1})


ANYTHING = rulebook(
    "\n".join(
        f"[[rule]]\nname = 'r{number}'\non = 'in/{{device}}/{{rest+}}'\ntask = 'note'\n{keys}"
        for number, keys in enumerate(
            [
                "",
                "arguments = { a = 'a', b = 'sort(@)', c = '{payload:a}-{rest}' }",
                "when = 'a > `1`'\nchanged = 'max_by(@, &a)'",
                "id = '{payload:a}'\nresult = 'out/{device}/{payload:b}'\non_error = 'errors/{payload}'",
                "arguments = { a = 'ceil(to_number(@))' }\nat_most = 1\nevery = 2",
            ]
        )
    ),
    note,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab$") | st.text(), inner),
    max_leaves=6,
)


@given(
    topic=st.text(st.characters(exclude_characters="+#"), min_size=1).map(lambda text: f"in/{text}/x"),
    payload=st.binary() | JSON.map(msgspec.json.encode),
)
def test_whatever_is_published_has_one_verdict_of_each_rule_that_means_it(topic: str, payload: bytes) -> None:
    before = sum(one.matched for one in ANYTHING.counts())
    found = ANYTHING.verdicts(Message(topic=topic, payload=payload), 0.0)
    meant = not topic.startswith("in//")
    assert [one.rule.name for one in found] == ([f"r{number}" for number in range(5)] if meant else [])
    counts = ANYTHING.counts()
    assert sum(one.matched for one in counts) == before + len(found)
    for count in counts:
        assert count.matched == count.fired + count.passed_over.total() + count.refused.total()
    for one in found:
        if isinstance(one, Firing):
            note.read(one.payload)


@pytest.mark.parametrize("keys", ["changed = '`\"\\ud800\"`'", "arguments = { text = '`\"\\ud800\"`' }"])
def test_what_nobody_thought_of_is_a_fault_of_its_own_rule(keys: str) -> None:
    """A literal that is no text: the message is not refused to its sender, nor kept from other rules."""
    found = verdict(rule(keys, note), b"{}")
    assert isinstance(found, Unfit)
    assert "surrogates" in found.message


def test_new_rules_take_over_while_those_of_the_same_name_go_on_counting() -> None:
    def book(same: str, changed: str) -> Rulebook:
        return rulebook(
            f"""
            [[rule]]
            name = "same"
            on = "same/x"
            task = "note"
            every = {same}
            [[rule]]
            name = "changed"
            on = "changed/x"
            task = "note"
            every = {changed}
            """,
            note,
        )

    kept = book("2", "2")
    for topic in ("same/x", "changed/x"):
        assert isinstance(verdict(kept, b"", topic), Firing)
    kept.replace(book("2", "3"))
    assert isinstance(verdict(kept, b"", "same/x"), PassedOver)
    assert isinstance(verdict(kept, b"", "changed/x"), Firing)
    assert [(one.matched, one.fired) for one in kept.counts()] == [(2, 1), (2, 2)]
    kept.replace(rule("", note))
    assert kept.filters == ("in/+",)
    assert [one.matched for one in kept.counts()] == [0]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("when = 'a >'", "when: 'a >' is no JMESPath"),
        ("changed = 'foo(@)'", "changed: 'foo(@)': JMESPath has no function foo"),
        ("changed = '&foo'", "changed: '&foo': & stands before what a function is given"),
        ("when = '[a, {b: &c}]'", "when: '[a, {b: &c}]': & stands before"),
        ("id = '{plug}'", "id: {plug} is no level of its topics; {place}"),
        ("result = 'out/{place'", "result: 'out/{place' has a brace"),
        ("result = 'out/#'", "result: 'out/#' is no topic"),
        ("result = 'fog/tasks/light/note/me/1'", "result: 'fog/tasks/light/note/me/1' is no topic"),
        ("result = 'fog/results/other/latest'", "result: 'fog/results/other/latest' is no topic"),
        ("result = '$SYS/x'", "result: '$SYS/x' is no topic"),
        ("on_error = 'out//{place}/+'", "on_error: 'out//{place}/+' is no topic"),
    ],
)
def test_what_cannot_be_is_refused_at_start_with_file_rule_and_key(keys: str, said: str) -> None:
    with pytest.raises(RuleFault) as caught:
        rule(keys, note)
    assert str(caught.value).startswith(f"rules.toml: rule 'one': {said}")


@pytest.mark.parametrize(
    ("on", "known"),
    [
        (["in/{place}", "every 60s"], "none"),
        (["in/{place}", "out/{room}"], "none"),
        (["in/{place}/{room}", "out/{room}/{other}"], "{room}"),
    ],
)
def test_a_hole_takes_only_what_each_trigger_names(on: list[str], known: str) -> None:
    with pytest.raises(RuleFault) as caught:
        rulebook(f"[[rule]]\nname = 'one'\non = {on}\ntask = 'note'\nresult = 'home/{{place}}'", note)
    assert f"result: {{place}} is no level of its topics; {known} and {{payload:path}}" in str(caught.value)


@pytest.mark.parametrize("on", [["in/{x+}"], ["in/{x}", "out/{x+}"]])
def test_an_id_takes_no_name_of_several_levels(on: list[str]) -> None:
    with pytest.raises(RuleFault) as caught:
        rulebook(f"[[rule]]\nname = 'one'\non = {on}\ntask = 'note'\nid = '{{x}}'", note)
    assert "id: {x} may be several levels" in str(caught.value)


def test_a_result_below_the_devices_own_results_can_be() -> None:
    book = rule("result = 'fog/results/{device}/latest'", note, on="in/{device}")
    assert firing(book, b"{}").answer.result == "fog/results/hall/latest"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("result = 'out/{payload:x}'", "result: 'out/{payload:x}' has a hole"),
        ("arguments = { a = 'ENERGY' , b = 'length(@)'}", "arguments: length(@)"),
    ],
)
def test_a_moment_has_nothing_to_fill_holes_with(keys: str, said: str) -> None:
    with pytest.raises(RuleFault) as caught:
        rule(keys, note, on="every 1s")
    assert f"rule 'one': {said}" in str(caught.value)


def test_a_moments_arguments_are_checked_at_start() -> None:
    with pytest.raises(RuleFault) as caught:
        rule("arguments = { watts = 'much', plug = \"'a'\" }", energy, on="every 1s")
    assert "text as \"'text'\"" in str(caught.value)
    with pytest.raises(RuleFault) as caught:
        rule("", energy, on="every 1s")
    assert "parameter 'watts' is missing" in str(caught.value)


def test_a_name_is_given_once_and_a_task_is_there() -> None:
    with pytest.raises(RuleFault) as caught:
        rulebook(PLUG + PLUG, energy)
    assert str(caught.value) == (
        "rules.toml: rule 'plug-energy': name: another rule has it, in rules.toml;"
        " give each a name of its own"
    )
    with pytest.raises(RuleFault) as caught:
        rulebook(PLUG, note)
    assert str(caught.value) == (
        "rules.toml: rule 'plug-energy': task: no task 'energy' is loaded; there are note"
    )
