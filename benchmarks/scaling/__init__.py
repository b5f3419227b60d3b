"""What stays the same when there is more of something: subscribers, devices, backlog, payload, neighbours."""
