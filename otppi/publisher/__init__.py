"""What an application server needs to have messages sent by an OTP-Pi that it may not be able to reach."""
