"""Jobs, the node's books of them, and how many a device may have."""
