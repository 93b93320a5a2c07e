"""Levels for codes that are not equally long: the error of a value weighed against the bits of its code.

If an entropy coder follows, a frequent code costs few bits and a rare one many. Then the nearest level is not always the best: a
value may take one a little farther whose code is shorter, and levels that few values take die out. Three steps in turn, each the
best for the other two held fixed: codes, levels, lengths. What it reaches per bit no equally long codes reach.

Letters     x values, w their weights, q codes, c_a level a of A, n_a how often it is used, b_a bits of its code, E squared error,
            R bits per value, lambda the price of a bit in squared error
Not here: the coder that spends these bits (coding), and what they cost against the least possible (rate_distortion).
Read next: column_codebooks.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import Codebook, as_values, as_weights, centroids, nearest_codes, sorted_book

Array = npt.NDArray[Any]
_MOST = 1 << 16


def code_lengths(codes: Array, n_levels: int) -> Array:
    """Return the bits of each code for a coder that knows how often it occurs.

    Equation    b_a = -log2(n_a / n); inf for a code that never occurs                                             (1)
    Shapes      codes any -> (A,)
    Bound       no other lengths with sum of 2^-b_a <= 1 make sum n_a b_a smaller (Gibbs)
    Source      Shannon 1948

    >>> code_lengths(np.array([0, 0, 1, 3]), 4).tolist()
    [1.0, 2.0, inf, 2.0]
    """
    n = np.bincount(codes.ravel(), minlength=n_levels)
    return np.where(n > 0, np.log2(max(codes.size, 1) / np.maximum(n, 1)), np.inf)


def entropy_constrained(
    x: npt.ArrayLike, price: float, weight: npt.ArrayLike | None = None, levels: npt.ArrayLike | None = None, rounds: int = 100
) -> Codebook:
    """Return levels and codes whose squared error plus price of their bits is small.

    Equation    J = sum of w (x - c_q)^2 + lambda b_q;  in turn: q = argmin over a of w (x - c_a)^2 + lambda b_a;  (1);  (2)
    Shapes      x any, weight as x, levels (A,) to start from -> levels, codes as x
    Bound       J never rises: each of the three is the best for the other two. A level that nothing takes is gone for good
    Limits      lambda -> 0: k_means from `levels`; lambda -> inf: one level, the mean
    Convention  without `levels` they start one natural step apart: at high rate E = s^2 / 12 and R = h - log2 s, so that
                -dE/dR = s^2 ln 2 / 6 = lambda gives s = sqrt(6 lambda / ln 2). Among equal costs the lower level. It stops when J
                falls by less than a millionth. A codebook itself costs bits too: leave it few levels where values are few
    Raises      ValueError if price is negative or not finite, or so small that it starts more than 65,536 levels; else as k_means
    Source      Chou, Lookabaugh, Gray 1989, Entropy-Constrained Vector Quantization

    >>> x = [0.0] * 6 + [1.0, 4.0]
    >>> [entropy_constrained(x, price, levels=[0, 1, 4]).levels.tolist() for price in (0.01, 0.5)]
    [[0.0, 1.0, 4.0], [0.14285714285714285, 4.0]]
    """
    v = as_values(x)
    w = as_weights(weight, v.shape)
    if not 0 <= price < np.inf or not v.size:
        raise ValueError(f"price is {price} for {v.size} values; give a finite price of a bit, 0 or more, and values")
    c = np.asarray(_natural_levels(v, w, price) if levels is None else levels, np.float64)
    codes, last = nearest_codes(v, c), np.inf
    price = min(price, 1e300)  # so that J is finite; beside a bit as dear as this an error is lost in rounding anyway
    with np.errstate(under="ignore"):
        for _ in range(rounds):
            c = centroids(v, codes, c, w)  # (2)
            used = np.bincount(codes.ravel(), minlength=c.size) > 0
            c, codes = c[used], (np.cumsum(used) - 1)[codes]
            b = code_lengths(codes, c.size)  # (1)
            least = np.full(v.shape, np.inf)
            for a in range(c.size):  # one level at a time, for memory's sake
                cost = w * (v - c[a]) ** 2 + price * b[a]
                codes = np.where(cost < least, a, codes)
                least = np.minimum(cost, least)
            if not (total := float(least.sum())) < last * (1 - 1e-6):
                break
            last = total
    return sorted_book(x, centroids(v, codes, c, w), codes)


def _natural_levels(v: Array, w: Array, price: float) -> Array:
    """Evenly spaced levels over the range, one natural step apart, the mean among them."""
    with np.errstate(under="ignore", over="ignore"):
        mean = float((w * v).sum() / w.sum()) if w.any() else float(v.flat[0])
        step = max(np.sqrt(6 * price / np.log(2) / max(float(w.mean()), 1e-300)), 1e-300)
        step = min(step, 1e300)  # inf where weights are next to nothing; a step beyond the values leaves one level, however far
        low, high = ((float(end) - mean) / step for end in (v.min(), v.max()))
    if high - low > _MOST - 2:
        raise ValueError(f"price {price} starts {high - low:.3g} levels; give a larger price, or levels to start from")
    return np.asarray(mean + step * np.arange(np.floor(low), np.ceil(high) + 1))
