"""The cloud: a node without neighbours, scaled out over many workers."""
