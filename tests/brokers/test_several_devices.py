"""Gateways that share the work of one topic."""

import time
from collections import Counter

from otppi.publisher.publisher import Publisher


def test_they_divide_the_work_and_when_one_dies_the_other_finishes_it(make_service, target):
    count, modems = 80, 2
    devices = [make_service(modems=modems, submit_s=0.05, starts=False) for _ in range(2)]
    for number, device in enumerate(devices):
        named = {target.name_setting: f"device{number}"} if target.name_setting else {}
        device.set(target.section, {**target.settings, **named, "enabled": True, "port": target.port})
        device.start()
        device.wait_for_broker(target.section.key)
    publisher = Publisher(target.transport)
    for number in range(count):
        publisher.send_sms(f"0812000{number:05d}", f"message {number}", id=f"{number}", lifetime_s=300)
    first, second = devices
    _wait_until(lambda: len(first.texts()) >= 5 and len(second.texts()) >= 5)
    first.kill()
    if target.gives_to_others:
        target.let_time_pass()
    else:
        first.start()
    _wait_until(lambda: len({*first.texts(), *second.texts()}) == count)
    arrived = Counter([*first.texts(), *second.texts()])
    assert arrived.total() - count <= modems  # what the modems of the first had in hand


def _wait_until(is_true, timeout_s=100.0):
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.01)
