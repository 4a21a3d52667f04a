"""Which block devices are USB sticks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyudev

Predicate = Callable[[Any], bool]


class Volume(NamedTuple):
    """What may hold a file system, and the disk that it is on; they are equal without partitions."""

    device: Path
    disk: Path


def is_on_usb(device: Any) -> bool:  # noqa: ANN401 - pyudev has no types
    """Whether a block device is plugged into USB; the drives that USB modems pretend to be are not meant."""
    if device.sys_name.startswith("sr"):
        return False
    on_usb = device.properties.get("ID_BUS") == "usb" or device.find_parent("usb") is not None
    return bool(on_usb)


def volumes(context: pyudev.Context, is_meant: Predicate = is_on_usb) -> tuple[Volume, ...]:
    """Return all volumes of the sticks that are in, in the order of their names.

    A disk with partitions is none itself: what its first bytes seem to be is a table, or a trick.
    """
    devices = [one for one in context.list_devices(subsystem="block") if one.device_node and is_meant(one)]
    parted = {one.parent.sys_path for one in devices if _is_partition(one)}
    meant = [one for one in devices if one.sys_path not in parted]
    meant.sort(key=lambda one: (len(one.sys_name), one.sys_name))
    return tuple(Volume(Path(one.device_node), Path(_disk(one).device_node)) for one in meant)


def _is_partition(device: Any) -> bool:  # noqa: ANN401 - pyudev has no types
    return bool(device.device_type == "partition")


def _disk(device: Any) -> Any:  # noqa: ANN401 - pyudev has no types
    return device.parent if _is_partition(device) else device
