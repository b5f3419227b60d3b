"""Who gets a message: subscriptions, shared groups and retained messages."""
