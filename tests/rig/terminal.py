"""A program on a pseudo-terminal, and a patient person in front of it."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

ROWS, COLUMNS = 60, 132


class Unexpected(AssertionError):
    """The terminal did not show what was waited for."""


class Terminal:
    """Starts `argv` with a new terminal as its controlling one.

    `screen` is all it has shown so far, with plain newlines; `expect` goes on from where the last
    match ended. `show` gets every piece of text as it comes.
    """

    def __init__(self, argv, env=None, show=None):
        self.screen = ""
        self._show = show or (lambda _: None)
        self._seen = 0
        self._open = True
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            list(map(str, argv)), stdin=slave, stdout=slave, stderr=slave, env=env,
            close_fds=True, start_new_session=True, preexec_fn=_take_terminal,
        )
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def expect(self, pattern, timeout=15):
        """Waits for a regular expression (multi-line) and returns the match."""
        compiled = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            match = compiled.search(self.screen, self._seen)
            if match:
                self._seen = match.end()
                return match
            if not self._open:
                raise Unexpected(f"ended before {pattern!r}; the screen:\n{self.screen}")
            if not self._read(deadline):
                raise Unexpected(f"no {pattern!r} in {timeout} s; the screen:\n{self.screen}")

    def shows(self, pattern, timeout=15):
        """Like `expect`, but says whether it came instead of failing."""
        try:
            return self.expect(pattern, timeout)
        except Unexpected:
            return None

    def send(self, text):
        os.write(self._master, text.encode())

    def send_line(self, text=""):
        self.send(text + "\n")

    def wait(self, timeout=30):
        """Reads until the program ends and returns its exit status."""
        deadline = time.monotonic() + timeout
        while self._open:
            if not self._read(deadline):
                raise Unexpected(f"still running after {timeout} s; the screen:\n{self.screen}")
        return self.process.wait(timeout=max(1, deadline - time.monotonic()))

    def rest(self):
        """What came after the last match."""
        return self.screen[self._seen:]

    def kill(self):
        """Ends the program as a closed window or a lost network would: it has no say."""
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.kill()
        if self._master is not None:
            os.close(self._master)
            self._master = None
            self._open = False

    def _read(self, deadline):
        """Adds one read to the screen; false when the deadline came first."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self._master], [], [], left)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            # Linux reports the last close of the other side as EIO.
            data = b""
        if not data:
            self._open = False
        text = self._decoder.decode(data, final=not data).replace("\r", "")
        self.screen += text
        self._show(text)
        return True


def _take_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _signal_group(process, number):
    """nsenter and what it started are one session and, without job control, one group."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass
