"""Other nodes: neighbours and gateways, what is asked of them and handed over to them."""
