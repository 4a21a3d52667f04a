"""A WebSocket broker: forwards what one client sends to all others of its topic, and keeps nothing."""
