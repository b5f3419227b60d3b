"""The jobs that are with another node, as both nodes call them."""

from fog_node.mesh.handed_over import HandedOverJobs
from tests.support.jobs import job


def test_what_the_other_broker_has_not_acknowledged_is_not_known_there() -> None:
    away = HandedOverJobs("fog-b", node="fog-a", journal_life="life")
    first, second, third = job(1), job(2), job(3)
    for number, one in enumerate((first, second, third)):
        away.add(one, 10.0 + number)
    assert away.known_until(20.0) == 10.0
    assert away.known_until(5.0) == 5.0
    away.arrived("life-1-0")
    assert away.known_until(20.0) == 11.0
    away.arrived("life-3-0")
    assert away.known_until(20.0) == 11.0
    away.pop(second)
    assert away.known_until(20.0) == 20.0
