"""What one client is owed: its subscriptions, what is on its way, and what waits."""
