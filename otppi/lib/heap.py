"""Keeping the memory of a long-lived process small."""

import ctypes

# glibc's malloc.h
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 20


def return_large_blocks() -> None:
    """Let the C library give every large block back to the system as soon as it is freed.

    By itself glibc keeps such blocks, one for each thread that ever had one: the 16 MB of a slow password hash
    would stay many times over. Other C libraries have no such switch, and are left as they are.
    """
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    except (OSError, AttributeError):
        return
