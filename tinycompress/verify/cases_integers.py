"""Inputs that hurt, for the operations with exact answers: ties, neighbours of ties, range ends, infinities, counts, ragged
groups.

Each case is small and hunts few axes, so that what it tells is easy to say. Random draws come from a seeded generator and only
fill in what no one would write by hand: values within an ulp of a tie, where scale times reciprocal and quotient part.

Letters     x values, s scale, z zero_point, q codes, w weights
Not here: what the right answers are (oracle), which cases are kept (cases). Read next: cases_masks.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
F: Any = np.float32
S8, U8, N8, S4, U16 = (-128, 127), (0, 255), (-127, 127), (-8, 7), (0, 65535)


@dataclass(frozen=True)
class Case:
    """One input: the arguments, whether axis=0 goes with it, what it hunts, and why it is here."""

    operation: str
    arguments: tuple[Any, ...]
    comment: str
    flags: tuple[str, ...] = ()
    axis: int | None = None


def near_ties(rng: np.random.Generator, s: float, z: int, low: int, high: int, count: int = 3000) -> Array:
    """Return float32 values within two ulps of (code + 1/2) s, where two of the usual quantizers part.

    Shapes      -> (n,), n <= count
    Source      this package

    >>> len(near_ties(np.random.default_rng(0), 0.1, 3, -128, 127)) > 0
    True
    """
    s32, s64 = F(s), float(s)
    x = F((rng.integers(low - z, high - z, count) + 0.5) * float(s32))
    for _ in range(2):
        x = np.where(rng.integers(0, 3, count) == 0, np.nextafter(x, F(np.inf)), np.where(rng.integers(0, 2, count) == 0, x,
                     np.nextafter(x, F(-np.inf))))  # fmt: skip
    inverse = F(1) / s32
    wide = x.astype(np.float64)
    ways = [x / s32, x * inverse, wide / float(s32), wide / s64, wide * (1 / float(s32)), x * F(1 / s64), F(wide / s64)]
    codes = [np.rint(v) + z for v in ways] + [np.rint(v + v.dtype.type(z)) for v in ways]
    codes.append(np.rint(F(wide * float(inverse) + z)))
    parted: Array = np.ptp(np.array([c.astype(np.float64) for c in codes]), axis=0) > 0
    found: Array = x[parted]
    return found


def _quantizer_inputs(rng: np.random.Generator) -> Iterator[tuple[list[float], float, int, tuple[int, int], str, str]]:
    yield [0.5, 1.5, -0.5, -1.5], 1.0, 0, S8, "tie", "ties: halves go to the even code"
    yield [2.5, -2.5], 1.0, 0, N8, "tie", "the same, narrow range"
    yield [0.25, -0.25, 0.75, -0.75], 0.5, 0, S8, "tie", "ties with a scale of one half"
    yield [0.25, 0.75, -0.25], 1.0, 0, S8, "fraction", "no ties: only the direction of rounding shows"
    yield [1.25, -1.75], 1.0, 2, S8, "fraction", "the same with a zero point"
    yield [3.4, -3.6], 1.0, 0, S4, "fraction", "the same in four bits"
    for z in (1, 3, -5):
        yield [0.5, 1.5, -1.5, -2.5], 1.0, z, S8, "zero point", "odd zero point at ties: added before or after the rounding"
    for z in (0, 3, -4):
        yield [-0.49999997, 0.49999997], 1.0, z, S8, "below", "the largest number below 1/2: a sum with 1/2 or z rounds up"
    yield [0.7, -0.7, 3.49999], 0.5, 7, (0, 15), "zero point", "four bits unsigned"
    yield [130.0, -131.0], 1.0, 0, S8, "range", "just beyond both ends"
    yield [127.5, -128.5], 1.0, 0, S8, "range", "ties at both ends"
    yield [-128.0, -127.0], 1.0, 0, S8, "range", "the lowest code: is it used?"
    yield [-8.0], 1.0, 0, S4, "range", "the lowest code of four bits"
    yield [-200.0, -64.0], 0.5, 0, S8, "range", "the lowest code, reached and overshot"
    yield [256.0, 300.0], 1.0, 0, U8, "range", "beyond 255: clamped or wrapped"
    yield [-3.0, 70.0], 0.25, 10, U8, "range", "beyond both ends with a zero point"
    yield [40000.0, -40000.0, 32767.5], 1.0, 0, (-32768, 32767), "range", "sixteen bits"
    for z in (0, 5, -5, 127):
        yield [np.inf], 1.0, z, S8, "infinite", "infinity saturates"
        yield [-np.inf], 1.0, z, S8, "infinite", "minus infinity saturates"
    for z in (0, 5, -5):
        yield [3e9, -3e9], 1.0, z, S8, "huge", "beyond int32: a cast before the clamp shows"
        yield [1e30, -1e30], 0.5, z, S8, "huge", "beyond int64"
    yield [np.inf, 1e20], 1.0, 128, U8, "huge", "beyond int32, unsigned"
    for z, ends in ((0, S8), (5, S8), (-5, S8), (7, U8), (-3, S4), (100, U8), (-100, N8)):
        yield [np.nan], 1.0, z, ends, "nan", "NaN"
    yield [1e-45, -1e-45, 1e-40], 1.0, 0, S8, "subnormal", "subnormal values"
    yield [0.0, -0.0], 0.1, 3, S8, "zero", "zero has an exact code"
    for s, z, ends in ((0.1, 28, U8), (0.9453565, 28, U8), (0.1618398, 50, U8), (0.0152127, 64, U8), (0.3, -7, S8), (0.1, 0, S8),
                       (0.7, 0, S8), (0.0021485486, 0, U8), (1 / 3, 1, S8), (0.013, 999, U16), (0.21, 1, N8),
                       (49.0, 0, S8), (41.0, 3, U8), (0.375 * 47, 0, S8)):  # fmt: skip
        found = near_ties(rng, s, z, *ends)
        for i in range(0, min(len(found), 18), 2):
            yield found[i : i + 2].tolist(), s, z, ends, "near tie", "within two ulps of a tie: how x is divided by s"
        exact = near_ties(rng, float(F(s)), z, *ends)
        for i in range(0, min(len(exact), 12), 2):
            yield exact[i : i + 2].tolist(), float(F(s)), z, ends, "near tie", "the same with a scale that float32 holds"


def quantizers(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of quantize, fake_quantize and its backward.

    Shapes      takes no arrays
    Source      this package

    >>> next(quantizers(np.random.default_rng(0))).operation
    'quantize'
    """
    for x, s, z, ends, flag, comment in _quantizer_inputs(rng):
        array = F(x)
        yield Case("quantize", (array, s, z, *ends), comment, (flag,))
        if not (flag == "near tie" and rng.integers(0, 2)):
            yield Case("fake_quantize", (array, s, z, *ends), comment, (flag,))
            yield Case("fake_quantize_backward", (F([2, -3, 5, 7][: len(x)]), array, s, z, *ends), comment, (flag,))
    rows, scales, zeros = F([[0.5, 1.5], [0.75, -200]]), F([1, 0.5]), np.array([0, 3], np.int32)
    for name, lead in (("quantize", ()), ("fake_quantize", ()), ("fake_quantize_backward", (F([[1, 2], [3, 4]]),))):
        yield Case(name, (*lead, rows, scales, zeros, *S8), "a scale and a zero point per row", ("axis",), 0)
        yield Case(name, (*lead, rows, scales, 1, *S8), "a scale per row, one zero point", ("axis",), 0)
        yield Case(name, (*lead, rows, 0.5, 1, *S8), "two dimensions", ("2-d",))
        oblong = F([[0.5, 1.5, -2.5], [300, 0.25, -0.75]])
        yield Case(name, (*[oblong] * (1 + len(lead)), 1.0, 1, *S8), "two rows, three columns", ("2-d",))
        yield Case(name, (*[F(np.zeros((0,)))] * (1 + len(lead)), 0.5, 0, *S8), "no entries", ("empty",))
        yield Case(name, (*[np.array(0.75, F)] * (1 + len(lead)), 0.5, 1, *S8), "no dimensions", ("scalar",))
    for edge, s in ((127.49, 1.0), (127.5, 1.0), (-128.5, 1.0), (-128.51, 1.0), (126.6, 1.0), (-127.7, 1.0), (63.74, 0.5),
        (-63.99, 0.5)):
        for z in (0, 1, -3):
            x = F([edge - z * s, (edge + 0.01) - z * s])
            yield Case("fake_quantize_backward", (F([2, -3]), x, s, z, *S8), "at the ends: is the rounded code in range?",
                ("range",))
    for draw in range(400):
        s, (ends, z) = float(rng.integers(3, 4000)) / 997, ((S8, 3), (U8, 28), (S4, 1), (S8, 0))[draw % 4]
        beyond = 0.5 if draw % 3 else 0.0  # the ends of the rounded code, or of the number itself
        edges = F((np.array([ends[0] - beyond, ends[1] + beyond]) - z) * float(F(s)))
        for x in (edges, np.nextafter(edges, F(np.inf)), np.nextafter(edges, F(-np.inf))):
            steps = np.array([x / F(s), x * (F(1) / F(s)), x / s, x.astype(np.float64) / float(F(s))], np.float64)
            inside = np.array([(v + z >= ends[0]) & (v + z <= ends[1]) for v in (np.rint(steps) if beyond else steps)])
            if np.ptp(inside.astype(int), axis=0).any():
                scale = s if draw % 8 < 4 else float(F(s))
                yield Case("fake_quantize_backward", (F([2, -3]), x, scale, z, *ends), "within an ulp of the ends", ("near end",))


def dequantizers(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of dequantize.

    Shapes      takes no arrays
    Source      this package

    >>> next(dequantizers(np.random.default_rng(0))).operation
    'dequantize'
    """
    for s in (0.5, 0.1, float(F(0.1)), 1 / 3, 0.0213, float(F(0.0213)), 1e-40, 3e38):
        for dtype, z in ((np.int8, 0), (np.int8, 7), (np.int8, -100), (np.uint8, 200), (np.int32, 3), (np.uint8, 28)):
            info = np.iinfo(np.int8 if dtype is np.int32 else dtype)
            q = np.array([info.min, rng.integers(info.min, info.max), info.max], dtype)
            yield Case("dequantize", (q, s, z), "the ends of the dtype and one between", (np.dtype(dtype).name,))
    q, s = np.array([[-128, 127], [5, -6]], np.int8), F([0.1, 0.3])
    yield Case("dequantize", (q, s, np.array([3, -4], np.int32)), "a scale and a zero point per row", ("axis",), 0)
    yield Case("dequantize", (q, s, 1), "a scale per row, one zero point", ("axis",), 0)
    yield Case("dequantize", (np.zeros(0, np.int8), 0.5, 0), "no entries", ("empty",))


def qparams(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of symmetric_qparams and asymmetric_qparams.

    Shapes      takes no arrays
    Source      this package

    >>> next(qparams(np.random.default_rng(0))).operation
    'symmetric_qparams'
    """
    lists: list[tuple[list[float], str]] = [
        ([], "empty"), ([0.0, 0.0], "zero"), ([0.0], "zero"), ([0.0, -0.0, 0.0], "zero"), ([3.0], "one entry"),
        ([-3.0], "one entry"),
        ([1.0, 2.0], "one-sided"), ([-2.0, -1.0], "one-sided"), ([5.0, 5.0], "constant"), ([-5.0], "constant"),
        ([-1.0, 2.0], "plain"),
        ([-3.0, 2.0], "plain"), ([-127.5, 127.5], "symmetric"), ([-128.0, 127.0], "whole codes"), ([0.0, 255.0], "whole codes"),
        ([1e-10, -3e-10], "tiny"), ([1e-9, 2e-9], "tiny"), ([1e-38, -2e-38], "tiny"), ([1e5, -3.0], "outlier"),
        ([-0.5, 254.5], "tie"),
        ([-0.49999997, 254.5], "below"), ([-1.5, 253.5], "tie"), ([-2.5, 252.5], "tie"), ([-0.75, 126.75], "tie"),
        ([10.0, 20.0, 30.0], "one-sided"),
    ]  # fmt: skip
    for x, flag in lists:
        for bits in (8, 4) if flag in ("plain", "one-sided", "zero", "constant", "empty") else (8,):
            yield Case("symmetric_qparams", (F(x), bits), flag, (flag,))
            yield Case("asymmetric_qparams", (F(x), bits), flag, (flag,))
    for quanta in (300, 350, 370, 381, 360):  # s is rounded to one spacing of the subnormals: min / s is beyond the codes
        yield Case("asymmetric_qparams", (F([-quanta * 2.0**-149, 0]), 8), "a subnormal scale", ("subnormal",))
    for x in ([-7.5, 7.0], [-0.5, 14.5], [-1.5, 13.5], [-2.5, 12.5]):
        yield Case("asymmetric_qparams", (F(x), 4), "the zero point is a tie", ("tie",))
    for _ in range(40):
        x, bits = F(rng.integers(-1000, 1001, 4) / 7), int(rng.choice([4, 8, 8, 2, 16]))
        yield Case("symmetric_qparams", (x, bits), "drawn", ("drawn",))
        yield Case("asymmetric_qparams", (x, bits), "drawn", ("drawn",))
    # min / s within float32 spacing of a tie: s = 1 / 3 or so, k + 1/2 steps below zero
    for _ in range(120):
        k, n = int(rng.integers(0, 200)) // 4, 255
        width = F(rng.integers(1, 4000) / 97)
        lo = F(-(k + 0.5 - 1e-7 * rng.integers(-1, 3)) / n * float(width))
        yield Case("asymmetric_qparams", (np.array([lo, F(width + lo)], F), 8), "the zero point is nearly a tie", ("near tie",))
