"""Inputs that hurt, for requantize, integer products, packing and masks: ties, shifts, wraps, odd counts, ragged groups.

Letters     acc int32 sums, q codes, b bits, w weights
Not here: grids (cases_integers), what the right answers are (oracle), which cases are kept (cases). Read next: cases_floats.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinycompress.verify.cases_integers import S8, U8, Case

F: Any = np.float32


def requantize(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of requantize: ties of the product, large sums that float32 cannot hold, multipliers of any size and sign.

    Shapes      takes no arrays
    Source      this package

    >>> next(requantize(np.random.default_rng(0))).operation
    'requantize'
    """
    for z in (0, 1, -3):
        yield Case("requantize", (np.array([1, 3, -1, -3], np.int32), 0.5, z, *S8), "ties", ("tie",))
        yield Case("requantize", (np.array([5, -5, 7], np.int32), 0.25, z, *S8), "fractions", ("fraction",))
        yield Case("requantize", (np.array([2, -2, 6, -6], np.int32), 0.25, z, *S8), "ties", ("tie",))
    yield Case("requantize", (np.array([1, -3], np.int32), -0.5, 1, *S8), "negative multiplier", ("tie", "negative"))
    yield Case("requantize", (np.array([3, -4], np.int32), 1.5, 1, *S8), "multiplier above 1", ("large",))
    yield Case("requantize", (np.array([3, -5], np.int32), 2.5, 0, *S8), "multiplier above 1", ("large", "tie"))
    yield Case("requantize", (np.array([1000, -1000], np.int32), 0.5, 3, *S8), "beyond the range", ("range",))
    yield Case("requantize", (np.array([300], np.int32), 1.0, 0, *U8), "beyond the range", ("range",))
    yield Case("requantize", (np.array([2**31 - 1, -(2**31)], np.int32), 3.0, 5, *S8), "beyond int32", ("huge",))
    yield Case("requantize", (np.array([2**31 - 1, -(2**31)], np.int32), 3.0, -5, *S8), "beyond int32", ("huge",))
    yield Case("requantize", (np.array([2**30], np.int32), 8.0, 5, *U8), "beyond int32", ("huge",))
    yield Case("requantize", (np.array([-3, 7], np.int32), -3e9, 5, *S8), "beyond int32", ("huge", "negative"))
    for z in (0, 3):
        yield Case("requantize", (np.array([1, -1], np.int32), float(np.nextafter(F(0.5), F(0))), z, *S8), "an ulp below 1/2",
            ("below",))
        yield Case("requantize", (np.array([1, -1], np.int32), float(np.nextafter(0.5, 0)), z, *S8),
            "an ulp of float64 below 1/2", ("below",))
    yield Case("requantize", (np.zeros(0, np.int32), 0.5, 0, *S8), "no entries", ("empty",))
    for m in (0.1, 0.0123, 0.00390625, 0.0007, 1.2e-4, 0.75):
        for z in (0, 3):
            low = int(100 / m)
            acc = np.rint((rng.integers(-100, 100, 4000) + 0.5) / m).astype(np.int64)
            acc = np.clip(acc + rng.integers(-1, 2, acc.size), -low, low).astype(np.int32)
            v32, v64 = F(acc) * F(m), acc * m
            for a in acc[:3]:
                yield Case("requantize", (np.array([a + 2, -a - 1], np.int32), m, z, *S8), "any product", ("fraction",))
            near = np.rint(v64)
            parted = (np.rint(v32) != near) | (np.floor(v64 + 0.5) != near) | (np.rint(v32 + F(z)) - z != np.rint(v32))
            for a in np.unique(acc[parted])[:12]:
                yield Case("requantize", (np.array([a], np.int32), m, z, *S8), "the product is nearly a tie", ("near tie",))
    for m, bits in ((1e-3, 16), (2**-7, 12), (3e-4, 16)):
        for a in rng.integers(2**24, 2**27, 12):
            half = int((round(int(a) * m) + 0.5) / m)
            yield Case("requantize", (np.array([half, -half], np.int32), m, 0, -(2 ** (bits + 1)), 2 ** (bits + 1) - 1),
                       "a sum that float32 does not hold", ("large sum",))  # fmt: skip


def integer_matmul(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of integer_matmul: int8 and uint8 in any mix, sums beyond int16, zero points.

    Shapes      takes no arrays
    Source      this package

    >>> next(integer_matmul(np.random.default_rng(0))).operation
    'integer_matmul'
    """
    def draw(dtype: Any, *shape: int) -> Any:
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max + 1, shape).astype(dtype)

    for a, b in ((np.int8, np.int8), (np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.uint8)):
        for zeros in ((0, 0), (3, 0), (0, -5), (7, 2)):
            za = zeros[0] if a is np.int8 else 100 + zeros[0]
            zb = zeros[1] if b is np.int8 else 128 + zeros[1]
            yield Case("integer_matmul", (draw(a, 2, 3), draw(b, 3, 2), za, zb), f"{np.dtype(a)} by {np.dtype(b)}",
                ("zero point",))
    low, high = np.full((1, 4), -128, np.int8), np.full((4, 1), -128, np.int8)
    yield Case("integer_matmul", (low, high, 0, 0), "-128 times -128: beyond int16 after two terms", ("int16",))
    yield Case("integer_matmul", (np.full((1, 4), 255, np.uint8), np.full((4, 1), 127, np.int8), 0, 0), "255 times 127",
        ("int16",))
    yield Case("integer_matmul", (np.full((1, 3), 255, np.uint8), np.full((3, 1), -128, np.int8), 0, 0), "255 times -128",
        ("int16",))
    yield Case("integer_matmul", (low, high, 127, 127), "-128 minus 127 leaves int8", ("wrap",))
    mixed = np.array([[127, 127, -128, -128]], np.int8)
    yield Case("integer_matmul", (mixed, np.array([[127], [127], [127], [127]], np.int8), 0, 0), "partial sums leave int16",
        ("int16",))
    for _ in range(4):
        wide = np.full((1, 600), 255, np.uint8), draw(np.int8, 600, 1) | 65
        yield Case("integer_matmul", (wide[0], np.abs(wide[1].astype(np.int16)).clip(0, 127).astype(np.int8), 0, 0), "long",
            ("long",))
        big = draw(np.uint8, 1, 700) | np.uint8(129), draw(np.uint8, 700, 1) | np.uint8(129)
        yield Case("integer_matmul", (*big, 0, 0), "sums beyond 2^24, where float32 rounds", ("float32",))
    yield Case("integer_matmul", (np.zeros((0, 3), np.int8), draw(np.int8, 3, 2), 0, 0), "no rows", ("empty",))


def packing(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of pack and unpack: every width, whole and broken last bytes.

    Shapes      takes no arrays
    Source      this package

    >>> next(packing(np.random.default_rng(0))).operation
    'pack'
    """
    for bits in (4, 2, 1, 8):
        for count in (0, 1, 2, 3, 5, 8, 9, 16, 17):
            codes = rng.integers(0, 1 << bits, count).astype(np.uint8)
            yield Case("pack", (codes, bits), f"{count} codes of {bits} bits", (f"{bits} bits",))
            buffer = rng.integers(0, 256, -(-count * bits // 8)).astype(np.uint8).tobytes()
            yield Case("unpack", (buffer, bits, count), f"{count} codes of {bits} bits", (f"{bits} bits",))


def magnitude_mask(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of magnitude_mask: counts that round, products that float32 and float64 round apart, ties, tiny squares.

    Shapes      takes no arrays
    Source      this package

    >>> next(magnitude_mask(np.random.default_rng(0))).operation
    'magnitude_mask'
    """
    def distinct(n: int) -> Any:
        return F(rng.permutation(np.arange(1, n + 1)) * rng.choice([-1, 1], n))

    for n, share in ((5, 0.5), (5, 0.3), (5, 0.1), (10, 0.75), (10, 0.25), (10, 0.9), (3, 0.5), (1, 0.5), (11, 0.5), (7, 0.5),
        (6, 0.7),
                     (9, 0.5), (13, 0.5), (10, 0.1), (10, 0.3), (15, 0.1), (45, 0.7), (25, 0.3), (35, 0.7),
                         (55, 0.1)):  # fmt: skip
        yield Case("magnitude_mask", (distinct(n), share), f"{n} entries, {share} pruned: the count is rounded", ("count",))
        yield Case("magnitude_mask", (np.abs(distinct(n)), share), f"{n} entries above zero, {share} pruned", ("count",))
    for n in (1, 4, 7):
        yield Case("magnitude_mask", (distinct(n), 1.0), "sparsity 1 prunes all", ("all",))
        yield Case("magnitude_mask", (distinct(n), 0.0), "sparsity 0 prunes none", ("none",))
    for w, share in (([1, 1, 1, 1], 0.5), ([1, -1, 1, 2], 0.5), ([2, 1, -1, 1, 2], 0.4), ([3, 3, 3, 1, 3], 0.6),
        ([0, 0, 0, 5], 0.5),
                     ([-1, 1, -1, 1, 1], 0.2), ([2, 2, 1, 1, 1, 3], 0.5), ([7, 7], 0.5), ([1, 1, 2, 2, 2, 2], 0.67)):  # fmt: skip
        yield Case("magnitude_mask", (F(w), share), "equal magnitudes at the threshold", ("tie",))
    for square in ([[1, -2], [-2, 3]], [[4, 4], [4, 4]]):
        yield Case("magnitude_mask", (F(square), 0.5), "two dimensions", ("tie", "2-d"))
    for tiny in ([3e-23, 2e-23, 1e-23, 4e-23], [2e-30, 1e-30, 5.0, -7.0], [1e-25, -9e-26, 8e-26], [3e-24, 1e-24, 2e-24, 1, 2]):
        yield Case("magnitude_mask", (F(tiny), 0.5), "squares that underflow to a tie", ("tiny",))
    for tiny in ([2e-23, 1e-23, 1.5e-23, 5], [1.2e-23, 3.0, 1.1e-23, 4], [2e-24, 1e-24, 7, 8], [3e-25, 2e-25, 1e-25, 9]):
        yield Case("magnitude_mask", (F(tiny), 0.25), "the smallest square underflows, and so does another", ("tiny",))
    found = 0
    for n, hundredths in ((n, h) for n in range(3, 60) for h in range(5, 100, 5)):
        share = hundredths / 100
        if np.rint(share * n) != np.rint(F(share) * F(n)) and found < 12:
            found += 1
            yield Case("magnitude_mask", (distinct(n), share), "sparsity n is a tie in one precision only", ("count", "near tie"))
    for n, share in ((10, 0.25000000001), (14, 0.75000000001), (6, 0.41666666667), (22, 0.25000000001), (30, 0.15000000001)):
        yield Case("magnitude_mask", (distinct(n), share), "sparsity n is a tie in float32 only", ("count", "near tie"))
    yield Case("magnitude_mask", (F([]), 0.5), "no entries", ("empty",))


def n_m_mask(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of n_m_mask: ties, signs, one of four and three of four, ragged rows, more than one row.

    Shapes      takes no arrays
    Source      this package

    >>> next(n_m_mask(np.random.default_rng(0))).operation
    'n_m_mask'
    """
    for keep, group in ((2, 4), (1, 4), (3, 4), (1, 2), (1, 3)):
        for w in ([1, 1, 1, 1], [1, -1, 1, 2], [4, -3, 2, 1], [-4, 3, -2, 1], [0, 0, 5, 0]):
            yield Case("n_m_mask", (F(w), keep, group), f"{keep} of {group}", ("one group" if group == 4 else "ragged",))
        for columns in (5, 6, 7):
            yield Case("n_m_mask", (F(rng.integers(-3, 4, columns)), keep, group), "a short last group", ("ragged",))
            yield Case("n_m_mask", (F(rng.permutation(np.arange(1, columns + 1))), keep, group), "a short last group",
                ("ragged",))
        for rows, columns in ((2, 4), (4, 4), (4, 6), (3, 5), (4, 2)):
            order = rng.permutation(np.arange(1, rows * columns + 1)).reshape(rows, columns)
            yield Case("n_m_mask", (F(order), keep, group), "several rows", ("rows",))
    for w, keep, group in (([1, 0, 0, 0, 0], 2, 4), ([3, 1, 2, 5, 0, 0], 3, 4), ([1, 2, 3, 4, 0], 1, 2), ([9, 0, 0], 2, 4)):
        yield Case("n_m_mask", (F(w), keep, group), "zeros in a short last group", ("ragged", "tie"))
