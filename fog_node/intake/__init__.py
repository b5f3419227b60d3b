"""Submissions: read, checked, accepted."""
