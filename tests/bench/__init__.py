"""`python -m tests.bench`: how fast and how frugal the gateway is, measured from outside."""
