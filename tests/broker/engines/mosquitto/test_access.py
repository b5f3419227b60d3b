"""Mosquitto's files of passwords and rules, and who a message is from."""

import stat
from pathlib import Path

import pytest

from broker.contract.identity import Role
from broker.contract.message import Message
from broker.engines.mosquitto import MosquittoAccess
from broker.errors import SettingsError
from broker.security.users import make_user, write_users

ROLES = {"thermo": Role.DEVICE, "fog-b": Role.NODE, "ann": Role.OPERATOR}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.toml"
    write_users(path, {name: make_user(name, role, "secret", mosquitto=True) for name, role in ROLES.items()})
    return path


def opened(path: Path, *, certificates: bool = False) -> MosquittoAccess:
    return MosquittoAccess(path, allow_anonymous=False, certificates=certificates)


def test_both_files_name_all_users_and_the_node_and_are_closed_to_others(users: Path, tmp_path: Path) -> None:
    access = opened(users)
    passwords, rules = tmp_path / "passwords", tmp_path / "rules.json"
    access.write(passwords, rules)
    names = [line.partition(":")[0] for line in passwords.read_text().splitlines()]
    assert names == [access.owner, *sorted(ROLES)]
    assert all(f'"username":"{name}"' in rules.read_text() for name in names)
    assert access.password not in passwords.read_text()
    for file in (passwords, rules):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("topic", "user", "role"),
    [
        ("fog/tasks/light/sum/thermo/1", "thermo", Role.DEVICE),
        ("fog/tasks/light/sum/ann/1", "ann", Role.OPERATOR),
        # Only an operator may publish there.
        ("fog/tasks/light/sum/fog-b/1", "fog-b", Role.OPERATOR),
        ("fog/tasks/light/sum/stranger/1", None, Role.DEVICE),
        ("fog/tasks/light/sum", None, Role.DEVICE),
        ("fog/mesh/fog-a/results/1", None, None),
    ],
)
def test_a_topic_tells_who_has_published(
    users: Path, topic: str, user: str | None, role: Role | None
) -> None:
    message = opened(users).identified(Message(topic=topic, payload=b""))
    assert (message.user, message.role) == (user, role)


@pytest.mark.parametrize(
    ("topic", "user", "role"),
    [
        ("tele/plug/SENSOR", "plug", Role.DEVICE),
        ("shared/x", None, Role.DEVICE),
        ("both/x", None, Role.OPERATOR),
        ("home/x", "ann", Role.OPERATOR),
        ("nobodys", None, Role.DEVICE),
    ],
)
def test_a_topic_of_users_own_tells_what_all_have_that_may_publish_there(
    users: Path, topic: str, user: str | None, role: Role
) -> None:
    own = {
        "plug": (Role.DEVICE, ["tele/%u/#", "shared/+"]),
        "ann": (Role.OPERATOR, ["home/#", "both/+", "shared/#"]),
        "ben": (Role.OPERATOR, ["both/+"]),
    }
    write_users(
        users,
        {
            name: make_user(name, role, "secret", mosquitto=True, publish=topics)
            for name, (role, topics) in own.items()
        },
    )
    message = opened(users).identified(Message(topic=topic, payload=b""))
    assert (message.user, message.role) == (user, role)


def test_a_user_without_a_hash_for_mosquitto_needs_a_certificate(users: Path) -> None:
    write_users(users, {"old": make_user("old", Role.NODE, "secret")})
    with pytest.raises(SettingsError, match="user add old --role node --mosquitto"):
        opened(users)
    opened(users, certificates=True)


def test_changes_are_seen_once_and_a_broken_file_changes_nothing(users: Path, tmp_path: Path) -> None:
    access = opened(users)
    assert access.refresh() is None
    good = users.read_text()
    users.write_text("[")
    assert access.refresh() is None
    access.write(tmp_path / "passwords", tmp_path / "rules.json")
    assert "thermo" in (tmp_path / "passwords").read_text()
    users.write_text(good.replace('role = "operator"', 'role = "device"'))
    commands = access.refresh()
    assert commands is not None
    assert b'"ann"' in commands
    assert b'"thermo"' not in commands
    assert access.refresh() is None
    assert access.identified(Message(topic="fog/tasks/light/sum/ann", payload=b"")).role is Role.DEVICE
