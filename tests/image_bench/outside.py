"""Carries a connection of the guest to a server of this machine, whose port a file has; QEMU starts one for each."""

import select
import socket
import sys
from pathlib import Path

_PIECE = 65_536


def main(port_file: str) -> None:
    """Carry bytes both ways until one side ends; QEMU's side is the standard input."""
    address = ("127.0.0.1", int(Path(port_file).read_text()))
    with socket.create_connection(address) as server, socket.socket(fileno=sys.stdin.fileno()) as guest:
        to = {guest: server, server: guest}
        while True:
            for source in select.select(list(to), [], [])[0]:
                if not (piece := source.recv(_PIECE)):
                    return
                to[source].sendall(piece)


if __name__ == "__main__":
    main(sys.argv[1])
