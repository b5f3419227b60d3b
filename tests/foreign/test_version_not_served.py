"""Clients that we did not write, at nodes that serve MQTT 3.1.1 alone."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.foreign.clients import gmqtt
from tests.foreign.conftest import Node, serving
from tests.foreign.test_clients import CLIENTS, Client, conversation
from tests.support.version_door import VersionDoor

UNACCEPTABLE = b"\x20\x02\x00\x01"


@pytest.fixture(scope="module")
def old_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with serving(tmp_path_factory.mktemp("node"), "--mqtt-versions", "3") as node:
        yield node


@pytest.mark.parametrize("client", [pytest.param(client, id=name) for name, client in CLIENTS.items()])
async def test_a_client_of_mqtt_5_is_told_so_in_its_own_words(
    old_node: Node, request_id: str, client: Client
) -> None:
    asked = conversation(old_node.ports["tcp"], 5, "tcp", request_id)
    # Each has an exception of its own, with the reason in it.
    with pytest.raises(Exception, match=r"(?i)unsupported ?protocol ?version"):
        await client.converse(asked)


async def test_gmqtt_falls_back_where_it_is_refused_in_the_words_of_mqtt_3(
    old_node: Node, request_id: str
) -> None:
    """As older brokers do it. The refusal of MQTT 5 is final to gmqtt."""
    async with VersionDoor(old_node.ports["tcp"], UNACCEPTABLE) as door:
        port = urlsplit(door.url).port
        assert port is not None
        heard = await gmqtt.fall_back(conversation(port, 3, "tcp", request_id))
    assert door.spoken == [5, 4]
    assert sorted(json.loads(one.payload)["ok"] for one in heard.answers) == [False, True]
