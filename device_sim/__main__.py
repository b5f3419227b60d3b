"""`python -m device_sim`: the same as `device-sim`."""

from weighbridge.programs import device_sim

device_sim()
