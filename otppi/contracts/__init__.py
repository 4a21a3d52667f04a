"""What the core needs of the world, one protocol class per thing."""
