"""One predicted class per row against the true one: confusion matrix, accuracy, precision, recall and F1.

All come from three counts per class: tp, the rows of the class that were found; predicted, the rows given to it; actual, the
rows that belong to it. precision = tp / predicted, recall = tp / actual, F1 = 2 tp / (predicted + actual). What is left to
choose is how classes become one number, what 0 / 0 is, and which classes count: the keywords average, zero_division and
labels, explained at `precision` and the same for all three.

Two identities tell these numbers apart from each other: recall with average="weighted" is accuracy, because each class's
recall is weighted by its size; and with every label counted, micro precision, micro recall and micro F1 are accuracy too.
So on unequal classes only macro says something that accuracy does not.

Letters     N rows; C classes
Not here: probabilities and thresholds (probabilities), sample weights, several labels per row.
Read next: probabilities.
"""
from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

AverageRule = Literal["micro", "macro", "weighted", "binary"] | None
Value = Any  # float, or (C,) float64 with average=None: a union would make every caller narrow it
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def _encode(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[Any], IntArray, IntArray]:
    """Return the sorted union of labels (C,) and both columns as indices into it (N,), or say what is wrong with them."""
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim != 1 or true.shape != pred.shape:
        raise ValueError(f"y_true is {true.shape}, y_pred is {pred.shape}; pass one label per row in both")
    kinds = {"number" if y.dtype.kind in "fiub" else y.dtype.kind for y in (true, pred) if y.size}
    if len(kinds) > 1 or kinds & {"O", "c"}:
        raise ValueError(f"y_true is {true.dtype}, y_pred is {pred.dtype}; pass numbers or text in both: 1 is not '1'")
    if any(y.dtype.kind == "f" and np.isnan(y).any() for y in (true, pred)):
        raise ValueError("a label is NaN, which equals no label; drop the row or give it a label of its own")
    labels, codes = np.unique(np.concatenate([true, pred]), return_inverse=True)
    return labels, codes[: true.size], codes[true.size :]


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, labels: ArrayLike | None = None) -> IntArray:
    """Count the rows of each true class (down) that were given to each predicted class (across).

    Shapes      y_true, y_pred (N,), labels (C,) or None -> (C, C)
    Convention  rows are the truth, columns the prediction (scikit-learn; some texts transpose). labels=None: the sorted
                union of both columns. Given labels fix the order and may name classes that never occur
    Raises      ValueError if the columns differ in length or kind, a label is NaN, or labels repeats or misses one that occurs
    Source      the usual definition

    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 1])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 1, 0]])
    """
    union, true, pred = _encode(y_true, y_pred)
    size = len(union)
    if labels is not None:
        given = np.asarray(labels)
        place = {label: i for i, label in enumerate(given.tolist())}
        missing = [label for label in union.tolist() if label not in place]
        if len(place) != given.size or missing:
            raise ValueError(f"labels {given.tolist()} repeat one, or miss {missing}; name each label that occurs once")
        moved = np.array([place[label] for label in union.tolist()], int)
        true, pred, size = moved[true], moved[pred], len(given)
    return np.bincount(true * size + pred, minlength=size * size).reshape(size, size)


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the share of rows whose predicted label is the true one.

    Shapes      y_true, y_pred (N,) -> float
    Convention  no rows: NaN
    Raises      ValueError if the columns differ in length or kind, or a label is NaN
    Source      the usual definition

    >>> accuracy([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """
    _, true, pred = _encode(y_true, y_pred)
    return int((true == pred).sum()) / true.size if true.size else float("nan")


def _counts(
    y_true: ArrayLike, y_pred: ArrayLike, average: AverageRule, labels: str | ArrayLike, positive: Any
) -> tuple[IntArray, IntArray, IntArray]:  # fmt: skip
    """Count tp, predicted and actual of each class that `average` and `labels` select -> three times (C,)."""
    union, true, pred = _encode(y_true, y_pred)
    size = len(union)
    tp = np.bincount(true[true == pred], minlength=size)
    predicted, actual = np.bincount(pred, minlength=size), np.bincount(true, minlength=size)
    if average == "binary":
        if size > 2 or (size == 2 and positive not in union.tolist()):
            raise ValueError(f"average='binary' with labels {union.tolist()[:5]}, positive={positive!r}: name one of at most two")
        chosen = [positive]
    elif isinstance(labels, str):
        if labels not in ("union", "true"):
            raise ValueError(f"labels is {labels!r}; use 'union', 'true' or a list of labels")
        chosen = union[actual > 0].tolist() if labels == "true" else union.tolist()
    else:
        chosen = np.asarray(labels).tolist()
        if len(set(chosen)) < len(chosen):
            raise ValueError(f"labels {chosen} repeat one; name each once")
    place = {label: i for i, label in enumerate(union.tolist())}
    at = np.array([place.get(label, size) for label in chosen], int)
    tp, predicted, actual = (np.append(count, 0)[at] for count in (tp, predicted, actual))  # 0 for a label that never occurs
    return tp, predicted, actual


def _average(top: IntArray, bottom: IntArray, actual: IntArray, average: AverageRule, zero_division: float) -> Value:
    """Divide class by class, then make one number of the classes as `average` says."""
    if average not in ("micro", "macro", "weighted", "binary", None):
        raise ValueError(f"average is {average!r}; use 'micro', 'macro', 'weighted', 'binary' or None")
    undefined_is = float(zero_division)
    if undefined_is not in (0.0, 1.0) and not np.isnan(undefined_is):
        raise ValueError(f"zero_division is {zero_division!r}; use 0, 1 or nan")
    if average in ("micro", "binary"):
        top, bottom = top.sum(keepdims=True), bottom.sum(keepdims=True)
    values = np.where(bottom > 0, top / np.maximum(bottom, 1), undefined_is)  # (C,)
    if average is None:
        return values
    weights = actual if average == "weighted" else np.ones(len(values), int)
    weights = np.where(np.isnan(values), 0, weights)  # only where zero_division is NaN: such a class is left out
    total = int(weights.sum())
    return float(weights @ np.nan_to_num(values)) / total if total else undefined_is


def precision(
    y_true: ArrayLike, y_pred: ArrayLike, average: AverageRule = "macro", *, zero_division: float = 0.0,
    labels: str | ArrayLike = "union", positive: Any = 1,
) -> Value:  # fmt: skip
    """Return the share of the rows given to a class that belong to it.

    Equation    tp / predicted, class by class, then averaged                                           (1)
    Shapes      y_true, y_pred (N,) -> float, or (C,) with average=None
    Convention  average        "macro": the mean over classes; a rare class counts as much as a frequent one. "weighted": the
                               mean with each class weighted by its true rows. "micro": the counts of all classes are summed
                               first. "binary": the class `positive` alone, of at most two. None: one value per class, in
                               the order of labels (sorted for "union" and "true").
                zero_division  the value of 0 / 0: a class that was never predicted (precision), never true (recall), or
                               neither (F1). 0: it counts as failed. 1: as not failed. NaN: it is left out of the mean. It
                               is also the answer where no class, or no true row to weight by, is left to average
                               (there scikit-learn's "weighted" gives the unweighted mean).
                labels         "union": classes in y_true or in y_pred (scikit-learn). "true": those in y_true, so that a class
                               which only a bad model invents adds no zero to the macro mean; the rows lost to it
                               still count in recall. A list: these classes, also if they never occur; rows of others still
                               count as errors of the listed. Does not matter to "binary".
                F1 is averaged over the F1 of the classes, not computed from averaged precision and recall (Opitz and
                Burst, Macro F1 and Macro F1, 2019, compare the two).
    Raises      ValueError if the columns differ in length or kind, a label is NaN, or a keyword is unknown
    Source      the usual definition; keyword values as scikit-learn's precision_recall_fscore_support

    >>> precision([0, 0, 1, 1], [0, 1, 1, 1], average=None).round(3)
    array([1.   , 0.667])
    >>> precision([0, 0, 1], [1, 1, 1], average=None, zero_division=float("nan"))
    array([       nan, 0.33333333])
    """
    tp, predicted, actual = _counts(y_true, y_pred, average, labels, positive)
    return _average(tp, predicted, actual, average, zero_division)


def recall(
    y_true: ArrayLike, y_pred: ArrayLike, average: AverageRule = "macro", *, zero_division: float = 0.0,
    labels: str | ArrayLike = "union", positive: Any = 1,
) -> Value:  # fmt: skip
    """Return the share of the rows of a class that were given to it.

    Equation    tp / actual, class by class, then averaged                                              (2)
    Shapes      y_true, y_pred (N,) -> float, or (C,) with average=None
    Limits      average="weighted" is accuracy: sum over classes of (actual / N) (tp / actual) = sum of tp / N
    Convention  keywords: see precision
    Raises      ValueError if the columns differ in length or kind, a label is NaN, or a keyword is unknown
    Source      the usual definition; keyword values as scikit-learn's precision_recall_fscore_support

    >>> recall([0, 0, 0, 1], [0, 0, 1, 1], average="binary"), recall([0, 0, 0, 1], [0, 0, 1, 1], average="weighted")
    (1.0, 0.75)
    """
    tp, _, actual = _counts(y_true, y_pred, average, labels, positive)
    return _average(tp, actual, actual, average, zero_division)


def f1(
    y_true: ArrayLike, y_pred: ArrayLike, average: AverageRule = "macro", *, zero_division: float = 0.0,
    labels: str | ArrayLike = "union", positive: Any = 1,
) -> Value:  # fmt: skip
    """Return the harmonic mean of precision and recall, class by class, then averaged.

    Equation    2 / (1 / precision + 1 / recall) = 2 tp / (predicted + actual)                          (3)
    Shapes      y_true, y_pred (N,) -> float, or (C,) with average=None
    Convention  keywords: see precision. The right side of (3) is what is computed: it is 0 where only one of precision and
                recall is 0 / 0, and undefined only where a class neither occurs nor is predicted
    Raises      ValueError if the columns differ in length or kind, a label is NaN, or a keyword is unknown
    Source      van Rijsbergen, Information Retrieval (1979), chapter 7, with beta = 1

    >>> f1([0, 0, 1, 1], [0, 1, 1, 1], average=None).round(3), f1([0, 0, 1, 1], [0, 1, 1, 1], average="micro")
    (array([0.667, 0.8  ]), 0.75)
    """
    tp, predicted, actual = _counts(y_true, y_pred, average, labels, positive)
    return _average(2 * tp, predicted + actual, actual, average, zero_division)
