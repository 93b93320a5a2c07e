"""What stands between us and a Python implementation: copies of its arguments, and an alarm.

Not here: the calls themselves (adapters), crashes and endless compiled code (isolation). Read next: adapters.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


class TooLong(BaseException):
    """Not an Exception: an implementation that catches those must not swallow the alarm."""


def snapshot(value: Any) -> Any:
    """Return a copy of what can be changed, None for what cannot.

    Shapes      any
    Source      this package

    >>> snapshot(np.array([1])), snapshot(0.5)
    (array([1]), None)
    """
    return value.copy() if isinstance(value, np.ndarray) else bytes(value) if isinstance(value, bytearray) else None


def is_same(now: Any, before: Any) -> bool:
    """Say whether an argument has the bits that it had.

    Shapes      as snapshot
    Source      this package

    >>> is_same(np.array([np.nan]), np.array([np.nan]))
    True
    """
    if isinstance(now, bytearray):
        return bool(bytes(now) == before)
    return bool(now.shape == before.shape and now.dtype == before.dtype and now.tobytes() == before.tobytes())


def restore(now: Any, before: Any) -> None:
    """Put back what was changed, where that is possible.

    Shapes      as snapshot
    Source      this package

    >>> a = np.array([2])
    >>> restore(a, np.array([1]))
    >>> a
    array([1])
    """
    if isinstance(now, bytearray):
        now[:] = before
    elif now.flags.writeable and now.shape == before.shape:
        now[...] = before


def within(seconds: float, function: Callable[[], T]) -> T:
    """Call, and break off with TooLong after so many seconds, where an alarm can be set: in the main thread of a POSIX process.

    Shapes      takes no arrays
    Units       seconds
    Raises      TooLong when the alarm rings
    Source      this package

    >>> within(5.0, lambda: 1)
    1
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        return function()

    def ring(signum: int, frame: FrameType | None) -> None:
        # subtle: an alarm that interrupts this file's own lines, on the way in or out, must not skip the clean-up below
        if frame is None or frame.f_code.co_filename != __file__:
            raise TooLong

    previous = signal.signal(signal.SIGALRM, ring)
    # The alarm repeats: one that rings inside a destructor or a callback is swallowed there.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        return function()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
