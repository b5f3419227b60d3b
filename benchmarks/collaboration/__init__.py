"""Nodes that share their work: in virtual time here, and measured for real."""
