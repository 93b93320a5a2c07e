"""Where to cut a histogram, so that a few outliers do not take the codes of all the rest.

Three ways to weigh what is clipped against what is coded more finely. A percentile fixes the share that is clipped. A
divergence asks how far the coded distribution is from the true one, each seen as a distribution over bins. A walk moves the ends
inward, quantile by quantile, while an estimate of the squared error falls.

Letters     counts (N,) per bin, edges (N + 1,) of the bins; m bins in a window, `levels` codes; p, q distributions
Not here: filling a histogram (histograms, collectors), the least squared error itself (least_squares). Read next: histograms.
"""
from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinycompress.grids import Array

Sides = Literal["both", "upper"]


def percentile_cut(
    counts: npt.ArrayLike, edges: npt.ArrayLike, percent: float, sides: Sides = "both", ends: Literal["outer", "lower"] = "outer"
) -> tuple[Array, Array]:
    """Return the range that holds at least `percent` of the counts.

    Equation    t = (100 - percent) / 200, or for sides="upper" (100 - percent) / 100                          (1)
                hi: of the first bin whose cumulative share reaches 1 - t; lo: of the first that exceeds t     (2)
    Shapes      counts (N,), edges (N + 1,) -> lo, hi (), dtype of edges
    Bound       ends="outer": at most t of the counts lie below lo, and at most t above hi
    Convention  sides="upper" cuts one end, for histograms of |x|: lo is edges[0]. ends="lower" takes the lower edge of both bins
                and of the first that reaches t, as ONNX Runtime and modelopt do: part of the last bin is then clipped too
    Raises      ValueError if percent is outside (0, 100] or there are no counts
    Source      McKinstry et al. 2018 (arXiv 1809.04191), section 3; onnxruntime 1.32.0 calibrate.py

    >>> percentile_cut([1, 98, 1], [-3.0, -1.0, 1.0, 3.0], 98.0)
    (array(-1.), array(1.))
    """
    counts, edges = np.asarray(counts), np.asarray(edges)
    total = counts.sum()
    if not 0 < percent <= 100 or not total > 0:
        raise ValueError(f"percent is {percent} of {total} counts; use a share above 0 and up to 100, of at least one value")
    tail = (100.0 - percent) / (200.0 if sides == "both" else 100.0)  # (1)
    if ends == "lower":
        share = np.cumsum(counts / total)
        high = np.searchsorted(share, 1.0 - tail if sides == "both" else percent / 100.0)
        low = np.searchsorted(share, tail) if sides == "both" else 0
        return np.asarray(edges[low]), np.asarray(edges[high])
    # whole counts instead of shares: a share of 1 may round to less than 1
    low = np.argmax(np.cumsum(counts) > tail * total) if sides == "both" else 0
    high = len(counts) - 1 - np.argmax(np.cumsum(counts[::-1]) > tail * total)  # (2)
    return np.asarray(edges[low]), np.asarray(edges[high + 1])


def divergence_cut(
    counts: npt.ArrayLike, edges: npt.ArrayLike, levels: int = 256, smoothing: float = 1e-4
) -> tuple[Array, Array]:
    """Return the window about zero whose codes have the least divergence from the counts.

    Equation    p = the counts of the window, those beyond it added to its end bins
                q = the counts of the window alone, merged into `levels` equal cells, each spread evenly over its bins with p > 0;
                    where that leaves 0, `smoothing` of a count
                D = sum p log(p / q), p and q normalised                                                      (3)
    Shapes      counts (N,), edges (N + 1,) with 0 among them -> lo, hi (), dtype of edges
    Limits      fewer bins with counts than levels: nothing to gain, the range of all counts
    Convention  windows [-i, i) bins about zero, cut to where counts are; of windows with equal D the widest. Without smoothing a
                window that ends where nothing lies would have infinite D, for all that is clipped is put there
    Raises      ValueError if zero is not an edge, or there are no counts
    Source      Migacz 2017, "8-bit inference with TensorRT" (GTC), slide "KL divergence"

    >>> x = np.arange(-1024.0, 1025.0)
    >>> counts = np.round(1e5 * np.exp(-np.abs(x[:-1] + 0.5) / 32)); counts[-1] = 1
    >>> divergence_cut(counts, x, levels=128)
    (array(-319.), array(319.))
    """
    counts, edges = np.asarray(counts, np.float64), np.asarray(edges)
    zero = int(np.searchsorted(edges, 0))
    if zero >= len(edges) or edges[zero] != 0 or not counts.any():
        raise ValueError(f"the edges run from {edges[0]} to {edges[-1]}, {counts.sum()} counts; give counts, and an edge at zero")
    seen = np.flatnonzero(counts)
    first, last = int(seen[0]), int(seen[-1]) + 1
    best, window = np.inf, (first, last)
    for half in range(1, max(last - zero, zero - first) + 1):
        start, stop = max(first, zero - half), min(last, zero + half)
        if stop - start >= levels:
            d = divergence(*window_distributions(counts, start, stop, levels, smoothing))
            if d <= best:  # (3)
                best, window = d, (start, stop)
    return np.asarray(edges[window[0]]), np.asarray(edges[window[1]])


def window_distributions(counts: Array, start: int, stop: int, levels: int, smoothing: float = 1e-4) -> tuple[Array, Array]:
    """Return p and q of a window of bins, as divergence_cut defines them, not normalised.

    Shapes      counts (N,) -> p, q (stop - start,)
    Source      as divergence_cut

    >>> window_distributions(np.array([1.0, 3.0, 1.0, 0.0, 2.0]), 1, 5, 2)
    (array([4., 1., 0., 2.]), array([2., 2., 0., 2.]))
    """
    inside = counts[start:stop]
    p = inside.copy()
    p[0] += counts[:start].sum()
    p[-1] += counts[stop:].sum()
    cell = np.arange(len(p)) * levels // len(p)
    share = np.bincount(cell, inside, levels) / np.maximum(np.bincount(cell, p > 0, levels), 1)
    return p, np.where(p > 0, np.where(share[cell] > 0, share[cell], smoothing), 0.0)


def divergence(p: Array, q: Array) -> float:
    """Return the Kullback-Leibler divergence of q from p, both normalised; infinite where q is 0 and p is not.

    Equation    D = sum p log(p / q)
    Shapes      p, q (m,) -> ()
    Source      Kullback and Leibler 1951

    >>> divergence(np.array([1.0, 1.0]), np.array([2.0, 2.0]))
    0.0
    """
    from scipy.special import rel_entr

    if not q.any():
        return float(np.inf)
    return float(rel_entr(p / p.sum(), q / q.sum()).sum())


def walk_cut(counts: Array, lo: Array, hi: Array, levels: int = 256, step: float = 1e-5) -> tuple[Array, Array]:
    """Return the range reached by moving the ends inward, a quantile at a time, while the estimated squared error falls.

    Equation    a move takes that end whose next quantile (another `step` of the counts) lies further away, in bins
                error = sum over bins of the integral of (x - centre of its cell)^2, x spread evenly over the bin   (4)
    Shapes      counts (N,) float32, lo and hi () float32 -> lo, hi () float32
    Limits      the first move is compared with nothing, so the last bin goes even where that raises the error; for 5,000 values
                drawn from four distributions (normal, Laplace, t, exponential) it was the only one to go
    Convention  torch's: float32 throughout, the first move that raises the error ends the walk, a code for each of `levels` equal
                cells. The sum of (4) is rounded once; torch adds in blocks, which may tip a near tie
    Source      torch 2.13.0 observer.py, HistogramObserver._non_linear_param_search; caffe2 norm_minimization.cc

    >>> walk_cut(np.ones(16, np.float32), np.float32(-1), np.float32(1))
    (array(-1., dtype=float32), array(0.875, dtype=float32))
    """
    bins, total = len(counts), float(counts.sum(dtype=np.float64))
    cumulative = np.cumsum(counts, dtype=np.float64).astype(np.float32)
    start, end, alpha, beta, least = 0, bins - 1, 0.0, 1.0, np.inf
    width = (float(hi) - float(lo)) / bins
    while alpha < beta:
        left = min(max(start, int(np.searchsorted(cumulative, np.float32((alpha + step) * total)))), end)
        right = max(min(end, int(np.searchsorted(cumulative, np.float32((beta - step) * total), "right")) - 1), start)
        if left - start > end - right:
            alpha, moved = alpha + step, (left, end)
        else:
            beta, moved = beta - step, (start, right)
        if moved != (start, end):
            error = _cell_error(counts, width, *moved, levels)
            if error > least:
                break
            least, (start, end) = error, moved
    bin_width = (np.float32(hi) - np.float32(lo)) / np.float32(bins)
    return np.asarray(lo + bin_width * np.float32(start)), np.asarray(lo + bin_width * np.float32(end + 1))


def _cell_error(counts: Array, width: float, start: int, end: int, levels: int) -> float:
    """The sum of (4) if the bins start ... end are spread over `levels` cells."""
    cell = width * (end - start + 1) / levels
    if cell == 0:
        return 0.0
    w, half = np.float32(cell), np.float32(cell / 2)
    begin = (np.arange(len(counts)) - start).astype(np.float32) * np.float32(width)
    stop = begin + np.float32(width)
    first, last = (np.clip(np.floor_divide(x, w), 0, levels - 1) for x in (begin, stop))
    density = counts / np.float32(width)

    def integral(a: Any, b: Any) -> Any:
        return density * ((b * b * b - a * a * a) / np.float32(3))

    error = integral(begin - (first + np.float32(0.5)) * w, half)
    error = error + (last - first - 1) * integral(-half, half)
    error = error + integral(-half, stop - (last * w + half))
    return float(np.float32(error.sum(dtype=np.float64)))
