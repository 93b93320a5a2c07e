"""Inputs that hurt: numbers on and beside the places where conventions part, and arrays laid out in every legal way.

Uniform or normal numbers almost never meet a tie, a range end or a number that overflows, so they cannot tell half to even from
half away. Each draw mixes what hunts the mutants: exact ties (scales 3 and 7 times a power of two divide exactly), ties +- 1
ulp, eighths of a step, range ends, infinities, subnormal and huge numbers, and a free rest.

Letters     x values, s scale, z zero_point, n how many
Not here: which arguments an operation takes (live_requests). Read next: live_requests.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rng = np.random.Generator
LENGTHS = (1, 7, 8, 31, 64, 65)  # around the widths of vector units: what a loop over lanes leaves over
_HUGE = (2.0**31, 2.0**31 + 2**8, -(2.0**31), -(2.0**31) - 2**9, 2.0**63, -(2.0**64), 3e9, -5e9, 255.5, -256.5, 65535.5)


def code_range(rng: Rng) -> tuple[int, int]:
    """Draw qmin and qmax: 2 to 16 bits (8 every other time), signed or unsigned, full or narrow.

    Shapes      takes no arrays
    Source      this package

    >>> low, high = code_range(np.random.default_rng(0))
    >>> low < high
    True
    """
    bits = 8 if rng.random() < 0.5 else int(rng.integers(2, 17))
    if rng.random() < 0.35:
        return 0, (1 << bits) - 1
    half = 1 << bits - 1
    return (-half if rng.random() < 0.7 or bits == 2 else 1 - half), half - 1


def zero_point(rng: Rng, low: int, high: int) -> int:
    """Draw a zero point in range: 0, an end, or any, odd ones more often: only those tell what is added before the rounding.

    Shapes      takes no arrays
    Source      this package

    >>> -8 <= zero_point(np.random.default_rng(0), -8, 7) <= 7
    True
    """
    choice = rng.random()
    if choice < 0.2 and low <= 0:
        return 0
    if choice < 0.35:
        return low if rng.random() < 0.5 else high
    return min(high, int(rng.integers(low, high + 1)) | 1)


def scale(rng: Rng) -> float:
    """Draw a scale: 1, 3 or 7 times a power of two, where quotients are exact; a decimal; or any float64.

    Shapes      takes no arrays
    Source      this package

    >>> scale(np.random.default_rng(0)) > 0
    True
    """
    choice = rng.random()
    if choice < 0.4:
        return float(rng.choice([1, 3, 7])) * 2.0 ** int(rng.integers(-9, 4))
    if choice < 0.6:
        return float(rng.choice([0.1, 0.01, 0.3, 0.007, 1.7]))
    return float(np.exp(rng.uniform(-8, 3)))


def near_ties(rng: Rng, n: int, s: float, z: int, low: int, high: int) -> Array:
    """Draw float32 (k + 1/2) s in range, a third of them an ulp below and a third an ulp above.

    Shapes      takes no arrays -> (n,)
    Source      this package

    >>> near_ties(np.random.default_rng(0), 3, 1.0, 0, -8, 7).dtype
    dtype('float32')
    """
    k = rng.integers(low - z - 1, high - z + 1, n)
    if n and rng.random() < 0.5:
        k = np.clip(k, -20, 20)
    x = ((k + 0.5) * float(np.float32(s))).astype(np.float32)
    away = np.where(rng.random(n) < 0.5, np.inf, -np.inf).astype(np.float32)
    return np.where(rng.random(n) < 0.5, x, np.nextafter(x, away, dtype=np.float32))


def edge_ties(rng: Rng, n: int, s: float, z: int, low: int, high: int) -> Array:
    """Draw n float32 half a step outside the range, most of them an ulp nearer or farther.

    Shapes      takes no arrays -> (n,)
    Source      this package

    >>> edge_ties(np.random.default_rng(0), 2, 1.0, 0, -8, 7).dtype
    dtype('float32')
    """
    x = (rng.choice([low - z - 0.5, high - z + 0.5], n) * float(np.float32(s))).astype(np.float32)
    for _ in range(2):
        away = np.where(rng.random(n) < 0.5, np.inf, -np.inf).astype(np.float32)
        x = np.where(rng.random(n) < 0.4, np.nextafter(x, away, dtype=np.float32), x)
    return x


def hard_floats(rng: Rng, n: int, s: float, z: int, low: int, high: int, wild: bool = True) -> Array:
    """Draw n float32 for a grid; wild ones are infinite, or beyond what an int32 holds, as well.

    Shapes      takes no arrays -> (n,)
    Source      this package

    >>> hard_floats(np.random.default_rng(0), 5, 0.5, 3, -128, 127).shape
    (5,)
    """
    with np.errstate(all="ignore"):
        ends = np.array([low - z, high - z], np.float64)
        pool = [
            near_ties(rng, 3 * n, s, z, low, high),
            rng.integers(-40, 41, n) / 8 * s,
            (rng.choice(ends, n) + rng.choice([-1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 1.5], n)) * s,
            rng.choice(_HUGE if wild else ends * 2, n) * s,
            rng.standard_normal(n) * s * (high - low) / 3,
            rng.choice([0.0, -0.0, 1e-45, -1e-40, 1.1754944e-38], n),
            rng.choice([np.inf, -np.inf, 3e38, -3e38] if wild else ends * 1.3 * s, n // 2 + 1),
        ]
        x = np.concatenate(pool).astype(np.float32)
    return rng.choice(x, n, replace=False)


def shape_of(rng: Rng, n: int) -> tuple[int, ...]:
    """Draw a shape of n entries with one to three axes.

    Shapes      takes no arrays
    Source      this package

    >>> int(np.prod(shape_of(np.random.default_rng(0), 24)))
    24
    """
    rows = [d for d in range(1, n + 1) if n % d == 0] or [0]
    first = int(rng.choice(rows))
    choice = rng.random()
    if choice < 0.4 or not n:
        return (n,)
    return (first, n // first) if choice < 0.8 else (first, 1, n // first)


def lay_out(rng: Rng, x: Array, way: str = "") -> Array:
    """Return an equal array that lies otherwise in memory: any strides, reversed, transposed, or read-only.

    Shapes      x (...) -> (...)
    Source      this package

    >>> lay_out(np.random.default_rng(0), np.arange(4), "strided").strides == (16,)
    True
    """
    ways = ("plain", "strided", "reversed", "transposed", "readonly")
    way = way or str(rng.choice(ways))
    if np.ndim(x) == 0 or way in ("plain", "readonly"):
        y = np.array(x)  # a 0-d array stays an array
        y.flags.writeable = way != "readonly"
        return y
    if way == "strided":
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if way == "reversed":
        return np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    return np.asfortranarray(x)


def tied_numbers(rng: Rng, n: int, dtype: npt.DTypeLike = np.float32) -> Any:
    """Draw n numbers many of which are equal in magnitude, of both signs; every fourth time all tiny, so that squares underflow.

    Shapes      takes no arrays -> (n,)
    Source      this package

    >>> tied_numbers(np.random.default_rng(0), 6).size
    6
    """
    choice = rng.random()
    if choice < 0.5:
        return rng.integers(-3, 4, n).astype(dtype)
    if choice < 0.75:
        tiny = 1e-30 if np.dtype(dtype).itemsize == 4 else 1e-200
        return (rng.integers(1, 9, n) * rng.choice([-1, 1], n) * tiny).astype(dtype)
    return rng.standard_normal(n).astype(dtype)


def dtype(rng: Rng) -> Any:
    """Draw float32 or float64.

    Shapes      takes no arrays
    Source      this package

    >>> dtype(np.random.default_rng(0)) in (np.float32, np.float64)
    True
    """
    return np.float32 if rng.random() < 0.5 else np.float64


def size(rng: Rng, i: int, most: int = 40) -> int:
    """Return how many entries request i has: the first ones the awkward numbers, the later ones any.

    Shapes      takes no arrays
    Source      this package

    >>> [size(np.random.default_rng(0), i) for i in range(4)]
    [0, 1, 1, 7]
    """
    return (0, 1, *LENGTHS)[i] if i < 8 else int(rng.integers(2, most))
