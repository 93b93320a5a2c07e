"""Histograms as other libraries gather and cut them: for the same range from the same batches, to the bit.

They differ from `histograms` where a later batch needs a wider histogram than the first: each library then repairs its bins in
its own way, so that what it answers depends on the order of the batches. Each way is a value of a field of HistogramRule.

Letters     x (N,) a batch of values, counts (N,) and edges (N + 1,) of a histogram, lo and hi the smallest and the largest value
            seen
Not here: the cuts (cuts), a histogram that batches cannot upset (histograms). Read next: least_squares.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import HistogramRule, resolve
from tinycompress.cuts import divergence, percentile_cut, walk_cut
from tinycompress.grids import Array, value_range

F32 = np.float32


@dataclass(frozen=True, eq=False)
class Collector:
    """A histogram of the values so far, gathered by a library's rule.

    >>> collector = Collector("onnxruntime.HistogramCollector.percentile").observe(np.linspace(-1, 1, 1001))
    >>> collector.observe([-2.0]).range()  # the upper end is the lower edge of the last bin with values
    (array(-2., dtype=float32), array(0.99902344, dtype=float32))
    """

    convention: HistogramRule | str
    counts: Array | None = None
    edges: Array | None = None
    ends: tuple[Array, Array] | None = None

    @property
    def rule(self) -> HistogramRule:
        """The rule as a record."""
        return resolve(self.convention, HistogramRule)

    def observe(self, x: npt.ArrayLike) -> Self:
        """Return the histogram of all values so far and those of x; infinities are left out where the arithmetic is torch's."""
        x = np.asarray(x, F32).ravel()
        if self.rule.arithmetic == "torch":
            x = x[~np.isinf(x)]
        if x.size == 0:
            return self
        lo, hi = value_range(x, ignore_nan=self.rule.arithmetic == "numpy")
        x = np.abs(x) if self.rule.values == "absolute" else x
        if self.counts is None or self.edges is None or self.ends is None:
            return replace(self, counts=(first := _first(x, self.rule))[0], edges=first[1], ends=(lo, hi))
        ends = np.asarray(np.minimum(self.ends[0], lo)), np.asarray(np.maximum(self.ends[1], hi))
        with np.errstate(all="ignore"):  # bins of no width divide by 0, as in the libraries
            counts, edges = GROWTH[self.rule.growth](x, self.counts, self.edges, self.ends, ends, self.rule)
        return replace(self, counts=counts, edges=edges, ends=ends)

    def range(self) -> tuple[Array, Array]:
        """Return the range where the rule cuts the histogram, within the values seen."""
        if self.counts is None or self.edges is None or self.ends is None:
            raise ValueError("nothing was observed; observe a batch of training data first")
        rule, (least, most) = self.rule, self.ends
        if rule.cut == "walk":
            return walk_cut(self.counts, *self.ends, rule.levels)
        if rule.cut == "divergence":
            lo, hi = truncated_divergence_cut(self.counts, self.edges, rule.levels)
        elif rule.values == "absolute":
            hi = percentile_cut(self.counts, self.edges, rule.percent, "upper", "lower")[1]
            lo = -hi
        else:
            lo, hi = percentile_cut(self.counts, self.edges, rule.percent, "both", "lower")
        return np.asarray(np.maximum(lo, least), F32), np.asarray(np.minimum(hi, most), F32)


def _first(x: Array, rule: HistogramRule) -> tuple[Array, Array]:
    lo, hi = np.nanmin(x), np.nanmax(x)
    absmax = F32(max(abs(lo), abs(hi)))
    span = {"minus_to_plus_absmax": (-absmax, absmax), "min_to_max": (lo, hi), "zero_to_max": (F32(0), hi)}[rule.first_edges]
    if rule.arithmetic == "torch":
        return index_by_quotient(x, *span, rule.bins), even_edges(*span, rule.bins)
    counts, edges = np.histogram(x, rule.bins, range=(span[0], span[1]))
    return counts, edges.astype(F32)


def index_by_quotient(x: Array, lo: Any, hi: Any, bins: int) -> Array:
    """Return the counts of `bins` equal bins as torch.histc counts: by one float32 quotient, never compared with an edge.

    Equation    bin = trunc(fl32(fl32(fl32(x - lo) bins) / fl32(hi - lo))), hi itself in the last
    Shapes      x (N,) float32 -> (bins,) float32
    Convention  lo = hi: the bins run from lo - 1 to lo + 1
    Source      torch 2.13.0 ATen/native/cpu/HistogramKernel.cpp

    >>> index_by_quotient(np.array([0, 1, 2], np.float32), 0, 2, 2)
    array([1., 2.], dtype=float32)
    """
    lo, hi = F32(lo), F32(hi)
    if lo == hi:
        lo, hi = lo - F32(1), hi + F32(1)
    x = x[(x >= lo) & (x <= hi)]
    place = ((x - lo) * F32(bins) / (hi - lo)).astype(np.int64)
    return np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(F32)


def even_edges(lo: Any, hi: Any, bins: int) -> Array:
    """Return bins + 1 edges from lo to hi as torch.linspace spaces them: each half from its own end, each edge rounded once.

    Shapes      lo, hi () -> (bins + 1,) float32
    Source      torch 2.13.0 ATen/native/cpu/RangeFactoriesKernel.cpp

    >>> even_edges(0, 1, 4)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    step = np.float64((F32(hi) - F32(lo)) / F32(bins))
    i = np.arange(bins + 1)
    return np.where(i < (bins + 1) // 2, F32(lo) + step * i, F32(hi) - step * (bins - i)).astype(F32)


def _bins_at_both_ends(x: Array, counts: Array, edges: Array, old: Any, new: Any, rule: HistogramRule) -> tuple[Array, Array]:
    reach, needed = edges[-1], F32(np.nanmax(np.abs(x)))
    more = 0
    if needed > reach and reach > 0:
        stride = 2 * reach / len(counts)
        more = int((needed - reach) // stride + 1)
        needed = more * stride + reach
    wider, edges = np.histogram(x, len(counts) + 2 * more, range=(-max(needed, reach), max(needed, reach)))
    wider[more : more + len(counts)] += counts
    return wider, edges.astype(F32)


def _bins_at_top(x: Array, counts: Array, edges: Array, old: Any, new: Any, rule: HistogramRule) -> tuple[Array, Array]:
    most, width = x.max(), edges[1] - edges[0]
    if rule.arithmetic == "torch":
        bins = len(counts)
        if most > edges[-1]:
            bins = int(np.ceil(most / width))
            edges = (np.float64(width) * np.arange(np.ceil(np.float64(most + width) / np.float64(width)))).astype(F32)
        wider = index_by_quotient(x, F32(0), edges[-1], bins)
    else:
        if most > edges[-1]:
            edges = np.hstack((edges, np.arange(edges[-1] + width, most + width, width)))
        wider, edges = np.histogram(x, bins=edges)
    wider[: len(counts)] += counts
    return wider, edges.astype(F32)


def _redistribute(x: Array, counts: Array, edges: Array, old: Any, new: Any, rule: HistogramRule) -> tuple[Array, Array]:
    bins, pieces = len(counts), 16
    update = index_by_quotient(x, new[0], new[1], bins)
    if old[0] == new[0] and old[1] == new[1]:
        return counts + update, edges
    boundaries = even_edges(new[0], new[1], bins)
    if old[0] == old[1]:
        return index_by_quotient(np.atleast_1d(old[0]), new[0], new[1], bins) * counts.sum() + update, boundaries
    middles = even_edges(old[0], old[1], bins * pieces)[:-1] + F32(0.5) * ((old[1] - old[0]) / F32(bins * pieces))
    place = np.clip(np.searchsorted(boundaries, middles, "right") - 1, 0, bins - 1)
    moved = np.bincount(place, np.repeat(counts, pieces) / F32(pieces), minlength=bins).astype(F32)
    return update + moved, boundaries


GROWTH: dict[str, Any] = {"bins_at_both_ends": _bins_at_both_ends, "bins_at_top": _bins_at_top, "redistribute": _redistribute}


def truncated_divergence_cut(counts: Array, edges: Array, levels: int = 128, smoothing: float = 1e-4) -> tuple[Array, Array]:
    """Return the window about the middle bin whose codes have the least divergence, as ONNX Runtime computes it.

    Equation    as cuts.divergence_cut, but: a cell has floor(m / levels) bins, and what is left over joins the count of the last;
                a cell's mean is truncated to an integer and given to all its bins; 0 becomes `smoothing`, taken from the others
    Shapes      counts (N,) integers, edges (N + 1,) -> lo, hi ()
    Limits      N = levels: a single candidate, the range of all bins
    Convention  windows of 2 i + 1 bins; the first of the least divergences, in float32; the narrowest if none is finite, even if
                it holds no value: a constant 3 in 400 bins gives hi = 0.975
    Raises      ValueError if there are fewer bins than levels
    Source      onnxruntime 1.32.0 quantization/calibrate.py, HistogramCollector.get_entropy_threshold

    >>> truncated_divergence_cut(np.ones(128, np.int64), np.arange(-64, 65.0), 128)
    (array(-64.), array(64.))
    """
    middle, total = len(counts) // 2, np.concatenate([[0], np.cumsum(counts)])
    if middle < levels // 2:
        raise ValueError(f"{len(counts)} bins are fewer than {levels} levels; gather more bins")
    best, window = np.inf, (middle - levels // 2, min(middle + levels // 2 + 1, len(counts)))
    for half in range(levels // 2, middle + 1):
        start, stop = middle - half, min(middle + half + 1, len(counts))
        inside = counts[start:stop]
        p = inside.copy()
        p[0] += total[start]
        p[-1] += total[-1] - total[stop]
        per = len(p) // levels
        merged = inside[: per * levels].reshape(levels, per).sum(axis=1)
        merged[-1] += inside[per * levels :].sum()
        nonzero = (p[: per * levels] != 0).reshape(levels, per).sum(axis=1)
        q = np.zeros(len(p), np.int64)
        q[: per * levels] = np.repeat(np.where(nonzero, merged / np.maximum(nonzero, 1), 0).astype(np.int64), per)
        if p.any() and q.any():
            d = F32(divergence(_smooth(p, smoothing), _smooth(q, smoothing)))
            if d < best:
                best, window = float(d), (start, stop)
    return np.asarray(edges[window[0]]), np.asarray(edges[window[1]])


def _smooth(p: Array, smoothing: float) -> Array:
    zeros = (p == 0).astype(F32)
    less = smoothing * float(zeros.sum()) / float(p.size - zeros.sum())
    return np.asarray(p.astype(F32) + (smoothing * zeros - less * (1 - zeros)).astype(F32))
