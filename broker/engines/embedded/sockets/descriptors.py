"""How many connections the system lets this process have open."""

import sys

RESERVE = 200
"""File descriptors for what is not a connection: files, pipes, Redis, links, workers that start."""


def room_for(connections: int) -> int:
    """Ask the system for room for so many connections; return for how many there is, at least one."""
    if sys.platform == "win32":
        return connections
    import resource  # noqa: PLC0415  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - RESERVE))
