"""What a node starts and keeps beside itself: Redis, workers, its data folder."""
