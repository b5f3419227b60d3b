"""What must outlive the node: accepted jobs, outcomes, dead letters."""
