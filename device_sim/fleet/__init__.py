"""Many simulated devices: their workload, settings and report."""
