"""Which advertised addresses become neighbours, with real links that find nobody there."""

from collections.abc import AsyncIterator

import pytest

from broker.contract.messages import NodeState
from broker.links.link import Link
from broker.namesakes import Namesakes
from fog_node.mesh.advertised import Advertised
from fog_node.mesh.neighbourhood import MAX_NEIGHBOURS, Neighbourhood
from fog_node.mesh.peer import Peer
from fog_node.placement.board import Board
from tests.support.mosquitto import free_port


class Links:
    """The addresses that are linked, in order; their links never find a broker."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.hood = Neighbourhood(Namesakes("me", 1), Board(), self._make, self._no_peer)

    def _make(self, url: str) -> Link:
        self.made.append(url)
        return Link(url, node="me")

    def _no_peer(self, name: str, link: Link) -> Peer:
        raise AssertionError(f"nobody is at {link.place}, but {name} was heard")


@pytest.fixture
async def links() -> AsyncIterator[Links]:
    links = Links()
    yield links
    await links.hood.stop()


def state(node: str, url: str, *, birth: int = 1, online: bool = True) -> NodeState:
    return NodeState(node=node, online=online, version="", birth=birth, url=url)


def nowhere() -> str:
    return f"mqtt://127.0.0.1:{free_port()}"


async def test_who_advertises_itself_is_linked_once_and_again_where_it_has_moved(links: Links) -> None:
    advertised, first, second = Advertised("me", links.hood), nowhere(), nowhere()
    for now, url in enumerate((first, first, second)):
        advertised.hear(state("b", url), float(now))
    assert links.made == [first, second]


@pytest.mark.parametrize(
    "url", ["", "http://b", "mqtt+unix:///run/b.sock", "mqtt://me:secret@b", "mqtt://", f"mqtt://{'b' * 300}"]
)
async def test_what_is_no_address_of_a_broker_is_not_linked(links: Links, url: str) -> None:
    Advertised("me", links.hood).hear(state("b", url), 0.0)
    assert links.made == []


async def test_a_node_does_not_link_itself(links: Links) -> None:
    Advertised("me", links.hood).hear(state("me", nowhere()), 0.0)
    assert links.made == []


async def test_who_is_gone_is_dropped_and_taken_back_when_it_returns(links: Links) -> None:
    advertised, url = Advertised("me", links.hood), nowhere()
    advertised.hear(state("b", url), 0.0)
    advertised.hear(state("b", "", online=False), 1.0)
    advertised.sweep(2.0)
    advertised.hear(state("b", url), 2.5)
    assert links.made == [url]
    advertised.sweep(60.0)
    advertised.hear(state("b", url), 61.0)
    assert links.made == [url, url]


async def test_links_are_bounded_and_make_room_when_they_are_dropped(links: Links) -> None:
    advertised = Advertised("me", links.hood)
    for number in range(MAX_NEIGHBOURS + 5):
        advertised.hear(state(f"b{number}", nowhere()), 0.0)
    assert len(links.made) == MAX_NEIGHBOURS
    advertised.sweep(60.0)
    advertised.hear(state("late", nowhere()), 61.0)
    assert len(links.made) == MAX_NEIGHBOURS + 1
