"""The rules that choose a place, as pure functions on plain data."""
