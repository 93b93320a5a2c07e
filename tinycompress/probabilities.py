"""What scores are worth as probabilities: AUC asks only for their order, log loss and calibration error for their size.

A compressed model can keep one and lose the other. Rounding that keeps the order keeps AUC to the last bit, while a student
trained at a high temperature orders well and is sure of nothing. So report both, and say how the calibration bins were cut:
the same model has another calibration error with other bins.

Letters     N rows; C classes; p probabilities; y labels
Not here: the top of a list for one user (retrieval, ranking), a class per row (classification). Read next: metrics.
"""
from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

OneClass = Literal["nan", "half", "error"]
PairTies = Literal["half", "optimistic", "pessimistic"]
Bins = Literal["equal_width", "equal_count"]
Norm = Literal["mean", "rms", "max"]


def auc(y_true: ArrayLike, scores: ArrayLike, *, one_class: OneClass = "nan", ties: PairTies = "half") -> float:
    """Return the share of (positive, negative) pairs in which the positive has the higher score: area under the ROC curve.

    Equation    (pairs won + pairs tied / 2) / (positives * negatives)                                  (1)
    Derivation  Sorted by score, a group of equal scores with a positives wins a times the negatives below it and ties with
                its own. The sums are whole numbers, so the answer is the exact quotient rounded once.
    Shapes      y_true (N,) of 0 and 1, False and True, or -1 and 1; scores (N,) of any size, -inf and +inf included -> float
    Convention  one_class  only positives or only negatives, so no pair. "nan": NaN (scikit-learn, with a warning).
                           "half": 0.5, the value of a coin. "error": refused.
                ties       "half": (1). "optimistic": a tied pair counts 1, the best a lucky sort could report. "pessimistic": 0.
    Raises      ValueError if the columns differ in length, a score is NaN, y_true holds other labels, a keyword is
                unknown, or one_class is "error" and there is one class
    Source      Hanley and McNeil, The meaning and use of the area under a ROC curve (1982)

    >>> auc([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1])
    0.875
    """
    if one_class not in get_args(OneClass) or ties not in get_args(PairTies):
        raise ValueError(f"one_class is {one_class!r}, ties is {ties!r}; use {get_args(OneClass)} and {get_args(PairTies)}")
    y, x = np.asarray(y_true), np.asarray(scores)
    if y.ndim != 1 or y.shape != x.shape or x.dtype.kind not in "fiub" or y.dtype.kind not in "fiub":
        raise ValueError(f"y_true is {y.dtype} {y.shape}, scores are {x.dtype} {x.shape}; pass one number per row in both")
    found = set(np.unique(y).tolist())
    if not (found <= {0, 1} or found <= {-1, 1}):
        raise ValueError(f"y_true holds {sorted(found)[:5]}; use 0 and 1, or -1 and 1: AUC compares two classes")
    if x.dtype.kind == "f" and np.isnan(x).any():
        raise ValueError(f"{int(np.isnan(x).sum())} scores are NaN and lose or win no pair; drop these rows or repair the model")
    values, group = np.unique(x, return_inverse=True)
    positives = np.bincount(group[y == 1], minlength=len(values))
    negatives = np.bincount(group[y != 1], minlength=len(values))
    pairs = int(positives.sum()) * int(negatives.sum())
    if pairs == 0:
        if one_class == "error":
            raise ValueError(f"y_true holds only {sorted(found)}; AUC needs both classes, or one_class='nan' or 'half'")
        return float("nan") if one_class == "nan" else 0.5
    won = int((positives * (np.cumsum(negatives) - negatives)).sum())
    tied = int((positives * negatives).sum())
    return (2 * won + {"half": 1, "optimistic": 2, "pessimistic": 0}[ties] * tied) / (2 * pairs)  # (1), whole numbers up to here


def _check_probabilities(y_true: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.floating]]:
    """Return labels (N,) and probabilities (N,) or (N, C), or say what is wrong with them."""
    y, q = np.asarray(y_true), np.asarray(p)
    q = q.astype(np.float64) if q.dtype.kind in "iub" else q
    if q.dtype.kind != "f" or q.ndim not in (1, 2) or y.shape != q.shape[:1]:
        raise ValueError(f"y_true is {y.shape}, p is {q.dtype} {q.shape}; pass probabilities (N,) of class 1, or (N, C)")
    wrong = ~((q >= 0) & (q <= 1))  # written so that NaN is wrong
    if wrong.any():
        raise ValueError(f"p holds {q[wrong][0]}, outside [0, 1]; pass probabilities: sigmoid or softmax of the logits")
    classes = 2 if q.ndim == 1 else q.shape[1]
    if y.dtype.kind not in "fiub" or not ((y >= 0) & (y < classes) & (y == np.floor(y))).all():
        raise ValueError(f"y_true holds {y.dtype} such as {y.ravel()[:5].tolist()}; pass whole numbers from 0 to {classes - 1}")
    # not a rounding bound but a net for mistakes (sigmoid for softmax, a forgotten class): half the digits of the dtype
    off = np.abs(q.sum(axis=1, dtype=np.float64) - 1).max(initial=0.0) if q.ndim == 2 else 0.0
    if off > np.sqrt(np.finfo(q.dtype).eps):
        raise ValueError(f"a row of p misses the sum 1 by {off:.2g}; pass rows that sum to 1: softmax of the logits")
    return y.astype(np.int64), q


def log_loss(y_true: ArrayLike, p: ArrayLike, *, clip: float | None = None) -> float:
    """Return the mean of -log of the probability that was given to the true class, in nats.

    Equation    (1 / N) sum over rows of -log(min(max(p[y], clip), 1 - clip))                           (2)
    Shapes      y_true (N,) of 0 ... C - 1, p (N, C); or y_true of 0 and 1 and p (N,) for class 1 -> float
    Convention  clip=None: the machine epsilon of p's dtype, 2^-52 or 2^-23, so that one sure mistake costs 36 or 16 nats
                and not infinity (scikit-learn). 0: nothing is clipped, and a sure mistake is infinite. No rows: NaN
    Raises      ValueError if p holds a value outside [0, 1] or NaN, a row does not sum to 1 (to half the digits of its
                dtype), y_true is not in 0 ... C - 1, or clip is not in [0, 0.5)
    Source      Good, Rational decisions (1952)

    >>> log_loss([0, 1], [[0.5, 0.5], [0.5, 0.5]]) == np.log(2)
    np.True_
    """
    y, q = _check_probabilities(y_true, p)
    least = float(np.finfo(q.dtype).eps) if clip is None else float(clip)
    if not 0 <= least < 0.5:
        raise ValueError(f"clip is {clip}; use a number from 0 (no clipping) to below 0.5, or None")
    given = np.where(y == 1, q, 1 - q) if q.ndim == 1 else q[np.arange(len(y)), y]
    with np.errstate(divide="ignore"):
        losses = -np.log(np.clip(given.astype(np.float64), least, 1 - least))
    return float(losses.mean()) if losses.size else float("nan")


def calibration_error(
    y_true: ArrayLike, p: ArrayLike, *, count: int = 15, bins: Bins = "equal_width", norm: Norm = "mean"
) -> float:  # fmt: skip
    """Return how far stated probabilities are from observed frequencies: the expected calibration error, ECE.

    Equation    sum over bins of (rows in the bin / N) |mean stated - mean observed|                    (3)
    Shapes      y_true (N,) of 0 ... C - 1, p (N, C); or y_true of 0 and 1 and p (N,) for class 1 -> float
    Convention  stated    p (N, C): the probability of the most probable class (the first of equal ones), observed: whether it
                          is the true one (Guo et al.). p (N,): the probability of class 1, observed: whether it happened.
                bins      "equal_width": `count` bins over [0, 1], each without its left end, 0 belonging to the first.
                          "equal_count": cut at the observed quantiles, equal values never parted, so that bins can differ in
                          size and be fewer. Both ignore the order of the rows; empty bins count nothing.
                norm      "mean": (3). "rms": the root of the mean square (the bins' part of the Brier score). "max": the
                          worst bin.
                No rows: NaN. The error is biased upward when bins hold few rows: compare models at equal N and equal bins.
    Raises      ValueError as log_loss for y_true and p, or if count is below 1 or a keyword is unknown
    Source      Naeini et al. (2015); Guo et al., On calibration of modern neural networks (2017)

    >>> calibration_error([1, 1, 1, 0], [0.75, 0.75, 0.75, 0.75]), calibration_error([1, 0, 0, 0], [0.75, 0.75, 0.75, 0.75])
    (0.0, 0.5)
    """
    if bins not in get_args(Bins) or norm not in get_args(Norm) or count < 1:
        raise ValueError(f"bins is {bins!r}, norm is {norm!r}, count is {count}; use {get_args(Bins)}, {get_args(Norm)}, from 1")
    y, q = _check_probabilities(y_true, p)
    if not y.size:
        return float("nan")
    stated = (q if q.ndim == 1 else q.max(axis=1)).astype(np.float64)
    observed = (y == 1 if q.ndim == 1 else q.argmax(axis=1) == y).astype(np.float64)
    if bins == "equal_width":
        edges = np.arange(1, count) / count
    else:
        edges = np.unique(np.sort(stated)[(np.arange(1, count) * len(stated) + count - 1) // count - 1])
    at = np.searchsorted(edges, stated, side="left")  # bin i is (edges[i - 1], edges[i]]
    size = np.bincount(at)
    gaps = np.abs(np.bincount(at, stated) - np.bincount(at, observed))[size > 0] / size[size > 0]
    share = size[size > 0] / len(stated)
    return float({"mean": share @ gaps, "rms": np.sqrt(share @ gaps**2), "max": gaps.max()}[norm])
