import threading

from otppi.lib.threads import died


def test_only_a_thread_that_ended_unasked_has_died():
    may_end = threading.Event()
    thread = threading.Thread(target=may_end.wait, name="worker")
    assert died(thread, was_asked=False) == ()
    thread.start()
    assert died(thread, was_asked=False) == ()
    may_end.set()
    thread.join(10)
    assert died(thread, was_asked=True) == ()
    assert died(thread, was_asked=False) == ("worker",)
