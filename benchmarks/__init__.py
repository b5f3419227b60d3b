"""Measurements beside the peers, in the same run, told as ratios."""
