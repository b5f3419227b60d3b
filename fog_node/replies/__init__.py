"""What devices are told: progress and outcomes."""
