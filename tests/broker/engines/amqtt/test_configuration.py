"""What amqtt is told, and how it is said that it cannot use it."""

from pathlib import Path

import pytest
import yaml

from broker.contract.address import Address
from broker.engines.amqtt.configuration import AmqttSettings
from broker.engines.amqtt.engine import AmqttEngine
from broker.errors import EngineError, SettingsError, WeighbridgeError
from tests.broker.engines.amqtt.conftest import LOOPBACK

FILE_PLUGIN = "amqtt.plugins.authentication.FileAuthPlugin"


async def started(settings: AmqttSettings) -> str:
    """Where it listens."""
    engine = AmqttEngine(settings)
    await engine.start(lambda _: None, ())
    try:
        return engine.url
    finally:
        await engine.stop()


async def test_a_file_without_listeners_has_those_of_the_options(tmp_path: Path) -> None:
    file = tmp_path / "amqtt.yaml"
    file.write_text("plugins: {}")
    assert (await started(AmqttSettings(file=file, listen=LOOPBACK))).startswith("mqtt://127.0.0.1:")


async def test_who_listens_by_websocket_alone_says_so() -> None:
    assert (await started(AmqttSettings(listen=None, websocket=LOOPBACK))).startswith("ws://127.0.0.1:")


async def test_it_listens_by_ipv6() -> None:
    assert (await started(AmqttSettings(listen=Address("::1", 0)))).startswith("mqtt://[::1]:")


def test_one_of_both_says_where_to_listen(tmp_path: Path) -> None:
    file = tmp_path / "amqtt.yaml"
    file.write_text("listeners: {default: {bind: '127.0.0.1:0'}}")
    told = AmqttSettings(file=file).configuration()
    assert told == yaml.safe_load(file.read_text())
    with pytest.raises(SettingsError, match="take `listeners` out of the file, or give no --listen"):
        AmqttSettings(file=file, listeners_given=True).configuration()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plugins: [", "cannot be read: while parsing"),
        ("just words", "has no keys such as `listeners` and `plugins`"),
        ("pluggins: {}", 'can not match "pluggins"'),
        ("plugins: {no.such.Plugin: {}}", "Plugin import failed: no.such.Plugin: No module named 'no'; pip"),
        ("plugins: {logging.Logger: {}}", "Plugin logging.Logger is not a subclass of 'BasePlugin'"),
        ("plugins: words", "plugins"),
        ("plugins: {%s: {password_file: none}}", "Password file 'none' not found"),
        ("plugins: {%s: {passwords: x}}", 'can not match "passwords"'),
        ("listeners: {other: {bind: '127.0.0.1:0'}}", "default"),
        ("listeners: {default: {bind: '127.0.0.1:0', certfile: none, keyfile: none}}", "'certfile' does not"),
        ("listeners: {default: {bind: '192.0.2.1:1883'}}\nplugins: {}", "192.0.2.1"),
        ("listeners: {default: {bind: '127.0.0.1:many'}}\nplugins: {}", "Invalid port value"),
    ],
)
async def test_what_amqtt_cannot_use_is_told_in_one_sentence(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "amqtt.yaml"
    file.write_text(text.replace("%s", FILE_PLUGIN))
    with pytest.raises(WeighbridgeError) as refused:
        await started(AmqttSettings(file=file))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "Traceback" not in capsys.readouterr().err


async def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--amqtt-config .*none.yaml cannot be read: .*No such file"):
        AmqttEngine(AmqttSettings(file=tmp_path / "none.yaml"))


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    engine = AmqttEngine(AmqttSettings(listen=LOOPBACK))
    await engine.start(lambda _: None, ())
    try:
        taken = Address.parse(engine.url.removeprefix("mqtt://"))
        with pytest.raises(EngineError, match="address already in use"):
            await started(AmqttSettings(listen=taken))
    finally:
        await engine.stop()
