"""Real message brokers for tests and benchmarks, each with a folder and ports of its own."""
