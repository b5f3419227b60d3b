"""A task as its author declares it: signature, weight, limits, and how it is done in parts."""
