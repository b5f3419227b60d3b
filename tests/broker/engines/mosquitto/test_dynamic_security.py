"""The access rules as Mosquitto's plugin reads them."""

import json
from typing import Any

from broker.contract.identity import Identity, Role
from broker.engines.mosquitto.dynamic_security import changes, rules_file

DEVICE = Identity("thermo", Role.DEVICE)
OPERATOR = Identity("ann", Role.OPERATOR)


def rules(file: dict[str, Any], name: str) -> set[tuple[str, str]]:
    role = next(one for one in file["roles"] if one["rolename"] == name)
    assert all(one["allow"] for one in role["acls"])
    return {(one["acltype"], one["topic"]) for one in role["acls"]}


def test_each_may_do_what_its_role_may_and_nothing_else() -> None:
    file = json.loads(rules_file([DEVICE, OPERATOR], owner="node/1", anonymous=False))
    assert file["defaultACLAccess"] == {
        "publishClientSend": False,
        "publishClientReceive": False,
        "subscribe": False,
        "unsubscribe": True,
    }
    assert [one["username"] for one in file["clients"]] == ["node/1", "thermo", "ann"]
    device = rules(file, "thermo")
    assert ("publishClientSend", "fog/tasks/+/+/thermo/+") in device
    assert {
        ("publishClientReceive", "fog/results/thermo/#"),
        ("subscribePattern", "fog/results/thermo/#"),
    } < device
    assert ("subscribePattern", "#") in rules(file, "node/1")
    assert "anonymousGroup" not in file


def test_topics_of_a_user_s_own_stand_beside_those_of_its_role() -> None:
    plug = Identity("plug", Role.DEVICE, ("tele/%u/#",), ("home/#",))
    file = json.loads(rules_file([plug], owner="node/1", anonymous=False))
    assert {
        ("publishClientSend", "tele/plug/#"),
        ("publishClientReceive", "home/#"),
        ("subscribePattern", "home/#"),
        ("publishClientSend", "fog/tasks/+/+/plug/+"),
    } < rules(file, "plug")
    assert changes({"plug": plug}, {"plug": Identity("plug", Role.DEVICE)})


def test_clients_without_a_name_are_one_device_where_they_are_let_in() -> None:
    file = json.loads(rules_file([], owner="node/1", anonymous=True))
    assert file["groups"] == [
        {"groupname": file["anonymousGroup"], "roles": [{"rolename": "anonymous", "priority": 0}]}
    ]
    assert ("publishClientSend", "fog/tasks/+/+") in rules(file, "anonymous")


def test_a_running_mosquitto_is_told_who_came_and_went() -> None:
    promoted = Identity("thermo", Role.OPERATOR)
    told = json.loads(changes({"thermo": DEVICE, "ann": OPERATOR}, {"thermo": promoted}))["commands"]
    assert [(one["command"], one.get("username") or one["rolename"]) for one in told] == [
        ("deleteClient", "thermo"),
        ("deleteRole", "thermo"),
        ("deleteClient", "ann"),
        ("deleteRole", "ann"),
        ("createRole", "thermo"),
        ("createClient", "thermo"),
    ]
    assert changes({"ann": OPERATOR}, {"ann": OPERATOR}) == b""
