"""Who is measured: the node, and its peers in their strongest form."""
