"""What a mistake is, and what a law is: the two records of the mistake museum.

A mistake has the signature of the right function and gives a plausible answer. A law is a statement that the right function
keeps; it takes an implementation and says whether it holds, without knowing any expected answer of a larger computation.

Not here: the mistakes themselves (mutants and its siblings). Read next: mutants_grids, mutants.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Mutant:
    """A mistake that people make: of which operation, what it does, which law it breaks, what it does to whoever uses it."""

    name: str
    operation: str
    function: Function
    law: str  # the name of one law that it breaks
    harm: str
    axis: str | None = None  # where the mistake is a point of the space: "axis: option" of the operation
    option: str | None = None


@dataclass(frozen=True)
class Law:
    """A statement about an operation, and whether an implementation keeps it."""

    operation: str
    sentence: str
    holds: Callable[[Function], bool]


def f32(values: Any) -> Array:
    """Return a float32 array.

    Shapes      nested lists -> (...)
    Source      this package

    >>> f32([0.5]).dtype
    dtype('float32')
    """
    return np.array(values, np.float32)


def i32(values: Any) -> Array:
    """Return an int32 array.

    Shapes      nested lists -> (...)
    Source      this package

    >>> i32([1]).dtype
    dtype('int32')
    """
    return np.array(values, np.int32)


def i8(values: Any) -> Array:
    """Return an int8 array.

    Shapes      nested lists -> (...)
    Source      this package

    >>> i8([1]).dtype
    dtype('int8')
    """
    return np.array(values, np.int8)


def u8(values: Any) -> Array:
    """Return a uint8 array.

    Shapes      nested lists -> (...)
    Source      this package

    >>> u8([1]).dtype
    dtype('uint8')
    """
    return np.array(values, np.uint8)


def keeps(law: Law, function: Function) -> bool:
    """Say whether an implementation keeps a law; one that raises on a legal input does not.

    Shapes      takes no arrays
    Source      this package

    >>> keeps(Law("pack", "never", lambda f: f() == 1), lambda: 1 // 0)
    False
    """
    with np.errstate(all="ignore"):
        try:
            return bool(law.holds(function))
        except Exception:  # noqa: BLE001 - whatever an implementation raises
            return False


def equal(a: Any, b: Any) -> bool:
    """Say whether two answers have the same shape and entries; NaN equals NaN.

    Shapes      any
    Source      this package

    >>> equal([1, 2], np.array([1.0, 2.0]))
    True
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return x.shape == y.shape and bool(np.array_equal(x, y, equal_nan=True))


def close(a: Any, b: Any, relative: float = 1e-9) -> bool:
    """Say whether two float64 answers of a short sum agree: a fault that matters is larger by orders of magnitude.

    Shapes      any
    Source      this package

    >>> close(1.0, 1.0 + 1e-12), close([1.0], 1.0)
    (True, False)
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return x.shape == y.shape and bool((np.abs(x - y) <= relative * (np.abs(y).max(initial=0.0) + 1e-3)).all())


def unchanged(function: Function, arguments: Sequence[Any]) -> bool:
    """Say whether a call leaves its arguments as they are.

    Shapes      any
    Source      this package

    >>> unchanged(lambda x: x.sort(), [np.array([2, 1])])
    False
    """
    given = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    function(*given)
    return all(np.array_equal(a, b) for a, b in zip(given, arguments, strict=True))
