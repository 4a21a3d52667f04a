"""Takes over the settings folder of the old product."""
