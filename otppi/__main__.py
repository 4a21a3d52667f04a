"""The command `otppi`."""

from otppi.services.cli import main

if __name__ == "__main__":
    main()
