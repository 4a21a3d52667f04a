"""Calls to services of the system bus, by dbus-next.

Each call has a connection of its own: calls are rare, and nothing has to be healed when the bus was restarted.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from dbus_next.aio.message_bus import MessageBus
from dbus_next.constants import BusType, MessageType
from dbus_next.errors import AuthError, DBusError, InvalidAddressError
from dbus_next.message import Message
from dbus_next.signature import Variant

from otppi.model.errors import HostRefused, HostUnreachable

_PROPERTIES = "org.freedesktop.DBus.Properties"
# What the bus itself says when nobody is there to answer.
_NOBODY = frozenset(
    f"org.freedesktop.DBus.Error.{name}"
    for name in (
        "ServiceUnknown",
        "NameHasNoOwner",
        "NoReply",
        "Disconnected",
        "Spawn.ChildExited",
        "TimedOut",
    )
)


def call(
    destination: str,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: Sequence[Any] = (),
    *,
    timeout_s: float = 10.0,
) -> list[Any]:
    """Call a method and return what it answers, with variants unwrapped; waits, at most so long.

    Raises:
        HostUnreachable: There is no bus, nobody has the name, or the answer did not come.
        HostRefused: The service said no.
    """
    message = Message(
        destination=destination,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
    )
    try:
        return asyncio.run(asyncio.wait_for(_exchange(message), timeout_s))
    except TimeoutError as error:
        raise HostUnreachable(f"{destination} did not answer in {timeout_s:g} s") from error
    except (OSError, EOFError, DBusError, AuthError, InvalidAddressError) as error:
        raise HostUnreachable(f"the system bus cannot be reached: {error}") from error


def get_property(destination: str, path: str, interface: str, name: str) -> Any:  # noqa: ANN401 - of any type
    """Return one property; see `call`."""
    return call(destination, path, _PROPERTIES, "Get", "ss", (interface, name))[0]


def get_properties(destination: str, path: str, interface: str) -> dict[str, Any]:
    """Return all properties of an interface; see `call`."""
    return dict(call(destination, path, _PROPERTIES, "GetAll", "s", (interface,))[0])


class _Connection(MessageBus):
    """A connection that gives its socket back at once; the library leaves that to the garbage collector."""

    def __init__(self) -> None:
        try:
            super().__init__(bus_type=BusType.SYSTEM)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for name in ("_stream", "_sock"):
            if (one := getattr(self, name, None)) is not None:
                one.close()


async def _exchange(message: Message) -> list[Any]:
    bus = _Connection()
    try:
        await bus.connect()
        reply = await bus.call(message)
        bus.disconnect()  # type: ignore[no-untyped-call]
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    finally:
        bus.close()
    if reply is None:
        return []
    if reply.message_type is MessageType.ERROR:
        text = str(reply.body[0]) if reply.body else ""
        if reply.error_name in _NOBODY:
            raise HostUnreachable(f"{message.destination} does not answer: {text or reply.error_name}")
        raise HostRefused(reply.error_name.rsplit(".", 1)[-1], text)
    return [_plain(value) for value in reply.body]


def _plain(value: Any) -> Any:  # noqa: ANN401 - of any type
    if isinstance(value, Variant):
        return _plain(value.value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value
