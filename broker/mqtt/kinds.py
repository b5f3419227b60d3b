"""The numbers of MQTT: packet types and versions, as they stand in the packets."""

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)

SEND_IF_NEW, SEND_NONE = 1, 2
"""Retain handling: what is retained comes with a new subscription only, or never."""

V31, V311, V5 = VERSIONS = 3, 4, 5
"""The protocol levels of MQTT 3.1, 3.1.1 and 5."""

PROTOCOL_NAMES = {V31: "MQIsdp", V311: "MQTT", V5: "MQTT"}

MAX_PACKET = 5 + 0x0FFF_FFFF
"""Bytes of the largest packet that MQTT can carry."""
