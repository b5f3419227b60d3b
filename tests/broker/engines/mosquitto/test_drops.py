"""What a Mosquitto drops is told to the operator."""

from broker.engines.mosquitto.drops import TOLD_FOR, Drops


def test_losses_are_counted_over_the_lives_of_a_mosquitto_and_told_for_an_hour() -> None:
    drops = Drops()
    drops.hear(b"0", 1.0)
    assert drops.trouble(1.0) == []
    for said, now in ((b"3", 2.0), (b"3", 3.0), (b"1", 4.0), (b"nonsense", 5.0)):
        drops.hear(said, now)
    assert ["dropped 4 messages" in one for one in drops.trouble(4.0 + TOLD_FOR)] == [True]
    assert drops.trouble(4.1 + TOLD_FOR) == []
