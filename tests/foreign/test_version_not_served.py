"""Clients that we did not write, at a node that serves MQTT 3.1.1 alone."""

from collections.abc import Iterator

import pytest

from tests.foreign.conftest import Node, serving
from tests.foreign.test_clients import CLIENTS, Client, conversation


@pytest.fixture(scope="module")
def old_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with serving(tmp_path_factory.mktemp("node"), "--mqtt-versions", "3") as node:
        yield node


@pytest.mark.parametrize("client", [pytest.param(client, id=name) for name, client in CLIENTS.items()])
async def test_a_client_of_mqtt_5_is_told_so_in_its_own_words(
    old_node: Node, request_id: str, client: Client
) -> None:
    """None of them falls back by itself; gmqtt does so only where it is refused in the words of 3.1.1."""
    asked = conversation(old_node.ports["tcp"], 5, "tcp", request_id)
    # Each has an exception of its own, with the reason in it.
    with pytest.raises(Exception, match=r"(?i)unsupported ?protocol ?version"):
        await client.converse(asked)
