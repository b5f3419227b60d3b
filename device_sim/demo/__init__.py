"""`device-sim demo`: a cloud, two fog nodes and a fleet, in one command."""
