"""`python -m broker`: the same as `fog-broker`."""

from weighbridge.programs import fog_broker

fog_broker()
