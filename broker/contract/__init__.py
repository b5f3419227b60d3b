"""What all agree on: topics, messages, filters, URLs, and a broker engine as a node sees it."""
