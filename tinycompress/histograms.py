"""A histogram that grows with the data and forgets nothing: the same for any order and any cutting of the batches.

Its bins are [k 2^e, (k + 1) 2^e) for whole k. When a value falls beyond the last bin, e grows and neighbours are added in pairs;
since floor(floor(x / w) / 2) = floor(x / 2w), the counts are then exactly those of all values so far in the wider bins. Zero is
always an edge, so positive data never spills below it.

Letters     x a batch of values, w = 2^e the width of a bin, k its place, N bins, lo and hi the ends of a range
Not here: where to cut (cuts), histograms as other libraries fill them (collectors). Read next: collectors, least_squares.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from tinycompress.calibration import batch_range
from tinycompress.cuts import divergence_cut, percentile_cut
from tinycompress.grids import Array


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of the values so far in bins as narrow as the largest of them allows, and what range() makes of them.

    Equation    e = least whole number with -N/2 <= floor(x / 2^e) < N/2 for all x seen                       (1)
    Bound       N/4 <= max |x| / w <= N/2: a cut is off by one bin, at most 4 / N of the largest magnitude
    Convention  cut="percentile": `percent` of the values are kept, what is cut is shared by both ends. cut="divergence": `levels`
                codes. Cuts fall on edges outside the last value kept, and never beyond the smallest and largest value seen

    >>> histogram = Histogram(percent=90.0, bins=16).observe([-1.0, 0.5, 0.5]).observe([0.25] * 17 + [12.0])
    >>> histogram.width, histogram.range()
    (2.0, (array(0., dtype=float32), array(2., dtype=float32)))
    """

    bins: int = 2048  # N, even
    cut: Literal["percentile", "divergence"] = "percentile"
    percent: float = 99.99
    levels: int = 256
    exponent: int = -1074  # e; so small that nothing was seen, or only zeros
    counts: Array | None = None  # (N,) int64; bin i is k = i - N/2
    ends: tuple[Array, Array] | None = None  # the smallest and the largest value seen

    def __post_init__(self) -> None:
        if self.bins < 2 or self.bins % 2 or self.cut not in ("percentile", "divergence"):
            raise ValueError(f"bins is {self.bins} and cut {self.cut!r}; use an even number, 'percentile' or 'divergence'")

    @property
    def width(self) -> float:
        """The width of a bin."""
        return float(np.ldexp(1.0, self.exponent))

    @property
    def edges(self) -> Array:
        """The N + 1 edges of the bins."""
        return np.ldexp(np.arange(-self.bins // 2, self.bins // 2 + 1, dtype=np.float64), self.exponent)

    def observe(self, x: npt.ArrayLike) -> Self:
        """Return the histogram of all values so far and those of x."""
        x = np.asarray(x).ravel()
        if x.size == 0:
            return self
        lo, hi = batch_range(x)
        exponent = max(self.exponent, _exponent(float(lo), float(hi), self.bins // 2))
        with np.errstate(under="ignore"):  # as float32, so that a division by N is exact in float64
            place = np.floor(np.ldexp(x.astype(np.float32).astype(np.float64), -exponent)).astype(np.int64)
        counts = np.bincount(place + self.bins // 2, minlength=self.bins)
        if self.counts is not None and self.ends is not None:
            old = np.arange(-self.bins // 2, self.bins // 2) >> min(exponent - self.exponent, 62)
            np.add.at(counts, old + self.bins // 2, self.counts)
            lo, hi = np.asarray(np.minimum(lo, self.ends[0])), np.asarray(np.maximum(hi, self.ends[1]))
        return replace(self, exponent=exponent, counts=counts, ends=(lo, hi))

    def range(self) -> tuple[Array, Array]:
        """Return the range where the histogram is cut, within the values seen."""
        if self.counts is None or self.ends is None:
            raise ValueError("nothing was observed; observe a batch of training data first")
        if self.cut == "percentile":
            lo, hi = percentile_cut(self.counts, self.edges, self.percent)
        else:
            lo, hi = divergence_cut(self.counts, self.edges, self.levels)
        with np.errstate(over="ignore", under="ignore"):  # an edge may lie beyond float32; the values seen do not
            ends = np.maximum(lo.astype(np.float32), self.ends[0]), np.minimum(hi.astype(np.float32), self.ends[1])
        return np.asarray(ends[0]), np.asarray(ends[1])


def _exponent(lo: float, hi: float, half: int) -> int:
    """The least e with -half 2^e <= lo and hi < half 2^e: (1)."""

    def least(magnitude: float, reached: bool) -> int:
        if magnitude == 0:
            return -1074
        e = int(np.frexp(magnitude / half)[1])  # magnitude / half < 2^e
        return e - 1 if reached and magnitude == half * np.ldexp(1.0, e - 1) else e

    return max(least(max(-lo, 0.0), True), least(max(hi, 0.0), False), -1074)
