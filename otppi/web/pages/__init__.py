"""The pages, a file for each group; each lists its routes."""
