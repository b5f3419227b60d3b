"""Neighbours found by mDNS on the local network."""

import contextlib

from broker.links.discovery import Discovery, Found
from broker.namesakes import Namesakes
from fog_node.mesh.neighbourhood import Neighbourhood


async def link_to_found(
    discovery: Discovery, neighbourhood: Neighbourhood, namesakes: Namesakes, mark: str
) -> None:
    """Link to whoever is found, until cancelled; one of this node's name with another `mark` is a namesake.

    Raises OSError.
    """
    met: set[str] = set()
    try:
        async with contextlib.aclosing(discovery.changes()) as changes:
            async for change in changes:
                if change.node != namesakes.node:
                    if isinstance(change, Found):
                        neighbourhood.add(change.url)
                elif not isinstance(change, Found):
                    namesakes.gone(change.url)
                    met.discard(change.url)
                elif change.mark != mark:
                    namesakes.met(change.url)
                    met.add(change.url)
    finally:
        for url in met:
            namesakes.gone(url)
