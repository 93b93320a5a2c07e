"""Every measure of quality by one name, and how sure a difference of two of them is.

What to ask of a compressed model, and with which function:
    same class as the truth?           accuracy, precision, recall, f1, confusion_matrix      (classification)
    the bought item among the first?   hit_rate, recall_at_k, precision_at_k                  (retrieval)
    and how far up?                    ndcg, mrr, average_precision                           (ranking)
    positives above negatives?         auc                                                    (probabilities)
    as sure as it should be?           log_loss, calibration_error                            (probabilities)
    the same products as before?       top_k_overlap                                          (retrieval)
    a real difference, or noise?       mean_and_error, paired_bootstrap, group_means          (here)

A hit rate of .54 over 4,074 users has a standard error of .008, more than most compressions cost. But the same users judge
both models, so their differences, user by user, are what to average: what is equal for both cancels. That is why the
ranking metrics return one value per row with average=None, and why the functions here take such columns.

Letters     N rows, one per user or query; G groups of them
Not here: bytes and time (cost), tables (report). Read next: cost.
"""
from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.classification import accuracy, confusion_matrix, f1, precision, recall
from tinycompress.probabilities import auc, calibration_error, log_loss
from tinycompress.ranking import average_precision, mrr, ndcg
from tinycompress.retrieval import hit_rate, precision_at_k, recall_at_k, top_k_overlap

__all__ = [  # noqa: RUF022 (in reading order)
    "confusion_matrix", "accuracy", "precision", "recall", "f1", "hit_rate", "recall_at_k", "precision_at_k", "ndcg", "mrr",
    "average_precision", "auc", "log_loss", "calibration_error", "top_k_overlap", "Estimate", "Interval", "Groups",
    "mean_and_error", "paired_bootstrap", "group_means",
]  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A mean over rows and how far it would move with other rows."""

    mean: float
    error: float  # standard error of the mean; NaN with fewer than 2 rows
    n: int


@dataclass(frozen=True)
class Interval:
    """A mean and the interval in which it is expected to lie."""

    mean: float
    low: float
    high: float
    level: float  # share of such intervals that hold the true mean, as far as the rows are like the population
    repeats: int


@dataclass(frozen=True)
class Groups:
    """Means of rows that share a label, in the order of the labels."""

    labels: NDArray[Any]  # (G,) sorted
    means: NDArray[np.float64]  # (G,)
    counts: NDArray[np.int64]  # (G,)


def _column(values: ArrayLike) -> NDArray[np.float64]:
    """Return one finite float64 per row, or say what is wrong."""
    x = np.asarray(values)
    if x.ndim != 1 or x.dtype.kind not in ("f", "i", "u", "b"):
        raise ValueError(f"values are {x.dtype} {x.shape}; pass one number per row: a metric with average=None")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        lost = int((~np.isfinite(x)).sum())
        raise ValueError(f"{lost} of {x.size} values are not finite; leave out skipped rows: values[np.isfinite(values)]")
    return x


def mean_and_error(values: ArrayLike) -> Estimate:
    """Return the mean over rows and its standard error.

    Equation    error = sqrt(sum of (value - mean)^2 / (N - 1)) / sqrt(N)
    Shapes      values (N,) -> Estimate
    Limits      hits (0 or 1) with rate m: sqrt(m (1 - m) / (N - 1))
    Convention  N - 1 below the line (an unbiased variance); N = 1: the error is NaN
    Raises      ValueError if values are not (N,) finite numbers, or there are none
    Source      the usual definition

    >>> mean_and_error([0, 1, 0, 1, 0])
    Estimate(mean=0.4, error=0.24494897427831783, n=5)
    """
    x = _column(values)
    if not x.size:
        raise ValueError("0 values have no mean; pass at least one row")
    error = float(x.std(ddof=1)) / x.size**0.5 if x.size > 1 else float("nan")
    return Estimate(float(x.mean()), error, x.size)


def paired_bootstrap(rng: np.random.Generator, differences: ArrayLike, repeats: int = 1999, level: float = 0.95) -> Interval:
    """Return the mean difference of two models over the same rows, and the interval that resampling the rows gives.

    Equation    low, high = the c-th smallest and c-th largest of `repeats` means of N rows drawn with replacement,
                c = floor((repeats + 1) (1 - level) / 2)
    Shapes      differences (N,), new minus old row by row -> Interval
    Limits      N large: mean +- 1.96 standard errors at level 0.95; slightly narrow for small N, by sqrt(1 - 1 / N)
    Convention  percentile interval. It is exactly mirrored when the differences change their sign. With 1999 repeats and
                level 0.95 c is exactly 50. An interval that holds 0 says "not shown", not "equal"
    Raises      ValueError if differences are not (N,) finite numbers, there are none, level is not in (0, 1), or there are
                too few repeats for it
    Source      Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13

    >>> paired_bootstrap(np.random.default_rng(0), [0.25] * 8)
    Interval(mean=0.25, low=0.25, high=0.25, level=0.95, repeats=1999)
    """
    x = _column(differences)
    if not x.size:
        raise ValueError("0 differences have no interval; pass at least one row")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; use a share between 0 and 1, as 0.95")
    c = _place_of_ends(repeats, level)
    if c < 1:
        least = bisect.bisect_left(range(2**62), 1, key=lambda n: _place_of_ends(n, level))  # exact, however c is rounded
        raise ValueError(f"{repeats} repeats cannot show level {level}; use at least {least}")
    means = np.empty(repeats)
    for part in np.array_split(means, math.ceil(repeats / 1e6 * x.size)):  # a million rows at a time: 8 MB of indices
        part[:] = x[rng.integers(x.size, size=(part.size, x.size))].mean(axis=1)
    means.sort()
    return Interval(float(x.mean()), float(means[c - 1]), float(means[-c]), level, repeats)


def _place_of_ends(repeats: int, level: float) -> int:
    return math.floor((repeats + 1) * (1 - level) / 2 + 5e-10)  # subtle: 2000 * (1 - 0.9) / 2 is 99.99999999999997


def group_means(values: ArrayLike, groups: ArrayLike) -> Groups:
    """Return the mean of the rows of each group: quality on positives seen in training, by category, by history length.

    Shapes      values (N,), groups (N,) of any sortable labels -> Groups of (G,)
    Bound       counts @ means / N is the mean over all rows, up to rounding
    Raises      ValueError if values are not (N,) finite numbers, or groups has another shape or holds NaN
    Source      the usual definition

    >>> found = group_means([1, 0, 1, 1], ["seen", "new", "seen", "new"])
    >>> found.labels.tolist(), found.means, found.counts
    (['new', 'seen'], array([0.5, 1. ]), array([2, 2]))
    """
    x, g = _column(values), np.asarray(groups)
    if g.shape != x.shape or (g.dtype.kind == "f" and np.isnan(g).any()):
        raise ValueError(f"groups is {g.dtype} {g.shape}, values are {x.shape}; pass one label per row, none of them NaN")
    labels, at = np.unique(g, return_inverse=True)
    counts = np.bincount(at)
    return Groups(labels, np.bincount(at, x) / counts, counts)
