"""How clients reach the broker: TCP, TLS and WebSockets."""
