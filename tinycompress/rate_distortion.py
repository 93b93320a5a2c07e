"""The least error at a given rate, and how near each way of choosing levels comes to it.

At R bits a value no coder, however clever, errs by less than Shannon's limit of the source: four times less squared error for
each further bit, 6.02 dB. A uniform grid whose codes go through an entropy coder is a quarter of a bit away at high rate,
whatever the source, and no choice of levels for single values wins it back there: only cells of many values at once can. At one
or two bits a value levels matter, and so does whether the codes are coded.

Why a quarter: with small steps s the density is flat within a step, so E = s^2 / 12, and the codes' entropy is R = h - log2 s
with h the differential entropy. Shannon's bound for that error is R* = h - log2(2 pi e E) / 2. The difference is
log2(2 pi e s^2 / 12) / 2 - log2 s = log2(pi e / 6) / 2 = 0.2546 bit, or 10 log10(pi e / 6) = 1.53 dB of error at the same rate:
what a cube loses against a ball as the shape of a cell.

Letters     x values, v their variance, q codes, c_a level a of A, n_a how often it is used, b_a bits of its code, s step,
            E mean squared error, R rate in bits a value, h differential entropy in bits
Not here: a coder that reaches the entropy (coding). Read next: loss_weighted.
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import as_values, k_means
from tinycompress.priced_levels import code_lengths, entropy_constrained

Array = npt.NDArray[Any]
CUBE_LOSS_BITS = float(np.log2(np.pi * np.e / 6) / 2)
CUBE_LOSS_DECIBELS = float(10 * np.log10(np.pi * np.e / 6))
SOURCES = ("gaussian", "laplacian", "uniform")


class Point(NamedTuple):
    """What one way of coding costs and loses."""

    method: str
    rate: float  # bits a value
    error: float  # mean squared error


def code_entropy(codes: Array) -> float:
    """Return the bits a value takes in an ideal coder that knows how often each code occurs.

    Equation    R = sum n_a b_a / n
    Shapes      codes any integers -> a number; no codes: 0.0
    Source      Shannon 1948

    >>> code_entropy(np.array([7, 7, -1, 3]))
    1.5
    """
    place = np.unique(codes, return_inverse=True)[1].ravel()
    return float(code_lengths(place, 0)[place].mean()) if place.size else 0.0


def sqnr(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Return the signal-to-quantization-noise ratio of y in place of x, in decibels.

    Equation    10 log10(sum x^2 / sum (x - y)^2); no error: inf, error but no signal: -inf, neither: nan
    Shapes      x any, y as x -> a number
    Raises      ValueError if the shapes differ
    Source      textbook

    >>> sqnr([8.0, 6.0], [8.0, 5.0])
    20.0
    """
    x, y = as_values(x), as_values(y)
    if x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape}, y {y.shape}; compare values of one shape")
    with np.errstate(all="ignore"):
        return float(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))


def differential_entropy(source: str, variance: float = 1.0) -> float:
    """Return the differential entropy of a source, in bits.

    Equation    gaussian log2(2 pi e v) / 2,  laplacian log2(2 e^2 v) / 2,  uniform log2(12 v) / 2
    Shapes      -> a number
    Raises      ValueError if the source is another, or variance is not positive
    Source      Cover, Thomas, Elements of Information Theory, table 17.1

    >>> differential_entropy("uniform", 1 / 12)
    0.0
    """
    if source not in SOURCES or not 0 < variance < np.inf:
        raise ValueError(f"source {source!r} of variance {variance}; give one of {SOURCES}, and a positive variance")
    return float(np.log2({"gaussian": 2 * np.pi * np.e, "laplacian": 2 * np.e**2, "uniform": 12.0}[source] * variance) / 2)


def shannon_error(rate: float, source: str = "gaussian", variance: float = 1.0) -> float:
    """Return the squared error below which no coder of that rate comes.

    Equation    E >= 2^(2 (h - R)) / (2 pi e)                                                                     (1)
    Shapes      -> a number
    Limits      gaussian: v 2^(-2 R), reached by long blocks; laplacian e/pi v 2^(-2 R) and uniform 6/(pi e) v 2^(-2 R) are bounds
                that are reached as R -> inf only: at R = 0 the error is v, and (1) says less
    Raises      as differential_entropy
    Source      Shannon 1959; Cover, Thomas, theorem 10.3.2 and problem 10.8

    >>> round(shannon_error(1.0), 12), round(shannon_error(1.0, "laplacian") * np.pi / np.e, 12)
    (0.25, 0.25)
    """
    return float(2 ** (2 * (differential_entropy(source, variance) - rate)) / (2 * np.pi * np.e))


def shannon_rate(error: float, source: str = "gaussian", variance: float = 1.0) -> float:
    """Return the rate below which no coder errs by so little: shannon_error turned round.

    Equation    R >= max(0, h - log2(2 pi e E) / 2)
    Shapes      -> a number
    Raises      ValueError if error is not positive, else as differential_entropy
    Source      as shannon_error

    >>> round(shannon_rate(0.25), 12), shannon_rate(2.0)
    (1.0, 0.0)
    """
    if not error > 0:
        raise ValueError(f"error is {error}; give a squared error above 0")
    return max(0.0, differential_entropy(source, variance) - float(np.log2(2 * np.pi * np.e * error)) / 2)


def source_values(source: str, n: int) -> Array:
    """Return n values that lie as a source of mean 0 and variance 1 does, without chance.

    Equation    the quantiles F^-1((i + 1/2) / n)
    Shapes      -> (n,) increasing; their variance comes near 1 from below, as the tails beyond 1 / (2 n) are missing
    Raises      ValueError if the source is another, or n is below 1
    Source      textbook

    >>> source_values("laplacian", 2) / np.log(2) * 2**0.5
    array([-1.,  1.])
    """
    if source not in SOURCES or n < 1:
        raise ValueError(f"{n} values of source {source!r}; give 1 or more of one of {SOURCES}")
    p = (np.arange(n) + 0.5) / n
    if source == "gaussian":
        from scipy.special import ndtri

        return np.asarray(ndtri(p))
    if source == "uniform":
        return np.asarray(np.sqrt(12) * (p - 0.5))
    return np.asarray(np.sign(p - 0.5) * -np.log(2 * np.minimum(p, 1 - p)) / np.sqrt(2))


def uniform_point(x: npt.ArrayLike, bits: int, tries: int = 200) -> Point:
    """Return the best evenly spaced levels for codes of equal length, around the middle of the range.

    Equation    c_a = middle + (a - (A - 1) / 2) s, A = 2^bits;  s = t (max - min) / (A - 1) for t = 1/tries ... 1, the least E
    Shapes      x any -> Point
    Source      Max 1960, Quantizing for Minimum Distortion

    >>> uniform_point([-1.5, -0.5, 0.5, 1.5], 2)
    Point(method='uniform', rate=2.0, error=0.0)
    """
    v = as_values(x)
    low, high, a = float(v.min()), float(v.max()), 2**bits
    middle, least = (low + high) / 2, float(v.var() if high > low else 0)
    for t in np.arange(1, tries + 1) / tries if high > low else ():
        s = t * (high - low) / (a - 1)
        q = np.clip(np.floor((v - middle) / s), -a / 2, a / 2 - 1)
        least = min(least, float(((v - middle - (q + 0.5) * s) ** 2).mean()))
    return Point("uniform", float(bits), least)


def k_means_point(x: npt.ArrayLike, bits: int) -> Point:
    """Return the better of two k-means codebooks of 2^bits levels, started evenly and by density.

    Shapes      x any -> Point
    Source      Lloyd 1982

    >>> k_means_point([0.0, 1.0, 5.0, 9.0], 2)
    Point(method='k-means', rate=2.0, error=0.0)
    """
    v = as_values(x)
    books = (k_means(v, 2**bits, seeding=seeding) for seeding in ("linear", "density"))
    return Point("k-means", float(bits), min(float(((v - b.levels[b.codes]) ** 2).mean()) for b in books))


def coded_uniform_point(x: npt.ArrayLike, step: float) -> Point:
    """Return the whole grid of that step, zero among its levels, with codes through an ideal entropy coder.

    Equation    q = half_even(x / s), R = entropy of q, E = mean of (x - s q)^2
    Shapes      x any -> Point
    Limits      s -> 0: CUBE_LOSS_BITS from (1), for every source with a density
    Source      Gish, Pierce 1968, Asymptotically Efficient Quantizing

    >>> coded_uniform_point([0.0, 0.25, 1.0, -1.0], 1.0)
    Point(method='entropy-coded uniform', rate=1.5, error=0.015625)
    """
    v = as_values(x)
    q = np.rint(v / step)
    return Point("entropy-coded uniform", code_entropy(q), float(((v - step * q) ** 2).mean()))


def entropy_constrained_point(x: npt.ArrayLike, step: float) -> Point:
    """Return what `entropy_constrained` reaches for the price whose natural step that is.

    Equation    lambda = s^2 ln 2 / 6, from levels s apart
    Shapes      x any -> Point
    Bound       E + lambda R is at most that of the levels it starts from
    Source      Chou, Lookabaugh, Gray 1989

    >>> entropy_constrained_point([0.0, 0.0, 4.0, 4.0], 0.5)
    Point(method='entropy-constrained', rate=1.0, error=0.0)
    """
    v = as_values(x)
    book = entropy_constrained(v, step**2 * np.log(2) / 6)
    return Point("entropy-constrained", code_entropy(book.codes), float(((v - book.levels[book.codes]) ** 2).mean()))


def operational_points(x: npt.ArrayLike, bits: Iterable[int] = (1, 2, 3, 4)) -> list[Point]:
    """Return what four ways of choosing levels cost and lose, near each number of bits.

    Equation    entropy-coded at s = 4 std 2^-bits, which costs a Gaussian about `bits`
    Shapes      x any -> four points for each number of bits
    Source      the four functions above

    >>> [p.method for p in operational_points([0.0, 1.0, 2.0, 4.0], [1])]
    ['uniform', 'k-means', 'entropy-coded uniform', 'entropy-constrained']
    """
    v, points = as_values(x), []
    for b in bits:
        s = 4 * float(v.std()) * 2.0**-b
        points += [uniform_point(v, b), k_means_point(v, b), coded_uniform_point(v, s), entropy_constrained_point(v, s)]
    return points
