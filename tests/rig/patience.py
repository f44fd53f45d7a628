"""Waiting for a condition instead of for a time."""

import time

INTERVAL = 0.02  # seconds between two looks


def wait_until(condition, what, timeout=10):
    """Returns the first true value of `condition()`, or fails after `timeout` seconds.

    `what` is a text, or a function that makes it when it is needed.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"waited {timeout} s in vain for {text}")
        time.sleep(INTERVAL)
