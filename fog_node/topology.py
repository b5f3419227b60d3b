"""What a node is to the others: a fog node or a cloud node, and whom it knows from the start."""

from dataclasses import dataclass

from fog_node.mesh.peer import LEASE


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """What makes a fog node or a cloud node of a node.

    `address` is the node's name in the mesh topics; `cloud` is the URL of the cloud's broker,
    `neighbours` those of the neighbours', `discover` tells to look for more of them, by mDNS and at the
    cloud's broker, and `advertise` is the address that others find there; `lease` is Peer's.
    """

    address: str
    policy: str = "weight"
    cloud: str | None = None
    neighbours: tuple[str, ...] = ()
    discover: bool = False
    lease: float = LEASE
    advertise: str = ""
