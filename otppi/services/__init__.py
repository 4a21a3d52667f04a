"""Composition roots: the only place that builds real or simulated parts."""
