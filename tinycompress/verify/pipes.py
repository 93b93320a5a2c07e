"""A child process and the two pipes to it, read and written together so that neither side can block the other.

A request larger than the pipe would otherwise wait for a child that waits for us. What the child says on its standard error is
kept, the end of it, for the message when it dies.

Not here: what the lines mean (children). Read next: protocol, children.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Literal


class Trouble(Exception):
    """Why no line will come: the process died, hung, or flooded us."""

    def __init__(self, status: Literal["crash", "timeout", "invalid-answer"], message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class Pipes:
    """The process, what is still to be sent to it, and what came and is not yet read."""

    def __init__(self, command: Sequence[str], longest: int) -> None:
        if os.name != "posix":
            raise OSError("a child process needs POSIX pipes; elsewhere write the vectors to a folder and use --answers")
        # A session of its own: a shell that hangs takes its children with it when it is ended.
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.longest = longest
        self._to, self._from, self._complaints = (
            p.fileno() for p in (self.process.stdin, self.process.stdout, self.process.stderr)
        )
        self._selector = selectors.DefaultSelector()
        for number in (self._to, self._from, self._complaints):
            os.set_blocking(number, False)
        self._selector.register(self._from, selectors.EVENT_READ)
        self._selector.register(self._complaints, selectors.EVENT_READ)
        self._unsent = b""
        self._buffer = bytearray()
        self._searched = 0  # how much of the buffer is known to hold no line end
        self._ended = False
        self._last_words = b""

    def send(self, data: bytes) -> None:
        """Send what the pipe takes now; the rest goes while answers are read."""
        self._unsent += data
        self._flush()
        if self._unsent and self._to not in self._selector.get_map():
            self._selector.register(self._to, selectors.EVENT_WRITE)

    def read_line(self, seconds: float) -> str:
        """Wait for the next line; raise Trouble if it will not come in time or at all."""
        deadline = time.monotonic() + seconds
        while True:
            end = self._buffer.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                self._searched = 0
                return line.decode("utf-8", "replace").rstrip("\r")
            self._searched = len(self._buffer)
            if self._searched > self.longest:
                raise Trouble("invalid-answer", f"more than {self.longest:,} bytes without the end of a line")
            if self._ended:
                raise Trouble("crash", self._how_it_ended())
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Trouble("timeout", f"no answer within {seconds:g} s")
            self._wait(remaining)

    def _wait(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fd == self._to:
                self._flush()
            else:
                self._receive(key.fd)

    def _receive(self, number: int) -> None:
        try:
            data = os.read(number, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(number)
            self._ended = self._ended or number == self._from
        elif number == self._from:
            self._buffer += data
        else:
            self._last_words = (self._last_words + data)[-2000:]

    def _flush(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._to, self._unsent[: 1 << 16]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._unsent = b""  # it no longer listens; its answers so far, and then its end, are read as usual
        if self._to in self._selector.get_map():
            self._selector.unregister(self._to)

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "it closed its output and lives on"
        for _ in range(50):  # what it still wrote before it ended; not more, as something it started may go on writing
            if self._complaints in self._selector.get_map():
                self._wait(0)
        if code < 0:
            try:
                how = f"was ended by {signal.Signals(-code).name}"
            except ValueError:
                how = f"was ended by signal {-code}"
        else:
            how = f"exited with status {code}"
        words = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return f"it {how} before it answered" + (f"; its last words: {words[-1][:200]}" if words else "")

    def say_goodbye(self, farewell: bytes, seconds: float) -> None:
        """Send the last line, wait a moment for it to go, end it if it does not."""
        self.send(farewell)
        deadline = time.monotonic() + seconds
        while self._unsent and not self._ended and time.monotonic() < deadline:
            self._wait(deadline - time.monotonic())
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """End the process and whatever it started; release the pipes."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()
        self._selector.close()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe and not pipe.closed:
                pipe.close()
