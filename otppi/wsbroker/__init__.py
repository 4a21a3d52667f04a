"""A WebSocket broker: hands what one client sends to all others on its topic, and remembers it for a moment."""
