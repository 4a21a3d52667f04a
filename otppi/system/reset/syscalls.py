"""The few calls to the kernel that Python has no words for.

mount(2) itself rather than /bin/mount: that program guesses types, starts others by the name of the type, reads
/etc/fstab and keeps notes of its own, and a hostile stick would have all of it to play with.
"""

import ctypes
import fcntl
import os
import struct

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_NOSYMFOLLOW = 1, 2, 4, 8, 256
_MS_REC, _MS_PRIVATE = 16384, 1 << 18
_CLONE_NEWNS = 0x00020000
_BLKROSET = 0x125D
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 1 << 2
# noload: no replay of the journal. errors=continue: a stick may ask in its superblock for a kernel panic instead.
# mixed: names of the old short kind keep the capitals that the stick says they have.
_OPTIONS = {"ext4": "noload,errors=continue", "vfat": "shortname=mixed", "exfat": ""}

_libc = ctypes.CDLL(None, use_errno=True)


def forbid_writing(fd: int) -> None:
    """Make a block device read-only for everybody until it is unplugged.

    A read-only mount is not enough: ext4 notes errors in the superblock of those, too.
    """
    fcntl.ioctl(fd, _BLKROSET, struct.pack("i", 1))


def leave_mount_namespace() -> None:
    """Give this process mounts of its own, which end with it, however it ends."""
    _check(_libc.unshare(_CLONE_NEWNS))
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None))


def mount_read_only(device: str, folder: str, kind: str) -> None:
    """Mount a device where nothing on it can run, be a device, have a set-id bit or lead elsewhere.

    Kernels before 5.10 know no `nosymfollow` and ignore it.
    """
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOSYMFOLLOW
    names = (os.fsencode(device), os.fsencode(folder), kind.encode())
    _check(_libc.mount(*names, ctypes.c_ulong(flags), _OPTIONS[kind].encode()))


def die_with_parent() -> None:
    """End this process when the thread ends that started it, and let it gain no rights."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def drop_rights() -> None:
    """Give up every capability but that to read files of any owner."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    present = ctypes.create_string_buffer(24)
    _check(_libc.capget(header, present))
    permitted = struct.unpack_from("<I", present.raw, 4)[0] & _CAP_DAC_READ_SEARCH
    _check(_libc.capset(header, struct.pack("<6I", permitted, permitted, 0, 0, 0, 0)))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
