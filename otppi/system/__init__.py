"""The hands on the operating system: each part knows one facility of the host."""
