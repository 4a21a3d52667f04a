"""Root that acts as somebody else for a while."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def rights_of_owner(folder: Path) -> Iterator[None]:
    """Act as the owner of a folder, with all its groups, for the duration of a block; only root can.

    Of this process there may be one thread only.

    Raises:
        OSError: The folder is not there, or the rights cannot be changed.
    """
    owner = folder.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups, before = [owner.st_gid], os.getgroups()
    own_group = os.getegid()
    with suppress(KeyError):
        groups = os.getgrouplist(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    os.setgroups(groups)
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(own_group)
        os.setgroups(before)


@contextmanager
def own_rights() -> Iterator[None]:
    """Act as whom this process was started by again, for a block within `rights_of_owner`.

    Of this process there may be one thread only.

    Raises:
        OSError: The rights cannot be changed.
    """
    if os.geteuid() == os.getuid():
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    os.seteuid(os.getuid())
    os.setegid(os.getgid())
    os.setgroups([])
    try:
        yield
    finally:
        os.setgroups(groups)
        os.setegid(gid)
        os.seteuid(uid)
