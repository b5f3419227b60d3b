"""The jobs that are with another node, as both nodes call them."""

from broker.contract.messages import decode_hand_off, encode
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


def test_a_hand_off_has_the_devices_user_properties_and_no_room_for_those_it_has_not() -> None:
    away = HandedOverJobs("fog-b", node="fog-a", journal_life="life")
    with_them, without = away.hand_off(job(user_properties=(("b", "1"), ("a", "2")))), away.hand_off(job())
    assert decode_hand_off(encode(with_them)).user_properties == (("b", "1"), ("a", "2"))
    assert decode_hand_off(encode(without)) == without
    assert b"user_properties" not in encode(without)
