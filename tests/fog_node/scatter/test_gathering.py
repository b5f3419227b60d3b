"""A task's parts, done in any order and after any failures: the values come out in the order of the parts."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fog_node.scatter.gathering import TRIES, Gathering
from tests.support.jobs import job


@given(st.integers(1, 20), st.data())
def test_values_come_in_the_order_of_the_parts(count: int, data: st.DataObject) -> None:
    gathering = Gathering(job(0), 0.0)
    assert gathering.splitting
    parts = [job(number) for number in range(1, count + 1)]
    gathering.parts(parts)
    stands_for = {part.key: number for number, part in enumerate(parts)}
    failures: Counter[int] = Counter()
    next_key = 1000
    while gathering.jobs:
        assert not gathering.merging
        chosen = data.draw(st.sampled_from(sorted(gathering.jobs)))
        one = gathering.jobs[chosen]
        if data.draw(st.booleans()) and gathering.may_try_again(one):
            next_key += 1
            again = job(next_key)
            stands_for[again.key] = stands_for[chosen]
            failures[stands_for[chosen]] += 1
            gathering.try_again(one, again)
        else:
            gathering.done(one, b"%d" % stands_for[chosen], data.draw(st.sampled_from("ab")))
        assert 0 <= gathering.percent <= 100
    assert gathering.merging
    assert gathering.percent == 100
    assert gathering.values == [b"%d" % number for number in range(count)]
    assert all(failed < TRIES for failed in failures.values())


def test_where_the_parts_were_done_is_told() -> None:
    gathering = Gathering(job(0), 0.0)
    parts = [job(1), job(2), job(3)]
    gathering.parts(parts)
    for part, node in zip(parts, ("fog-b", "fog-a", "fog-b"), strict=True):
        gathering.done(part, b"1", node)
    assert gathering.why == "split into 3 parts: fog-a 1, fog-b 2"
