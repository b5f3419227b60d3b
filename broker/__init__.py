"""The message bus: topics, messages, broker engines and links to other brokers."""
