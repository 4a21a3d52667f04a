"""Threads that are to live until somebody asks them to end."""

import threading


def died(thread: threading.Thread, *, was_asked: bool) -> tuple[str, ...]:
    """Return the name of a thread that was started and ended though nobody asked it to; otherwise nothing."""
    is_dead = thread.ident is not None and not thread.is_alive() and not was_asked
    return (thread.name,) if is_dead else ()
