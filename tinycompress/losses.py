"""What training minimises: binary cross-entropy, cross-entropy, listwise cross-entropy, each with its `_backward` below it.

All take logits, never probabilities: log(softmax) and log(sigmoid) are computed together, so that no logit is too large.
Each is a mean over rows unless `reduction="sum"` says otherwise. A NaN logit makes the loss of its row NaN, for training.fit to
refuse, unless the row teaches nothing; infinite logits have a loss where the formula has a limit, else they are refused.

Letters     logits real numbers before softmax or sigmoid, y labels, p = softmax(logits) or sigmoid(logits)
            N rows, C classes, L candidates in a list
Not here: softened targets (soft_targets), a weight for each row (dense_training). Read next: recommender.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycompress.ops import sigmoid, softmax

Array = NDArray[np.floating]


class Loss(NamedTuple):
    """A loss and its gradient, both called as f(logits, labels)."""

    value: Callable[..., float]
    backward: Callable[..., Array]

    def __repr__(self) -> str:
        return f"Loss({', '.join(getattr(f, '__name__', type(f).__name__) for f in self)})"


def bce(logits: Array, labels: NDArray[Any], reduction: str = "mean") -> float:
    """Return the binary cross-entropy of one logit per row.

    Equation    l = max(x, 0) - x y + log(1 + exp(-|x|)) = -y log sigmoid(x) - (1 - y) log(1 - sigmoid(x))          (1)
    Shapes      logits (N,), labels (N,) in [0, 1] -> number
    Limits      finite for every finite logit; x -> +-inf: 0 where y is sigmoid(x) = 1 or 0, else inf
    Raises      ValueError if the shapes differ or the reduction is unknown
    Source      textbook

    >>> round(bce(np.array([0.0]), np.array([1.0])), 4)
    0.6931
    """
    _same_shape(logits, labels)
    with np.errstate(under="ignore", invalid="ignore"):
        rows = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))  # (1)
    np.copyto(rows, np.where(labels == (logits > 0), 0, np.inf), where=np.isinf(logits))  # the limit, where (1) has inf - inf
    return float(rows.sum()) / _divisor(len(logits), reduction)


def bce_backward(logits: Array, labels: NDArray[Any], reduction: str = "mean") -> Array:
    """Return d logits of `bce`.

    Equation    dx = (sigmoid(x) - y) / N  (without N under "sum")
    Shapes      logits (N,), labels (N,) -> (N,)
    Raises      ValueError if the shapes differ or the reduction is unknown
    Source      from (1)

    >>> bce_backward(np.array([0.0, 0.0]), np.array([1.0, 0.0]))
    array([-0.25,  0.25])
    """
    _same_shape(logits, labels)
    with np.errstate(under="ignore"):
        return (sigmoid(logits) - labels.astype(logits.dtype, copy=False)) / logits.dtype.type(_divisor(len(logits), reduction))


def cross_entropy(logits: Array, labels: NDArray[np.integer], reduction: str = "mean") -> float:
    """Return the cross-entropy of one class label per row.

    Equation    l = log sum_c exp(z_c - m) + m - z_y,  m = max z                                                    (2)
    Shapes      logits (N, C), labels (N,) integers below C -> number
    Convention  mean over rows; no rows: 0. A class of logit -inf has no probability: the loss of a row that it labels is inf
    Raises      ValueError if a label is no class, no logit of a row is finite, one is inf, or the reduction is unknown
    Source      textbook

    >>> round(cross_entropy(np.array([[0.0, 0.0]]), np.array([1])), 4)
    0.6931
    """
    _refuse_foreign_labels(logits, labels)
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(under="ignore"):
        rows = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]  # (2)
    return float(rows.sum()) / _divisor(len(logits), reduction)


def cross_entropy_backward(logits: Array, labels: NDArray[np.integer], reduction: str = "mean") -> Array:
    """Return d logits of `cross_entropy`.

    Equation    dz = (softmax(z) - onehot(y)) / N  (without N under "sum"); each row sums to 0
    Shapes      logits (N, C), labels (N,) -> (N, C)
    Raises      ValueError as cross_entropy
    Source      from (2)

    >>> cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([1]))
    array([[ 0.5, -0.5]])
    """
    _refuse_foreign_labels(logits, labels)
    d = softmax(logits)
    d[np.arange(len(labels)), labels] -= 1
    with np.errstate(under="ignore"):
        return d / d.dtype.type(_divisor(len(logits), reduction))


def listwise(logits: Array, relevance: NDArray[Any], reduction: str = "mean") -> float:
    """Return the cross-entropy between the shares of relevance in a list and the softmax over that list.

    Equation    l = -sum_j t_j log p_j,  t = relevance / sum relevance,  p = softmax over the L candidates          (3)
    Shapes      logits (N, L), relevance (N, L) >= 0 -> number
    Convention  a list without relevance teaches nothing: its loss is 0, and it still counts in the mean.
                A padded candidate has logit -inf and relevance 0: p is 0 there, and so is its gradient.
    Raises      ValueError if the shapes differ, relevance is negative or not finite, a list is nothing but padding, a logit is
                inf, or the reduction is unknown
    Source      Cao et al. 2007 (ListNet), top-one form

    >>> round(listwise(np.array([[0.0, 0.0]]), np.array([[2, 2]])), 4)
    0.6931
    """
    target = _shares(logits, relevance)
    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(under="ignore"):
        log_z = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    minus_log_p = np.where(target > 0, log_z - shifted, 0)  # 0 log 0 is 0, also where the logit is -inf
    return float((target * minus_log_p).sum()) / _divisor(len(logits), reduction)  # (3)


def listwise_backward(logits: Array, relevance: NDArray[Any], reduction: str = "mean") -> Array:
    """Return d logits of `listwise`.

    Equation    dz = (softmax(z) - t) / N  (without N under "sum"); zeros for a list without relevance
    Shapes      logits (N, L), relevance (N, L) -> (N, L)
    Raises      ValueError as listwise
    Source      from (3)

    >>> listwise_backward(np.array([[0.0, 0.0]]), np.array([[1, 0]]))
    array([[-0.5,  0.5]])
    """
    target = _shares(logits, relevance)
    taught = target.any(axis=1, keepdims=True)
    d: Array = np.where(taught, softmax(logits) - target, 0)  # subtle: times 0 would leave the NaN of a NaN logit
    with np.errstate(under="ignore"):
        return d / d.dtype.type(_divisor(len(logits), reduction))


LOSSES = {
    "bce": Loss(bce, bce_backward),
    "cross_entropy": Loss(cross_entropy, cross_entropy_backward),
    "listwise": Loss(listwise, listwise_backward),
}


def _divisor(rows: int, reduction: str) -> int:
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction is {reduction!r}; use 'mean' or 'sum'")
    return max(rows, 1) if reduction == "mean" else 1


def _same_shape(logits: Array, labels: NDArray[Any]) -> None:
    if logits.shape != labels.shape:  # broadcasting (N, 1) against (N,) would silently give N x N terms
        raise ValueError(f"logits have shape {logits.shape} and labels {labels.shape}; make them equal")


def _refuse_rows_without_a_softmax(logits: Array) -> None:
    if logits.shape[1] and not np.isinf(logits).any():  # in a tenth of the time that finding the maxima takes
        return
    top = logits.max(axis=1, initial=-np.inf)
    if np.isinf(top).any():
        row = int(np.isinf(top).argmax())
        raise ValueError(
            f"the largest logit of row {row} is {top[row]}, and must be finite; leave out rows of nothing but padding (-inf); "
            "if training led here, lower the learning rate"
        )


def _refuse_foreign_labels(logits: Array, labels: NDArray[np.integer]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits have shape {logits.shape} and labels {labels.shape}; they need (N, C) and (N,)")
    if len(labels) and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; the classes are 0 to {logits.shape[1] - 1}")
    _refuse_rows_without_a_softmax(logits)


def _shares(logits: Array, relevance: NDArray[Any]) -> Array:
    _same_shape(logits, relevance)
    if not ((relevance >= 0) & (relevance < np.inf)).all():
        raise ValueError(f"relevance runs from {relevance.min()} to {relevance.max()}; give finite numbers, none negative")
    _refuse_rows_without_a_softmax(logits)
    total = relevance.sum(axis=1, keepdims=True)
    return (relevance / np.where(total == 0, 1, total)).astype(logits.dtype)
