"""The grid with the least squared error: how much to clip so that clipping and rounding together cost least.

A narrower range rounds every value finer and clips a few; the squared error of both has a minimum. This file tries every pair
of ends on a stated list, then looks at scales near the best few, and where the slope is zero for the codes as they are, until
nothing gains.

The trick that makes it cheap: with x sorted, all values of one code are neighbours, and the error of a whole block of them is a
quadratic in s whose coefficients are differences of running sums. A candidate costs n look-ups, however many x there are.

Letters     x values, c their weights (how often each occurs), q codes, s scale, z zero_point, n = qmax - qmin steps;
            j = q - z the value in steps, E the squared error
Not here: ranges from batches (calibration, histograms). Read next: fixed_point, quantization_aware.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.grids import Array, Grid, asymmetric_grid, code_range, symmetric_grid


def least_squares_grid(
    x: npt.ArrayLike, bits: int = 8, axis: int | None = None, signed: bool = True, symmetric: bool = True, narrow: bool = False,
    weights: npt.ArrayLike | None = None, cuts: int = 64, also: Iterable[Grid] = (),
) -> Grid:  # fmt: skip
    """Return the grid with the least sum of c (x - (q - z) s)^2, one for all of x or one per slice of `axis`.

    Equation    E(s, z) = sum c (x - j s)^2, j = clip(half_even(x / s), qmin - z, qmax - z)                   (1)
                all ends lo i/m, hi k/m for i, k = 1 ... m (symmetric: absmax i/m^2, i = 1 ... m^2),
                    s = width / n, z = half_even(qmin - lo / s)                                               (2)
                from the 8 best, while E falls: the best s (1 + t), for t = i/1024 from -1/32 to 1/32 and
                    t = +-2^-11 ... +-2^-20,                                                                  (3)
                    or s <- sum c j x / sum c j^2 from there                                                  (4)
    Shapes      x any, weights as x -> scale and zero_point (), or (n,) with one of each per slice of `axis`
    Units       time: 2 m^2 min(n, N) look-ups and as many again per descent; minutes at 16 bits and many values, where the
                plain grid loses next to nothing
    Bound       E is at most that of every candidate (2) with m = `cuts`, of the plain grid (symmetric_grid, asymmetric_grid), and
                of every grid in `also`, up to the rounding of the running sums, N 2^-52 sum c x^2 for N values
    Limits      no values, or zeros only: the plain grid
    Convention  symmetric: z = 0, for unsigned codes their middle. narrow=False uses the lowest code, which a large value of its
                sign may need. Among equal errors the widest range. For a histogram x are the middles of its bins, weights its
                counts. The exact minimum of a stated list of grids and a local one near it, not of all real s
    Raises      ValueError if bits is outside 2 ... 16, x is not finite, weights are negative or of another shape, or cuts < 1
    Source      exhaustive search as in Choukroun et al. 2019 (arXiv 1902.06822); (3) is Lloyd 1982 with equal spacing

    >>> x = [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0] * 25 + [4.5]
    >>> [round(float(squared_error(x, grid)), 2) for grid in (symmetric_grid(x, bits=3), least_squares_grid(x, bits=3))]
    [25.0, 2.22]
    """
    x = np.asarray(x, np.float64)
    c = np.ones(x.shape) if weights is None else np.asarray(weights, np.float64)
    if c.shape != x.shape or not (c >= 0).all() or not np.isfinite(x).all() or cuts < 1:
        raise ValueError(f"x has shape {x.shape}, weights {c.shape}, cuts is {cuts}; give finite x, weights >= 0, cuts >= 1")
    qmin, qmax = code_range(bits, signed, narrow)
    slices = [(x.ravel(), c.ravel())] if axis is None else [
        (row.ravel(), of_row.ravel()) for row, of_row in zip(np.moveaxis(x, axis, 0), np.moveaxis(c, axis, 0))
    ]  # fmt: skip
    rivals = [(g.scale.astype(np.float64).ravel(), g.zero_point.ravel()) for g in also]
    best = []
    for i, (values, count) in enumerate(slices):
        given = [(s[i % len(s)], z[i % len(z)]) for s, z in rivals]
        plain = symmetric_grid(values, bits) if symmetric else asymmetric_grid(values, bits, signed=signed)
        given.append((plain.scale, (qmin + qmax + 1) // 2 if symmetric else plain.zero_point))
        best.append(_best(values[count > 0], count[count > 0], qmin, qmax, symmetric, cuts, given))
    scale, zero_point = np.array([s for s, _ in best], np.float32), np.array([z for _, z in best], np.int64)
    return Grid(scale[0], zero_point[0], qmin, qmax) if axis is None else Grid(scale, zero_point, qmin, qmax, axis)


def squared_error(x: npt.ArrayLike, grid: Grid, weights: npt.ArrayLike | None = None) -> Array:
    """Return E of (1) in least_squares_grid, each value by itself, in float64.

    Shapes      x any, weights as x -> ()
    Source      as least_squares_grid

    >>> float(squared_error([0.0, 1.0, 1.25], Grid(1.0, 0, -1, 1)))
    0.0625
    """
    x = np.asarray(x, np.float64)
    scale, zero_point = grid.along(x.ndim)
    s = scale.astype(np.float64)
    with np.errstate(under="ignore"):
        error = (x - np.clip(np.rint(x / s), grid.qmin - zero_point, grid.qmax - zero_point) * s) ** 2
        return np.asarray(error.sum() if weights is None else (error * np.asarray(weights)).sum())


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sorted x, and the running sums of c, c x and c x^2 with a 0 in front."""

    x: Array
    c: Array
    cx: Array
    cxx: Array


def _running_sums(x: Array, c: Array) -> _Sums:
    order = np.argsort(x)
    x, c = x[order], c[order]
    return _Sums(x, *(np.concatenate([[0.0], np.cumsum(v)]) for v in (c, c * x, c * x * x)))


def _errors(sums: _Sums, scale: Array, zero: Array, qmin: int, qmax: int) -> tuple[Array, Array, Array]:
    """E of (1), sum c j x and sum c j^2, for each (s, z)."""
    if len(sums.x) <= qmax - qmin:  # fewer values than codes: each by itself is cheaper
        nearest = np.rint(sums.x / np.maximum(scale, 1e-300)[:, None])
        j = np.clip(nearest, (qmin - zero)[:, None], (qmax - zero)[:, None])  # (K, N)
        jx, jj = (j * np.diff(sums.cx)).sum(axis=1), (j * j * np.diff(sums.c)).sum(axis=1)
        return sums.cxx[-1] - 2 * scale * jx + scale**2 * jj, jx, jj
    j = np.arange(qmin, qmax + 1) - zero[:, None]  # (K, n + 1)
    # which way a tie goes does not matter here: a value halfway between two codes errs by the same with either
    cut = np.searchsorted(sums.x, (j[:, 1:] - 0.5) * scale[:, None], "right")
    cut = np.concatenate([np.zeros((len(scale), 1), int), cut, np.full((len(scale), 1), len(sums.x))], axis=1)
    jx = (j * np.diff(sums.cx[cut], axis=1)).sum(axis=1)
    jj = (j * j * np.diff(sums.c[cut], axis=1)).sum(axis=1)
    return sums.cxx[-1] - 2 * scale * jx + scale**2 * jj, jx, jj


def _candidates(x: Array, qmin: int, qmax: int, symmetric: bool, cuts: int) -> tuple[Array, Array]:
    """Scales and zero points of (2), the widest range first."""
    part = np.arange(cuts, 0, -1) / cuts
    lo, hi = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    if symmetric:
        middle = (qmin + qmax + 1) // 2
        part = np.arange(cuts**2, 0, -1) / cuts**2
        return max(-lo, hi) * part / (qmax - middle), np.full(cuts**2, middle)
    low, high = (a.ravel() for a in np.meshgrid(lo * part, hi * part, indexing="ij"))
    scale = high / (qmax - qmin) - low / (qmax - qmin)
    zero = np.clip(np.rint(qmin - low / np.maximum(scale, np.finfo(float).tiny)), qmin, qmax)
    return scale, zero.astype(np.int64)


def _best(x: Array, c: Array, qmin: int, qmax: int, symmetric: bool, cuts: int, also: list[tuple[Any, Any]]) -> tuple[float, int]:
    """The best (s, z) for one set of values; `also` ends with the plain grid."""
    if not x.any():
        return float(also[-1][0]), int(also[-1][1])
    with np.errstate(under="ignore", over="ignore"):
        scale, zero = _candidates(x, qmin, qmax, symmetric, cuts)
        scale = np.concatenate([scale, [s for s, _ in also]]).astype(np.float32).astype(np.float64)
        zero = np.concatenate([zero, [z for _, z in also]]).astype(np.int64)
        usable = (scale > 0) & np.isfinite(scale)
        scale, zero = scale[usable], zero[usable]
        sums = _running_sums(x, c)
        some = max(1, 2**20 // min(qmax - qmin, len(x)))  # candidates at a time, for memory's sake
        blocks = [slice(i, i + some) for i in range(0, len(scale), some)]
        error = np.concatenate([_errors(sums, scale[b], zero[b], qmin, qmax)[0] for b in blocks])
        starts = np.argsort(error, kind="stable")[:8]
        ends = [_descend(sums, float(scale[i]), int(zero[i]), float(error[i]), qmin, qmax) for i in starts]
    _, s, z = min(ends, key=lambda end: end[0])
    return s, z


def _descend(sums: _Sums, s: float, z: int, least: float, qmin: int, qmax: int) -> tuple[float, float, int]:
    """E, s and z after steps (3) and (4) for as long as they gain."""
    factor = 1 + np.concatenate([np.arange(-32, 33) / 1024, 2.0 ** np.arange(-20, -10), -(2.0 ** np.arange(-20, -10))])
    while True:
        scale, zero = s * factor, np.full(len(factor), z)
        _, jx, jj = _errors(sums, scale, zero, qmin, qmax)
        fitted = np.where(jj > 0, jx / np.maximum(jj, 1e-300), scale)  # (4)
        scale, zero = np.concatenate([scale, fitted]).astype(np.float32).astype(np.float64), np.tile(zero, 2)
        error = np.where(scale > 0, _errors(sums, scale, zero, qmin, qmax)[0], np.inf)
        at = int(np.argmin(error))
        if not error[at] < least:
            return least, s, z
        s, least = float(scale[at]), float(error[at])  # (3)
