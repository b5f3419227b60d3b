"""Each error code that a device can cause, and that the node goes on after it."""

import pytest

from broker.contract.messages import ErrorCode, TaskError
from tests.support.mosquitto_clients import request
from tests.support.programs import Program

CASES = [
    ("wrong weight", "fog/tasks/huge/sum/me/{}", "[1]", ErrorCode.BAD_TOPIC, "light, medium, heavy, auto"),
    ("too many levels", "fog/tasks/light/sum/me/{}/more", "[1]", ErrorCode.BAD_TOPIC, "5 levels"),
    ("empty task", "fog/tasks/light//me/{}", "[1]", ErrorCode.BAD_TOPIC, "is empty"),
    ("unknown task", "fog/tasks/light/sing/me/{}", "[1]", ErrorCode.UNKNOWN_TASK, "'sing'"),
    ("not JSON", "fog/tasks/light/sum/me/{}", "one", ErrorCode.BAD_PAYLOAD, "not JSON"),
    ("not UTF-8", "fog/tasks/light/sum/me/{}", b'"\xff\xfe"', ErrorCode.BAD_PAYLOAD, "not JSON"),
    ("unknown option", "fog/tasks/light/sum/me/{}", '{"$hurry":1}', ErrorCode.BAD_PAYLOAD, "$hurry"),
    ("foreign reply topic", "fog/tasks/light/sum/me/{}", '{"$reply":"a/b"}', ErrorCode.BAD_PAYLOAD, "$reply"),
    ("nested too deeply", "fog/tasks/light/sum/me/{}", "[" * 5000, ErrorCode.BAD_PAYLOAD, "not JSON"),
    ("wrong name", "fog/tasks/light/shout/me/{}", '{"txt":"a"}', ErrorCode.BAD_ARGUMENTS, "'txt'"),
    (
        "wrong type",
        "fog/tasks/light/shout/me/{}",
        '{"text":1}',
        ErrorCode.BAD_ARGUMENTS,
        "'text': expected `str`",
    ),
    ("missing", "fog/tasks/light/shout/me/{}", "{}", ErrorCode.BAD_ARGUMENTS, "'text' is missing"),
    ("too many", "fog/tasks/light/shout/me/{}", '["a",1,2]', ErrorCode.BAD_ARGUMENTS, "takes 2 arguments"),
    ("too large", "fog/tasks/light/length/me/{}", "x" * 100_001, ErrorCode.TOO_LARGE, "100000"),
    (
        "raises",
        "fog/tasks/light/raising/me/{}",
        '"oh"',
        ErrorCode.FAILED,
        "ValueError: oh (wild_tasks.py, line",
    ),
    ("half a character", "fog/tasks/light/raising/me/{}", '"\\ud800"', ErrorCode.BAD_PAYLOAD, "not JSON"),
    ("raises silence", "fog/tasks/light/unspeakable/me/{}", "", ErrorCode.FAILED, "cannot be told"),
    ("not JSON back", "fog/tasks/light/returning_an_object/me/{}", "", ErrorCode.FAILED, "JSON"),
    ("no number", "fog/tasks/light/sum/me/{}", "[1e308,1e308]", ErrorCode.FAILED, "value is inf"),
    ("no number inside", "fog/tasks/light/not_a_number/me/{}", "", ErrorCode.FAILED, "value['a'][1] is nan"),
    ("too long", "fog/tasks/light/looping/me/{}", "", ErrorCode.TIMED_OUT, "time limit"),
    ("too long and deaf", "fog/tasks/light/stubborn/me/{}", "", ErrorCode.TIMED_OUT, "was killed"),
    ("too busy", "fog/tasks/light/burning/me/{}", "", ErrorCode.TIMED_OUT, "more than 0.2 s of processor"),
    ("too hungry", "fog/tasks/light/hungry/me/{}", "", ErrorCode.FAILED, "MemoryError"),
    ("sys.exit", "fog/tasks/light/leaving/me/{}", "", ErrorCode.FAILED, "sys.exit(3)"),
    ("kills its process", "fog/tasks/light/dying/me/{}", "", ErrorCode.FAILED, "tried 3 times"),
]


@pytest.mark.parametrize(
    ("topic", "payload", "code", "part"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_fault_is_answered_and_the_node_goes_on(
    node: Program, topic: str, payload: str | bytes, code: ErrorCode, part: str, request_id: str
) -> None:
    answer = request(node.port, topic.format(request_id), payload, answer=f"fog/results/me/{request_id}")
    assert isinstance(answer.error, TaskError)
    assert answer.error.code is code
    assert part in answer.error.message
    assert answer.id == request_id
    after = request(node.port, f"fog/tasks/light/sum/me/{request_id}-after", "[1,2]")
    assert (after.ok, bytes(after.value)) == (True, b"3")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ü", "a b", "$x", "{}", "'", '"', "ключ", "a" * 200, "..", "%2F"])
def test_odd_names_of_devices_and_ids_are_taken(node: Program, name: str) -> None:
    answer = request(node.port, f"fog/tasks/light/echo/{name}/{name}", '"x"')
    assert (answer.ok, answer.id) == (True, name)


def test_bad_input_leaves_no_traceback_in_the_log(node: Program, request_id: str) -> None:
    request(node.port, f"fog/tasks/light/sum/me/{request_id}", "{", answer=f"fog/results/me/{request_id}")
    assert "task_refused" in node.stderr
    assert "fog_node/" not in node.stderr
