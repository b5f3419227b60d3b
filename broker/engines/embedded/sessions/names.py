"""What sessions are called: by the client's identifier and, where there are users, by the user."""


def session_name(client_id: str, user: str | None) -> str:
    """The name under which a client's session is known.

    Each user has client identifiers of its own, so that nobody takes over another's session and what
    waits in it. U+0000 can be in no client identifier.
    """
    return client_id if user is None else f"{client_id}\0{user}"


def user_of(name: str) -> str:
    """The user whose session has this name; empty where clients have no users."""
    return name.partition("\0")[2]


def client_of(name: str) -> str:
    """The identifier of the client whose session has this name."""
    return name.partition("\0")[0]
