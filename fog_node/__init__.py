"""A fog node: intake, journal, placement, execution or hand-off, reply."""
