"""A piece of work in a copy of this process, so that what crashes or never returns takes only the copy with it.

The copy (a POSIX fork) inherits the implementation as it stands, closures included, and needs nothing to be importable or
picklable but its results, which it streams back. Where there is no fork the work is done here, and a crash is then a crash of
everything.

Not here: what is done (running). Read next: claims, running.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import selectors
import signal
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from tinycompress.verify.pipes import Trouble

Tick = Callable[[], None]
_ALIVE, _FAILED, _DONE = -1, -2, -3  # in the place of a result's size


def can_isolate() -> bool:
    """Say whether this system can copy a process.

    Shapes      takes no arrays
    Source      this package

    >>> can_isolate() == hasattr(os, "fork")
    True
    """
    return hasattr(os, "fork")


def collect(work: Callable[[Tick], Iterable[Any]], patience: float, isolate: bool = True) -> tuple[list[Any], Trouble | None]:
    """Do the work in a copy of this process; return what it yielded, and what went wrong before it was through.

    The work calls `tick` to show that it is alive; without a tick or a result for `patience` seconds it is ended.

    Shapes      takes no arrays
    Units       seconds
    Source      this package

    >>> collect(lambda tick: range(3), 5.0)
    ([0, 1, 2], None)
    >>> collect(lambda tick: (os._exit(9) if i == 1 else i for i in range(3)), 5.0)
    ([0], Trouble('crash', 'it exited with status 9 before it answered'))
    """
    if not (isolate and can_isolate()):
        return list(work(lambda: None)), None
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads: those of BLAS, which wait for work
        child = os.fork()
    if child == 0:
        _be_the_copy(reading, writing, work)
    os.close(writing)
    try:
        return _receive(reading, child, patience)
    finally:
        os.close(reading)
        _end(child)


def _be_the_copy(reading: int, writing: int, work: Callable[[Tick], Iterable[Any]]) -> None:
    """Work, write, and leave without the exit handlers that belong to the original."""
    status = 1
    try:
        os.close(reading)
        os.setpgid(0, 0)
        faulthandler.disable()
        os.dup2(2, 1)  # what an implementation prints must not get among our results
        sys.stdout = sys.stderr
        last = [time.monotonic()]

        def tick() -> None:
            now = time.monotonic()
            if now - last[0] > 0.1:
                last[0] = now
                os.write(writing, struct.pack("<q", _ALIVE))

        for result in work(tick):
            data = pickle.dumps(result)
            _write(writing, struct.pack("<q", len(data)) + data)
        _write(writing, struct.pack("<q", _DONE))
        status = 0
    except BaseException as error:  # noqa: BLE001 - it is told to the original, which raises it
        try:
            data = pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}"))
            _write(writing, struct.pack("<q", _FAILED) + struct.pack("<q", len(data)) + data)
        except OSError:
            pass
    finally:
        try:
            sys.stdout.flush()
        finally:
            os._exit(status)


def _write(number: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(number, view) :]


def _receive(reading: int, child: int, patience: float) -> tuple[list[Any], Trouble | None]:
    results: list[Any] = []
    buffer = bytearray()
    done = False
    deadline = time.monotonic() + patience
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return results, Trouble("timeout", f"no sign of life for {patience:g} s, and no alarm reaches it")
            data = os.read(reading, 1 << 16)
            if not data:
                break
            deadline = time.monotonic() + patience
            buffer += data
            done = _take(buffer, results) or done
    # subtle: an implementation may call exit(0), which looks like success to everyone but the one who counts
    _, code = os.waitpid(child, 0)
    if os.WIFSIGNALED(code):
        return results, Trouble("crash", f"it was ended by {signal.Signals(os.WTERMSIG(code)).name} before it answered")
    if os.WEXITSTATUS(code) or not done:
        return results, Trouble("crash", f"it exited with status {os.WEXITSTATUS(code)} before it answered")
    return results, None


def _take(buffer: bytearray, results: list[Any]) -> bool:
    """Move whole results from the buffer to the list; raise what the work itself raised; say whether it is through."""
    while len(buffer) >= 8:
        (size,) = struct.unpack_from("<q", buffer)
        if size in (_ALIVE, _DONE):
            del buffer[:8]
            if size == _DONE:
                return True
            continue
        failed = size == _FAILED
        head = 16 if failed else 8
        if len(buffer) >= head:
            (size,) = struct.unpack_from("<q", buffer, head - 8)
        if size < 0 or len(buffer) < head + size:
            return False
        result = pickle.loads(bytes(buffer[head : head + size]))
        del buffer[: head + size]
        if failed:
            raise result
        results.append(result)
    return False


def _end(child: int) -> None:
    """End the copy and what it started, and wait for it."""
    try:
        os.killpg(child, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
