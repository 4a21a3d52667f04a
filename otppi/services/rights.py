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
