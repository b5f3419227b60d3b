"""The access rules as Mosquitto's dynamic security plugin has them. No I/O: users in, JSON out.

An ACL file would do but for one thing: with it Mosquitto grants a subscription that is denied, and only
never delivers. The plugin refuses it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from broker.contract.identity import NOBODY, Identity
from broker.security.rules import publish_filters, read_filters

CONTROL = "$CONTROL/dynamic-security/v1"
"""The topic of the commands that change the rules while Mosquitto runs."""

_EVERYTHING = ("#", "$SYS/#", f"{CONTROL}/#")

_Json = dict[str, Any]


def rules_file(users: Iterable[Identity], *, owner: str, anonymous: bool) -> str:
    """The plugin's file. `owner` is the user by which the node itself uses the broker, and may do everything.

    With `anonymous`, clients without a name get the rules that `NOBODY` has; passwords stand elsewhere.
    """
    known = list(users)
    nobody = [NOBODY] if anonymous else []
    file: _Json = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [_client(name) for name in (owner, *(user.name for user in known))],
        "roles": [_role(owner, _EVERYTHING, _EVERYTHING), *(_role_of(user) for user in (*known, *nobody))],
        "groups": [{"groupname": one.name, "roles": _has(one.name)} for one in nobody],
    }
    if anonymous:
        file["anonymousGroup"] = NOBODY.name
    return msgspec.json.encode(file).decode()


def changes(before: Mapping[str, Identity], after: Mapping[str, Identity]) -> bytes:
    """The commands by which a running Mosquitto learns of users who came, went, or have another role.

    Who went or changed is disconnected by it. Empty where there is nothing to say.
    """
    commands: list[_Json] = []
    for name in before:
        if before[name] != after.get(name):
            commands.append({"command": "deleteClient", "username": name})
            commands.append({"command": "deleteRole", "rolename": name})
    for name, user in after.items():
        if user != before.get(name):
            commands.append({"command": "createRole", **_role_of(user)})
            commands.append({"command": "createClient", **_client(name)})
    return msgspec.json.encode({"commands": commands}) if commands else b""


def _client(name: str) -> _Json:
    return {"username": name, "roles": _has(name)}


def _has(name: str) -> list[_Json]:
    return [{"rolename": name, "priority": 0}]


def _role_of(user: Identity) -> _Json:
    return _role(user.name, publish_filters(user), read_filters(user))


def _role(name: str, publish: Iterable[str], read: Iterable[str]) -> _Json:
    rules = [_rule("publishClientSend", one) for one in publish]
    for one in read:
        rules += [_rule("publishClientReceive", one), _rule("subscribePattern", one)]
    return {"rolename": name, "acls": rules}


def _rule(kind: str, topic: str) -> _Json:
    return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}
