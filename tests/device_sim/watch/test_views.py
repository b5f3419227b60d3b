import pytest

from device_sim.watch.views import NodeBook, plain_line, styled_line, watch_filters

STATE = (
    b'{"node":"fog-a","online":true,"version":"0.1","trouble":["no workers"],'
    b'"load":{"light":{"queued":3,"running":1,"slots":2,"estimated_wait_ms":12.4}}}'
)
CATALOG = b'{"node":"fog-a","tasks":[{"task":"sum","weight":"light","parameters":{},"timeout_s":1}]}'
DONE = (
    b'{"ok":true,"value":[1,2],"id":"1","task":"sum","node":"fog-a","route":["fog-b","fog-a"],'
    b'"waited_ms":1.2,"ran_ms":0.8,"total_ms":3.1}'
)
BAD = b'{"ok":false,"error":{"code":"expired","message":"late"},"id":"1","task":"sum","node":"a","route":[]}'


@pytest.mark.parametrize(
    ("topic", "payload", "line"),
    [
        ("fog/results/me/1", DONE, "me/1 sum = [1,2]  fog-a < fog-b  3.1 ms (waited 1.2, ran 0.8)"),
        ("fog/results/me/1", BAD, "me/1 sum = expired: late  a  0.0 ms (waited 0.0, ran 0.0)"),
        (
            "fog/progress/me/1",
            b'{"stage":"running","id":"1","task":"sum","node":"a","percent":50}',
            "me/1 sum running 50 % at a",
        ),
        ("fog/nodes/fog-a/state", STATE, "fog-a online  light 1/2 run, 3 wait 12 ms"),
        (
            "other/topic",
            b"text",
            "other/topic topic 'other/topic' is not part of the contract; see topics.md",
        ),
    ],
)
def test_a_message_is_one_line_for_a_person(topic: str, payload: bytes, line: str) -> None:
    assert styled_line(topic, payload).plain == line


def test_what_cannot_be_read_is_shown_as_such() -> None:
    assert "is not an outcome" in styled_line("fog/results/me/1", b"\xff").plain


def test_on_a_pipe_a_message_is_topic_and_payload() -> None:
    assert (
        plain_line("fog/results/me/1", b'{"a":\n"\xff"}')
        == 'fog/results/me/1 {"a": "\N{REPLACEMENT CHARACTER}"}'
    )


def test_one_device_can_be_watched_alone() -> None:
    assert watch_filters("me", states=False) == ("fog/results/me/+", "fog/progress/me/+")
    assert watch_filters(None, states=True)[0] == "fog/results/+/+"


def test_nodes_are_known_by_state_and_catalog_and_garbage_is_left_out() -> None:
    book = NodeBook()
    for topic, payload in (
        ("fog/nodes/fog-a/state", STATE),
        ("fog/nodes/fog-a/catalog", CATALOG),
        ("fog/nodes/bad/state", b"?"),
        ("fog/nodes/other/catalog", CATALOG),
    ):
        book.add(topic, payload)
    assert (list(book.states), list(book.catalogs)) == (["fog-a"], ["fog-a", "other"])
    assert book.table().row_count == 2
    assert len(book.table(tasks=False).columns) == 4
