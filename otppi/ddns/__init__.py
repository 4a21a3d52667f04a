"""Dynamic DNS: keeps names pointing to the public address of the device."""
