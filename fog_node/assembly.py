"""Puts the parts of a node together, from its settings and its topology; starts none of them."""

import zlib
from dataclasses import dataclass
from functools import partial

import structlog

from broker.contract.engine import Engine
from broker.contract.topics import CLOUD
from broker.links.link import Link
from broker.links.outbox import Outbox
from broker.storage.group_commit import GroupCommit
from fog_node.announcer import Announcer, Subjects, offline
from fog_node.dispatcher import Bounds, Dispatcher, Parts, Places
from fog_node.execution.executor import Executor, ExecutorSettings
from fog_node.inspection.inspection import Inspection
from fog_node.intake.submissions import Intake
from fog_node.jobs.books import Bookkeeper
from fog_node.jobs.limits import DeviceLimits
from fog_node.journal.journal import Journal
from fog_node.mesh.advertised import Advertised
from fog_node.mesh.gateways import Gateways
from fog_node.mesh.neighbourhood import Neighbourhood
from fog_node.mesh.peer import Peer
from fog_node.placement import load_policy
from fog_node.placement.board import Board
from fog_node.placement.estimates import Estimates
from fog_node.placement.surroundings import Surroundings
from fog_node.replies.replies import Replies
from fog_node.settings import NodeSettings
from fog_node.topology import Topology
from fog_tasks.declaration.registry import Registry

log = structlog.get_logger()

NODES_SHARE = 2
"""One part in so many of the backlog is what a single other node may fill."""


@dataclass(frozen=True, slots=True)
class Files:
    """The files in which a node keeps what must not be lost."""

    journal: Journal
    outboxes: GroupCommit


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """The parts of a node that serves."""

    gateways: Gateways | None
    dispatcher: Dispatcher
    replies: Replies
    announcer: Announcer
    engine: Engine
    journal: Journal
    estimates: Estimates
    inspection: Inspection


class Assembly:
    """Makes the parts, and tells each which others it works with; `files` are open."""

    def __init__(self, settings: NodeSettings, topology: Topology, files: Files, *, birth: int) -> None:
        self._settings = settings
        self._topology = topology
        self._files = files
        self._birth = birth

    def house(self, registry: Registry, engine: Engine, estimates: Estimates, redis_url: str) -> House:
        """All the parts, around an engine that is not started yet."""
        settings = self._settings
        books, replies = Bookkeeper(), Replies(engine)
        link, cloud = self._cloud()
        known = Surroundings(
            node=settings.name,
            estimates=estimates,
            board=Board(),
            has_cloud=cloud is not None,
        )

        def make_peer(name: str, link: Link) -> Peer:
            peer = self._peer(name, link)
            peer.round_trip.on_measured = partial(known.board.measured, name)
            peer.sender.on_transferred = partial(known.board.transferred, name)
            peer.questions.on_answer = partial(known.answered, name)
            dispatcher.attach(peer)
            return peer

        neighbourhood = Neighbourhood(settings.name, known.board, self._link, make_peer)
        advertised = Advertised(settings.name, neighbourhood) if self._topology.discover else None
        executor_settings = ExecutorSettings(node=settings.name, redis_url=redis_url, slots=settings.workers)
        dispatcher = Dispatcher(
            settings.name,
            Parts(
                intake=Intake(registry, max_payload=settings.max_payload),
                journal=self._files.journal,
                replies=replies,
                books=books,
                registry=registry,
            ),
            Places(
                policy=load_policy(self._topology.policy),
                executor=partial(Executor, executor_settings, registry, estimates),
                cloud=cloud,
                known=known,
                neighbourhood=neighbourhood,
            ),
            self._bounds(),
        )
        subjects = Subjects(
            registry=registry,
            executor=dispatcher.executor,
            books=books,
            estimates=estimates,
            birth=self._birth,
            is_cloud=self._topology.address == CLOUD,
            url=self._topology.advertise,
        )
        announcer = Announcer(settings.name, subjects, engine=engine, cloud=link)
        return House(
            gateways=None
            if link is None or cloud is None
            else Gateways(link, cloud, known, advertised=advertised),
            dispatcher=dispatcher,
            replies=replies,
            announcer=announcer,
            engine=engine,
            journal=self._files.journal,
            estimates=estimates,
            inspection=Inspection(dispatcher.placer, known=known, neighbourhood=neighbourhood, cloud=cloud),
        )

    def _bounds(self) -> Bounds:
        settings = self._settings
        return Bounds(
            backlog=settings.max_backlog,
            of_a_device=DeviceLimits(
                rate=settings.max_rate,
                burst=settings.max_burst,
                open=settings.max_open_per_device,
                open_of_a_node=max(1, settings.max_backlog // NODES_SHARE),
            ),
        )

    def _cloud(self) -> tuple[Link | None, Peer | None]:
        node, url = self._settings.name, self._topology.cloud
        if url is None:
            return None, None
        link = Link(url, node=node, will=offline(node, self._birth), tls=self._settings.tls_files())
        return link, self._peer(CLOUD, link)

    def _peer(self, name: str, link: Link) -> Peer:
        return Peer(
            name,
            link,
            self._outbox(name),
            node=self._settings.name,
            journal_life=self._files.journal.life,
            lease=self._topology.lease,
        )

    def _link(self, url: str) -> Link:
        """A link to a neighbour; without a will, which its broker would tell as if it were its own."""
        # Two URLs may lead to one broker: a name of its own for each, or one link would end the other.
        client = f"{self._settings.name}-{zlib.crc32(url.encode()):08x}"
        return Link(url, node=client, tls=self._settings.tls_files())

    def _outbox(self, link: str) -> Outbox:
        outbox = Outbox(self._files.outboxes, link)
        left = outbox.load()
        if left:
            log.info("outbox_recovered", link=link, messages=left)
        return outbox
