"""Ideas that would make sense in any other project; nothing here knows the product."""
