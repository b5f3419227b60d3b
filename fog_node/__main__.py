"""`python -m fog_node`: the same as `fog-node`."""

from weighbridge.programs import fog_node

fog_node()
