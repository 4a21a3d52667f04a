"""The child process of `nm_rig.DriverProcess`: takes calls from standard input, answers on standard output."""

import os
import pickle
import sys

from otppi.model.errors import HostError, HostRefused
from otppi.system.network.networkmanager import NetworkManagerNetwork


def main() -> None:
    # Whatever prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    network = NetworkManagerNetwork(**pickle.load(sys.stdin.buffer))  # noqa: S301 - from our own child or parent
    while True:
        try:
            method, args = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own child or parent
        except EOFError:
            return
        pickle.dump(_outcome(network, method, args), answers)
        answers.flush()


def _outcome(network: NetworkManagerNetwork, method: str, args: tuple) -> tuple[bool, object]:
    try:
        return True, getattr(network, method)(*args)
    except HostRefused as error:
        return False, (HostRefused, (error.name, str(error).removesuffix(f" ({error.name})")))
    except HostError as error:
        return False, (type(error), (str(error),))


if __name__ == "__main__":
    main()
