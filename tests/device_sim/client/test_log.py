import pytest

from device_sim.client.log import log


def test_events_go_to_the_logging_of_the_program_and_not_to_its_output(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    log.warning("node_lost", device="me", reason="closed")
    assert caplog.messages == ["event='node_lost' device='me' reason='closed'"]
    assert capsys.readouterr().out == ""
