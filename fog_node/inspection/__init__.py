"""Answers questions about a running node, over a socket in its data folder."""
