"""SQLite with many writes in one commit."""
