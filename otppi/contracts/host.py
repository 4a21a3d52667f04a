"""The host, as those see it who compose the device; every call may wait, none is made while a message is sent."""

from typing import Protocol

from otppi.model.network import NetworkPlan, NetworkState


class Network(Protocol):
    """Makes the network as planned, and says what it is."""

    def state(self) -> NetworkState:
        """Return what really is.

        Raises:
            HostError: It cannot be asked.
        """
        ...

    def apply(self, plan: NetworkPlan) -> None:
        """Make the profiles as planned and activate those that changed; waits until they are up.

        Raises:
            HostError: Something was refused or did not come up.
        """
        ...

    def begin_trial(self, rollback_s: int) -> str:
        """Remember the present network; it comes back by itself after so many seconds, even if we are dead.

        Returns:
            The name of the trial.

        Raises:
            HostError: It cannot be remembered; then nothing should be changed.
        """
        ...

    def keep(self, trial: str) -> None:
        """End a trial; what was changed stays.

        Raises:
            HostError: The trial is over already.
        """
        ...

    def take_back(self, trial: str) -> None:
        """End a trial; the network is again what it was.

        Raises:
            HostError: The trial is over already.
        """
        ...


class Units(Protocol):
    """Starts and stops the few units that do for the gateway what it may not do itself."""

    def start(self, unit: str) -> None:
        """Start a unit and wait until it runs; one that does a single thing, until it has done it.

        Raises:
            HostError: It failed, or is not allowed.
        """
        ...

    def restart(self, unit: str) -> None:
        """Start it anew; see `start`."""
        ...

    def stop(self, unit: str) -> None:
        """Stop a unit; see `start`."""
        ...

    def state(self, unit: str) -> str:
        """Return active, inactive, failed, ... or absent.

        Raises:
            HostError: It cannot be asked.
        """
        ...


class Power(Protocol):
    """Switches the board."""

    def reboot(self) -> None:
        """Restart the board; returns when that is under way.

        Raises:
            HostError: It was refused.
        """
        ...

    def power_off(self) -> None:
        """Switch the board off; see `reboot`."""
        ...


class Speaker(Protocol):
    """Sounds one tone."""

    def tone(self, frequency_hz: float, duration_s: float) -> None:
        """Sound a tone and return when it is over; 0 Hz is silence.

        Raises:
            HostError: There is no buzzer.
        """
        ...
