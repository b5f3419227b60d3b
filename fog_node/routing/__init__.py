"""A job on its way: sent to its place, taken back from it, and heard of again."""
