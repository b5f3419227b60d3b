"""Nodes and worker machines whose Redis speaks TLS alone, with certificates of our own authority."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from broker.contract.identity import Role
from broker.security.authority import make_authority, make_certificate
from broker.security.certificates import TlsFiles
from fog_tasks.redis_url import redis_url
from tests.support.mosquitto import free_port
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import REPOSITORY, Program, cloud_node
from tests.support.redis import secured_redis

TIMEOUT = 30.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_authority(folder)
    make_certificate(folder, "redis", Role.NODE, hosts=["127.0.0.1"])
    make_certificate(folder, "elsewhere", Role.NODE, hosts=["192.0.2.1"])
    make_certificate(folder, "cloud", Role.NODE)
    make_authority(folder / "other", name="Another CA")
    return folder


@pytest.fixture(scope="module")
def url(made: Path) -> Iterator[str]:
    with secured_redis(made) as one:
        yield one


def refused(*command: str) -> str:
    """The one sentence with which a program ends."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(sentences) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return sentences[0]


def test_a_cloud_node_and_a_worker_machine_share_a_redis_that_asks_for_certificates(
    tmp_path: Path, made: Path
) -> None:
    """The machine runs what the node runs no workers for."""
    tls = ("--ca", f"{made}/ca.crt", "--cert", f"{made}/cloud.crt", "--key", f"{made}/cloud.key")
    data = ("--data", str(tmp_path / "stranger"))
    with secured_redis(made, asks=True) as url:
        stranger = refused("cloud_node", "--listen", "127.0.0.1:0", "--redis", url, *tls[:2], *data)
        assert "if it asks for a certificate, give one with --cert FILE" in stranger
        with cloud_node(tmp_path, "--redis", url, *tls) as cloud:
            assert value(request(cloud.port, "fog/tasks/heavy/sum/me/1", "[1,2,3]")) == 6
            cloud.terminate()
        command = ("cloud_node", "worker", "--redis", url, *tls, "--workers", "heavy=1")
        machine = Program(command, tmp_path)
        with cloud_node(tmp_path, "--redis", url, *tls) as cloud:
            machine.wait_for_log("workers_started")
            assert value(request(cloud.port, "fog/tasks/heavy/sum/me/2", "[4]")) == 4
            for one in (cloud, machine):
                assert "Traceback" not in one.stderr
                assert "insecure" not in one.stderr
            machine.close()


def test_a_certificate_that_is_not_to_be_trusted_ends_a_start_with_one_sentence(
    tmp_path: Path, made: Path, url: str
) -> None:
    node = ("fog_node", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "a"), "--redis")
    machine = ("cloud_node", "worker", "--redis")
    for command in (node, machine):
        for ca in ((), ("--ca", f"{made}/other/ca.crt")):
            sentence = refused(*command, url, *ca)
            assert f"Redis at {url}: its certificate is not to be trusted (self-signed" in sentence
            assert "--ca FILE" in sentence
        with secured_redis(made, "elsewhere") as other:
            sentence = refused(*command, other, "--ca", f"{made}/ca.crt")
            assert "certificate is not valid for '127.0.0.1'" in sentence


def test_a_worker_never_talks_to_a_redis_that_nobody_checked(tmp_path: Path, made: Path) -> None:
    """Nor when it comes later: the machine was started while Redis was away, and who comes is a stranger."""
    port = free_port()
    url = f"rediss://127.0.0.1:{port}/1"
    machine = Program(("cloud_node", "worker", "--redis", url, "--workers", "light=1"), tmp_path)
    try:
        machine.wait_for_log("redis_unreachable")
        with (
            secured_redis(made, port=port),
            redis.Redis.from_url(redis_url(url, TlsFiles(ca=made / "ca.crt"))) as server,
        ):
            machine.wait_for_log("CERTIFICATE_VERIFY_FAILED")
            clients = server.client_list()
            assert len(clients) == 1, clients
        assert "Traceback" not in machine.stderr
    finally:
        machine.close()
