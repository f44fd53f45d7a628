"""Waiting for a condition instead of for a time."""

import time

INTERVAL = 0.02  # seconds between two looks


def wait_until(condition, what, timeout=10):
    """Returns the first true value of `condition()`, or fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(INTERVAL)
