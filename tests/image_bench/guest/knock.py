"""Knock at TCP ports of an address, all at once: prints JSON {port: "open" | "closed" | "silent"}."""

import json
import selectors
import socket
import sys
import time

LIMIT_S = 6.0


def main(address: str, ports: list[int]) -> None:
    """Wait at most LIMIT_S for all of them."""
    selector, answers = selectors.DefaultSelector(), dict.fromkeys(ports, "silent")
    knocks: dict[int, socket.socket] = {}
    for port in ports:
        knock = knocks[port] = socket.socket()
        knock.setblocking(False)
        knock.connect_ex((address, port))
        selector.register(knock, selectors.EVENT_WRITE, port)
    until = time.monotonic() + LIMIT_S
    while selector.get_map() and (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            error = knocks[key.data].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            answers[key.data] = "closed" if error else "open"
            selector.unregister(key.fileobj)
    print(json.dumps(answers))


if __name__ == "__main__":
    main(sys.argv[1], [int(word) for word in sys.argv[2:]])
