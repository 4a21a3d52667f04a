"""The core: what the product does, free of any library that touches the world."""
