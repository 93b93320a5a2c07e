"""Levels that are not a grid: each the mean of the values it replaces, however these lie.

A grid spends its codes evenly over the range; weights lie thick around zero and thin outside. A codebook is a short list of
levels, free to stand where the values are. The best are those of k-means: it alternates two steps, each the best for the other
held fixed, so that the error never rises. It does not find the best of all; for a few thousand values dynamic programming does.

Letters     x values, w their weights (here: how much an error of each costs), q codes, c_a level a of A, E squared error
Not here: codes of unequal length (priced_levels), rows of several columns at once (product_quantization), codes chosen by what
they do to the loss (loss_weighted), bytes (streams). Read next: priced_levels.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SEEDINGS = ("linear", "density", "random", "k-means++")
_MOST = 1 << 16


class Codebook(NamedTuple):
    """Levels, increasing, and which of them each value takes: levels[codes] are the values as stored."""

    levels: Array  # (A,) in the dtype of x
    codes: Array  # the shape of x, uint8 or uint16


def nearest_codes(x: npt.ArrayLike, levels: npt.ArrayLike) -> Array:
    """Return the code of the nearest level: Lloyd's first condition, the best codes for given levels.

    Equation    q = argmin over a of |x - c_a|                                                                     (1)
    Shapes      x any, levels (A,) increasing -> the shape of x, integers
    Convention  a value midway between two levels takes the lower
    Raises      ValueError if x is not finite, or levels are empty, not finite or not increasing
    Source      Lloyd, Least Squares Quantization in PCM, 1982 (written 1957)

    >>> nearest_codes([-3.0, 0.5, 0.625, 9.0], [0.0, 1.0, 4.0]).tolist()
    [0, 0, 1, 2]
    """
    x, c = as_values(x), np.asarray(levels, np.float64)
    if c.ndim != 1 or not 0 < c.size <= _MOST or not np.isfinite(c).all() or (np.diff(c) <= 0).any():
        raise ValueError(f"levels have shape {c.shape}: {c.ravel()[:4]}...; give 1 to {_MOST} finite levels, increasing")
    above = np.clip(np.searchsorted(c, x), 1, max(c.size - 1, 1))  # the two neighbours are above - 1 and above
    upper = c[np.minimum(above, c.size - 1)]
    codes = np.where(np.abs(x - c[above - 1]) <= np.abs(upper - x), above - 1, above)  # (1)
    return np.asarray(codes)


def centroids(x: npt.ArrayLike, codes: Array, levels: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Array:
    """Return the weighted mean of the values of each code: Lloyd's second condition, the best levels for given codes.

    Equation    c_a <- c_a + sum over q = a of w (x - c_a) / sum over q = a of w                                   (2)
    Shapes      x any, codes and weight as x, levels (A,) -> (A,) float64
    Convention  a code that nothing takes keeps its level. The old level is only where the sum is taken from: values that equal
                it all leave it exactly where it is
    Source      Lloyd 1982; weighted as in Choi, El-Khamy, Lee 2017 (arXiv 1612.01543), equation 13

    >>> centroids([0.0, 1.0, 8.0], np.array([0, 0, 1]), [0.0, 8.0], weight=[1.0, 3.0, 1.0])
    array([0.75, 8.  ])
    """
    c = np.asarray(levels, np.float64)
    x, w = as_values(x), as_weights(weight, np.shape(x))
    with np.errstate(under="ignore"):
        mass = np.bincount(codes.ravel(), w.ravel(), c.size)
        moved = np.bincount(codes.ravel(), (w * (x - c[codes])).ravel(), c.size)
        return np.asarray(c + moved / np.where(mass > 0, mass, 1))  # (2)


def seed_levels(x: npt.ArrayLike, n_levels: int, seeding: str = "linear", rng: np.random.Generator | None = None) -> Array:
    """Return levels to start from.

    Equation    linear      min + (max - min) a / (A - 1), which keeps the few large values: the best of Deep Compression's three
                density     the value of rank (2 a + 1) / (2 A): as many values for each level
                random      A of the values, each as likely
                k-means++   the first at random, each next with probability ~ its squared distance to the nearest so far
    Shapes      x any -> (A,) or fewer where levels coincide, increasing
    Convention  linear with one level: the middle. The first two draw nothing
    Raises      ValueError if n_levels is outside 1 ... 65,536, x is empty, the name is unknown, or a drawing one has no rng
    Source      Han, Mao, Dally 2016 (Deep Compression), section 3.2; Arthur, Vassilvitskii 2007

    >>> seed_levels([0.0, 1.0, 1.0, 2.0, 8.0], 3).tolist(), seed_levels([0.0, 1.0, 1.0, 2.0, 8.0], 2, "density").tolist()
    ([0.0, 4.0, 8.0], [1.0, 2.0])
    """
    v = np.sort(as_values(x).ravel())
    if not 1 <= n_levels <= _MOST or not v.size or seeding not in SEEDINGS or (rng is None and seeding in SEEDINGS[2:]):
        raise ValueError(f"{n_levels} levels of {v.size} values by {seeding!r}, rng {rng}; give 1 to {_MOST}, {SEEDINGS}, an rng")
    if seeding == "linear":
        return np.unique(np.linspace(v[0], v[-1], n_levels) if n_levels > 1 else v[:1] / 2 + v[-1:] / 2)
    if seeding == "density":
        return np.unique(v[(2 * np.arange(n_levels) + 1) * v.size // (2 * n_levels)])
    assert rng is not None
    if seeding == "random":
        return np.unique(rng.choice(v, min(n_levels, v.size), replace=False))
    chosen = [float(v[rng.integers(v.size)])]
    with np.errstate(under="ignore"):
        distance = (v - chosen[0]) ** 2
        while len(chosen) < n_levels and distance.any():
            chosen.append(float(v[rng.choice(v.size, p=distance / distance.sum())]))
            distance = np.minimum(distance, (v - chosen[-1]) ** 2)
    return np.unique(chosen)


def k_means(
    x: npt.ArrayLike, n_levels: int, weight: npt.ArrayLike | None = None, seeding: str = "linear",
    rng: np.random.Generator | None = None, rounds: int = 200,
) -> Codebook:  # fmt: skip
    """Return A levels for equally long codes: weight sharing.

    Equation    (1) and (2) in turn until no level moves
    Shapes      x any, weight as x -> levels (A,) or fewer, codes as x
    Bound       sum of w |x - c_q|^2 never rises from one round to the next; where it stops depends on the start
    Limits      as many levels as different values: they are the values. Levels that nothing takes are left out
    Convention  codes are nearest to the levels after these are rounded to the dtype of x
    Raises      as seed_levels; ValueError if x is not finite or weights are negative or of another shape
    Source      Lloyd 1982; Han, Mao, Dally 2016 (Deep Compression), equation 2

    >>> book = k_means(np.float32([-1.0, -0.75, 0.0, 0.25, 4.0]), 3)
    >>> book.levels.tolist(), book.codes.tolist()
    ([-0.375, 4.0], [0, 0, 0, 0, 1])
    >>> k_means(np.float32([-1.0, -0.75, 0.0, 0.25, 4.0]), 3, seeding="density").levels.tolist()
    [-0.875, 0.125, 4.0]
    """
    levels = seed_levels(x, n_levels, seeding, rng).astype(np.float64)
    for _ in range(rounds):
        moved = np.unique(centroids(x, nearest_codes(x, levels), levels, weight))
        if np.array_equal(moved, levels):
            break
        levels = moved
    return _finish(x, levels)


def optimal_levels(x: npt.ArrayLike, n_levels: int, weight: npt.ArrayLike | None = None) -> Codebook:
    """Return the best A levels there are, by dynamic programming over the sorted values.

    Equation    E(a, j) = min over i of E(a - 1, i) + cost of one level for values i + 1 ... j                     (3)
                cost = sum w x^2 - (sum w x)^2 / sum w
    Shapes      x any, weight as x -> levels (A,) or fewer, codes as x
    Units       time A N^2, memory 16 N^2 bytes for N different values
    Bound       (3) is exact because the values of one level are neighbours: (1) cuts the line at midpoints
    Raises      ValueError if there are more than 3,000 different values (bin them, with counts as weights), else as k_means
    Source      Bruce 1965; Wang, Song 2011 (Ckmeans.1d.dp)

    >>> optimal_levels([-1.0, -0.75, 0.0, 0.25, 4.0], 2).levels.tolist()
    [-0.375, 4.0]
    """
    v, place = np.unique(as_values(x).ravel(), return_inverse=True)
    if not 1 <= n_levels <= _MOST or not 0 < v.size <= 3000:
        raise ValueError(f"{n_levels} levels for {v.size} different values; 1 to {_MOST} levels, and 1 to 3,000 values: bin them")
    w = np.bincount(place.ravel(), as_weights(weight, np.shape(x)).ravel(), v.size)
    with np.errstate(under="ignore"):
        u = v - (w @ v / w.sum() if w.any() else 0.0)  # subtle: around the mean, so that the difference in (3) cancels less
        s0, s1, s2 = (np.concatenate([[0.0], np.cumsum(t)]) for t in (w, w * u, w * u * u))
        m0, m1, m2 = (s[None, 1:] - s[:-1, None] for s in (s0, s1, s2))  # [i, j]: the sum over values i ... j
        cost = np.where(np.tri(v.size, k=-1, dtype=bool), np.inf, np.maximum(m2 - m1**2 / np.where(m0 > 0, m0, 1), 0))
    least, starts = cost[0], [np.zeros(v.size, np.intp)]
    for _ in range(min(n_levels, v.size) - 1):
        total = np.concatenate([[0.0], least[:-1]])[:, None] + cost  # (3)
        starts.append(total.argmin(axis=0))
        least = total.min(axis=0)
    first = [v.size]  # the first value of each cell, from the last cell to the first
    while first[-1] > 0:
        first.append(int(starts.pop()[first[-1] - 1]))
    cell = np.searchsorted(first[:0:-1], np.arange(v.size), side="right") - 1
    return _finish(x, np.unique(centroids(v, cell, v[first[:0:-1]], w)))


def as_values(x: npt.ArrayLike) -> Array:
    """Return x in float64, if its squares can be summed.

    Shapes      x any -> the same
    Raises      ValueError if a value is not finite or beyond 1e140
    Source      this package

    >>> as_values([1, 2])
    array([1., 2.])
    """
    v = np.asarray(x, np.float64)
    if not (np.abs(v) < 1e140).all():
        raise ValueError(f"x of shape {v.shape} holds {v[~(np.abs(v) < 1e140)][0]}; values must be finite and below 1e140")
    return v


def as_weights(weight: npt.ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """Return the weight of each value in float64; none given: 1 each.

    Shapes      weight as the values -> the same
    Raises      ValueError if the shape is another, or a weight is negative or not finite
    Source      this package

    >>> as_weights(None, (2,))
    array([1., 1.])
    """
    w = np.ones(shape) if weight is None else np.asarray(weight, np.float64)
    if w.shape != shape or not ((w >= 0) & (w < np.inf)).all():
        raise ValueError(f"weights have shape {w.shape}, x has {shape}; give one finite weight, 0 or more, for each value")
    return w


def sorted_book(x: npt.ArrayLike, levels: Array, codes: Array) -> Codebook:
    """Return a codebook in order: levels in the dtype of x, increasing, none unused, none twice; codes in the smallest dtype.

    Shapes      levels (A,), codes as x -> (A,) or fewer, codes as x
    Source      this package

    >>> sorted_book(np.float32([1, 2]), np.array([2.0, 9.0, 1.0]), np.array([2, 0]))
    Codebook(levels=array([1., 2.], dtype=float32), codes=array([0, 1], dtype=uint8))
    """
    values = _rounded(levels, x)[codes]
    kept, place = np.unique(values, return_inverse=True)
    return Codebook(kept, place.reshape(values.shape).astype(np.uint8 if kept.size <= 256 else np.uint16))


def _finish(x: npt.ArrayLike, levels: Array) -> Codebook:
    """Codes nearest to the levels as they will be stored."""
    levels = np.unique(_rounded(levels, x))
    return sorted_book(x, levels, nearest_codes(x, levels))


def _rounded(levels: Array, x: npt.ArrayLike) -> Array:
    dtype = np.asarray(x).dtype
    with np.errstate(under="ignore"):  # the mean of 0 and a subnormal
        return levels.astype(dtype if dtype in (np.float32, np.float64) else np.float64)
