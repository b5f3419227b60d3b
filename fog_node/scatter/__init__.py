"""Tasks done in parts at several nodes."""
