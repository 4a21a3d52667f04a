"""The network of the device through NetworkManager."""
