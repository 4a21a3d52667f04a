"""Who may log in to the device by SSH."""
