"""`python -m cloud_node`: the same as `cloud-node`."""

from weighbridge.programs import cloud_node

cloud_node()
