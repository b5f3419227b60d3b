"""Users and certificates are changed for the worse while a node runs: it says so until they are mended."""

from pathlib import Path

import msgspec
import pytest

from broker.contract.identity import Role
from broker.contract.messages import NodeState
from broker.security.authority import make_authority, make_certificate
from broker.security.users import make_user, write_users
from tests.support.command_lines import said_by
from tests.support.eventually import eventually
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import listening
from tests.support.programs import Program, fog_node


def trouble_of(node: Program) -> tuple[str, ...]:
    """What the next state says, to an operator."""
    with listening(node.port, "fog/nodes/fog-a/state", "-u", "ann", "-P", "secret", count=2) as states:
        return msgspec.json.decode(states.wait()[1], type=NodeState).trouble


@pytest.mark.parametrize("engine", ["embedded", "mosquitto"])
async def test_the_state_says_so_until_the_file_is_mended(tmp_path: Path, engine: str) -> None:
    """In whichever way it was mended: the rights may be all that has to be changed."""
    users = tmp_path / "users.toml"
    write_users(users, {"ann": make_user("ann", Role.OPERATOR, "secret", mosquitto=True)})
    make_authority(tmp_path)
    make_certificate(tmp_path, "fog-a", Role.NODE, hosts=["127.0.0.1"])
    key = tmp_path / "fog-a.key"
    tls = ("--listen-tls", f"127.0.0.1:{free_port()}", "--cert", f"{tmp_path}/fog-a.crt", "--key", str(key))

    with fog_node(tmp_path, "--engine", engine, "--users", str(users), *tls, workers="light=1") as node:

        async def says(name: str) -> None:
            await eventually(lambda: [name in one for one in trouble_of(node)] == [True])

        async def says_nothing() -> None:
            await eventually(lambda: not trouble_of(node))

        await says_nothing()
        text = users.read_text()
        users.write_text("ann = nobody")
        await says("users.toml cannot be used as it is now")
        # Everybody may read it: it names no user and no folder.
        assert not [one for one in trouble_of(node) if "'ann'" in one or str(tmp_path) in one]
        users.write_text(text)
        await says_nothing()
        users.chmod(0o644)
        await says("users.toml")
        users.chmod(0o600)
        await says_nothing()
        users.rename(tmp_path / "away")
        await says("users.toml")
        (tmp_path / "away").rename(users)
        await says_nothing()
        secret = key.read_text()
        key.write_text("nothing")
        await says("fog-a.key")
        key.write_text(secret)
        await says_nothing()


async def test_a_mosquitto_that_is_not_given_its_users_is_told_of(tmp_path: Path) -> None:
    users = tmp_path / "users.toml"
    ann, ben = (make_user(name, Role.OPERATOR, "secret", mosquitto=True) for name in ("ann", "ben"))
    write_users(users, {"ann": ann, "ben": ben})
    with fog_node(tmp_path, "--engine", "mosquitto", "--users", str(users), workers="light=1") as node:
        folder = tmp_path / "fog-a" / "mosquitto"
        aside = folder.rename(tmp_path / "aside")
        write_users(users, {"ann": ann})
        node.wait_for_log("access_not_written")
        said = trouble_of(node)
        assert [one for one in said if one.startswith("users cannot be written for Mosquitto")], said
        aside.rename(folder)
        assert said_by("fog_node", "reload", "--data", str(tmp_path / "fog-a")).returncode == 0
        await eventually(lambda: not trouble_of(node))
