"""What clients may take of the broker."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that keep one client from taking what belongs to all.

    Attributes:
        connections: At the same time, those that have not said who they are included.
        strangers: Of these, those that have not said who they are. The oldest is ended if there are more, so that
            silent ones keep nobody out.
        per_address: Connections of one address.
        per_user: Connections of one user.
        messages_per_s: Of one user; who sends more is read more slowly, and nothing is lost.
        message_bytes: The longest message. It is what a length of 16 bits can say, as the PHP client reads it.
        handshake_s: For the handshake of TLS, and again for the request until it is answered.
        handshake_bytes: The longest request.
        ping_s: After so much silence a client is asked whether it is there.
        pong_s: So long it may take to answer; anything it says is an answer.
        controls: Pings, pongs and the like of one connection between two looks at it, a second.
        waiting_bytes: What may wait for a client that reads slowly, before it is cut off.
        all_waiting_bytes: The same for all clients together; then the slowest is cut off.
        close_s: For saying goodbye.
        quiet_s: Nothing is sent so soon after the handshake: the PHP client reads the answer and whatever comes
            with it at once, and throws it away.
        memory_s: How long messages are kept for those who come late.
    """

    connections: int = 1000
    strangers: int = 250
    per_address: int = 250
    per_user: int = 500
    messages_per_s: int = 2000
    message_bytes: int = 65_535
    handshake_s: float = 10.0
    handshake_bytes: int = 16 * 1024
    ping_s: float = 25.0
    pong_s: float = 20.0
    controls: int = 100
    waiting_bytes: int = 4 * 1024 * 1024
    all_waiting_bytes: int = 64 * 1024 * 1024
    close_s: float = 2.0
    quiet_s: float = 0.15
    memory_s: float = 5.0
