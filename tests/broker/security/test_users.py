"""The users file, and the commands that write it."""

import asyncio
import base64
import hashlib
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.cli import app
from broker.contract.identity import Role
from broker.errors import SettingsError
from broker.security.password_checks import PER_ADDRESS, PasswordChecks
from broker.security.users import User, is_password, make_user, read_users, write_users


def test_users_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    ann = make_user("ann", Role.OPERATOR, "secret", publish=["home/%u/#", "x"], read=["y/+"])
    write_users(path, {"ann": ann})
    assert read_users(path) == {"ann": ann}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert "secret" not in path.read_text()
    assert is_password(ann.password_hash, b"secret")
    assert not is_password(ann.password_hash, b"Secret")
    assert not is_password("no hash at all", b"secret")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_and_passwords_may_have_been_written_on_windows(tmp_path: Path, encoding: str) -> None:
    """With a byte order mark, and lines that end with CRLF."""
    path, secret = tmp_path / "users.toml", tmp_path / "secret"
    write_users(path, {"ann": make_user("ann", Role.OPERATOR, "one")})
    path.write_bytes(path.read_text().replace("\n", "\r\n").encode(encoding))
    secret.write_bytes("zwölf\r\nmore\r\n".encode(encoding))
    add = ["user", "add", "ben", "--users", str(path)]
    for given, piped in ((["--password-file", str(secret)], b""), ([], "\ufeffzwölf\r\n".encode())):
        done = CliRunner().invoke(app, [*add, *given], input=piped)
        assert done.exit_code == 0, done.output
        assert is_password(read_users(path)["ben"].password_hash, "zwölf".encode())
    assert read_users(path).keys() == {"ann", "ben"}


def test_a_password_that_is_no_text_is_refused(tmp_path: Path) -> None:
    add = ["user", "add", "ben", "--users", str(tmp_path / "users.toml")]
    done = CliRunner().invoke(app, add, input=b"zw\xf6lf\r\n")
    assert (
        "the password cannot be read: byte 2 is not UTF-8" in str(done.exception or done.output) + done.output
    )
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("[ann]\nrole='operator'\npassword='x'\n", 0o640, "open to others"),
        ("[ann]\nrole='king'\npassword='x'\n", 0o600, "needs a role"),
        ("ann = 1\n", 0o600, "needs a role"),
        ("[", 0o600, "cannot be read"),
        ("[ann]\nrole=operator\n", 0o600, r"\(at line 2, column 6\); a text stands in quotes"),
        ("[ann]\nrole='operator'\npassword='x'\nmosquitto='a:b'\n", 0o600, "needs a role"),
        ("['a/b']\nrole='device'\npassword='x'\n", 0o600, "contains"),
        ("[ann]\nrole='device'\npassword='x'\npublish='x'\n", 0o600, "'ann': publish is a list of topic"),
        ("[ann]\nrole='device'\npassword='x'\nread=['x', '#']\n", 0o600, "'ann': read '#' begins with"),
        ("[ann]\nrole='device'\npassword='x'\nwrite=['x']\n", 0o600, "and nothing else"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, text: str, mode: int, said: str
) -> None:
    path = tmp_path / "users.toml"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(SettingsError, match=said):
        read_users(path)


def test_users_are_added_listed_and_removed(tmp_path: Path) -> None:
    path, secret = str(tmp_path / "users.toml"), tmp_path / "secret"
    secret.write_text("two\nmore\n")
    run = CliRunner().invoke
    assert run(app, ["user", "add", "thermo", "--users", path], input="one\n").exit_code == 0
    added = run(
        app, ["user", "add", "ann", "--role", "operator", "--users", path, "--password-file", str(secret)]
    )
    assert added.exit_code == 0
    assert run(app, ["user", "list", "--users", path]).output == "ann\toperator\nthermo\tdevice\n"
    users = read_users(Path(path))
    assert is_password(users["thermo"].password_hash, b"one")
    assert is_password(users["ann"].password_hash, b"two")
    assert run(app, ["user", "remove", "ann", "--users", path]).exit_code == 0
    again = run(app, ["user", "remove", "ann", "--users", path])
    assert again.exit_code == 1
    assert "there is no user 'ann'" in again.output


def test_a_password_for_mosquitto_too_is_kept_when_asked_for(tmp_path: Path) -> None:
    """Not by itself: the hash that Mosquitto knows is easier to guess from."""
    path = tmp_path / "users.toml"
    run = CliRunner().invoke
    for name, more in (("lamp", []), ("thermo", ["--mosquitto"])):
        assert run(app, ["user", "add", name, *more, "--users", str(path)], input="one\n").exit_code == 0
    users = read_users(path)
    assert users["lamp"].mosquitto_hash is None
    _, kind, iterations, salt, key = str(users["thermo"].mosquitto_hash).split("$")
    hashed = hashlib.pbkdf2_hmac("sha512", b"one", base64.b64decode(salt), int(iterations))
    assert (kind, base64.b64decode(key)) == ("7", hashed)
    assert is_password(users["thermo"].password_hash, b"one")


def test_topics_of_a_user_s_own_stay_until_others_are_named(tmp_path: Path) -> None:
    """A new password takes nothing away."""
    path = str(tmp_path / "users.toml")

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["user", *arguments, "--users", path], input="one\n")
        return done.output

    run("add", "plug", "--publish", "tele/%u/#", "--publish", "stat/%u/#", "--read", "home/#")
    listed = "plug\tdevice\tpublishes tele/%u/# stat/%u/#\treads home/#\n"
    assert run("list") == listed
    assert "publishes tele/%u/# stat/%u/#" in run("add", "plug")
    assert run("list") == listed
    run("add", "plug", "--publish", "x", "--read", "")
    assert run("list") == "plug\tdevice\tpublishes x\n"
    assert "user 'plug': publish '#' begins with a wildcard" in run("add", "plug", "--publish", "#")
    assert run("list") == "plug\tdevice\tpublishes x\n"


def test_an_empty_password_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    result = CliRunner().invoke(app, ["user", "add", "thermo", "--users", str(path)], input="\n")
    assert result.exit_code == 1
    assert not path.exists()


async def test_a_flood_from_one_address_lets_another_address_in_next() -> None:
    """Addresses take turns, and what one may have waiting is bounded."""
    gate, order = threading.Event(), list[bytes]()

    def verify(_hash: str, password: bytes) -> bool:
        gate.wait(10)
        order.append(password)
        return password == b"right"

    user = User("thermo", Role.DEVICE, "hash")
    checks = PasswordChecks(verify)
    try:
        flood = [checks.check(user, b"wrong", "bad") for _ in range(500)]
        good = checks.check(user, b"right", "good")
        assert isinstance(good, asyncio.Future)
        assert sum(one is False for one in flood) == 500 - PER_ADDRESS - 2
        gate.set()
        assert await asyncio.wait_for(good, 5)
        assert order.index(b"right") <= 4
        assert checks.check(user, b"right", "bad") is True
    finally:
        gate.set()
        checks.close()
