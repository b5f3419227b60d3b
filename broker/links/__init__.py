"""Ways to brokers elsewhere: a link, the outbox that outlives it, and discovery by mDNS."""
