"""The versions of MQTT that a client of a broker may be told to speak."""

from typing import Literal

MqttVersion = Literal[3, 5]
"""5, or 3 for 3.1.1."""

NAMES: dict[MqttVersion, str] = {3: "3.1.1", 5: "5"}
"""How people call them."""
