"""The exact oracle for metrics of classes and of pairs, in fractions; a bound by counting operations.

Bound       a metric is at most 1 (in percent or counted: more): u (16 + 4 n) times that covers n terms added in any order.

Letters     y labels, tp true positives, u unit roundoff
Not here: losses (oracle_losses), ranking (oracle_ranking). Read next: oracle_ranking.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tinycompress.verify.oracle_grids import Pick, Refused, Undefined
from tinycompress.verify.oracle_layers import Bounded

Rate = Fraction | None  # None: 0 / 0


def bound(n: int, u: float, size: float = 1.0) -> float:
    """Return u (16 + 4 n) times the size of the result: what n terms added in any order can lose.

    Shapes      takes numbers
    Source      Higham, Accuracy and Stability of Numerical Algorithms, 3.1

    >>> bound(0, 2.0**-53) == 2.0**-49
    True
    """
    return u * (16 + 4 * n) * max(size, 2.0**-20)


def accuracy(pick: Pick, y: Sequence[int], predicted: Sequence[int]) -> Bounded:
    """Return the share of rows that agree.

    Shapes      takes lists
    Raises      Undefined where the point says nothing about such an input
    Source      the sentences of FLOAT_AXES["accuracy"]

    >>> from tinycompress.verify.axes import default_point
    >>> accuracy(default_point("accuracy").__getitem__, [1, 2], [1, 3])[0]
    Fraction(1, 2)
    """
    if not y:
        raise Undefined
    hits, unit = sum(a == b for a, b in zip(y, predicted, strict=True)), pick("unit")
    value = Fraction(hits) if unit == "count" else Fraction(hits * (100 if unit == "percent" else 1), len(y))
    return value, bound(len(y), 2.0**-53, float(value) + 1)


def averaged(pick: Pick, measure: str, y: Sequence[int], predicted: Sequence[int], average: str) -> Bounded:
    """Return precision, recall or f1, averaged micro, macro or weighted.

    Shapes      takes lists
    Raises      Undefined where the point says nothing about such an input
    Source      the sentences of FLOAT_AXES["f1"]

    >>> from tinycompress.verify.axes import default_point
    >>> averaged(default_point("f1").__getitem__, "f1", [0, 0, 1], [0, 1, 1], "macro")[0]
    Fraction(2, 3)
    """
    if measure != "f1" and list(y) != list(predicted) and pick("swapped") == "yes":
        y, predicted = predicted, y
    rule = pick("labels")
    labels = sorted(set(y) | set(predicted) if rule == "union" else set(y))
    if rule == "range":
        if min([*y, *predicted], default=0) < 0:
            raise Undefined
        labels = list(range(max([*y, *predicted], default=-1) + 1))
    tp = [sum(a == b == c for a, b in zip(y, predicted, strict=True)) for c in labels]
    support, chosen = [list(y).count(c) for c in labels], [list(predicted).count(c) for c in labels]
    n = len(y) + len(labels)
    if measure == "f1" and average != "micro" and pick("form") == "of_averages":
        parts = [_average(_zero_division(pick), m, tp, chosen, support, average) for m in ("precision", "recall")]
        value = 2 * parts[0] * parts[1] / sum(parts) if sum(parts) else Fraction(0)
    else:
        value = _average(_zero_division(pick) if measure == "f1" else pick, measure, tp, chosen, support, average)
    return (value, bound(n, 2.0**-53)) if isinstance(value, Fraction) else (Decimal(value), 0.0)


def _zero_division(pick: Pick) -> Pick:
    """F1 has no such axis: 0 where undefined."""
    return lambda axis: "zero" if axis == "zero_division" else pick(axis)


def _rate(measure: str, tp: int, chosen: int, support: int) -> Rate:
    if measure == "f1":
        return Fraction(2 * tp, chosen + support) if chosen + support else None
    below = chosen if measure == "precision" else support
    return Fraction(tp, below) if below else None


def _average(pick: Pick, measure: str, tp: list[int], chosen: list[int], support: list[int], average: str) -> Fraction | float:
    if average == "micro":
        rates, weights = [_rate(measure, sum(tp), sum(chosen), sum(support))], [1]
    else:
        rates = [_rate(measure, *row) for row in zip(tp, chosen, support, strict=True)]
        weights = [1] * len(rates)
        if average == "weighted":
            weights = support if support == chosen or pick("weights") == "true_support" else chosen
    if not rates:
        return Fraction(0)
    if None in rates:
        rule = pick("zero_division")
        if rule == "nan":
            return math.nan
        if rule == "skip":
            pairs = [(r, w) for r, w in zip(rates, weights, strict=True) if r is not None]
            rates, weights = [r for r, _ in pairs], [w for _, w in pairs]
        else:
            rates = [Fraction(rule == "one") if r is None else r for r in rates]
    below = sum(weights)
    return (
        sum((w * (r or Fraction(0)) for r, w in zip(rates, weights, strict=True)), Fraction(0)) / below if below else Fraction(0)
    )


def auc(pick: Pick, y: Sequence[int], scores: Sequence[float], u: float) -> Bounded:
    """Return the share of pairs (positive, negative) in the right order.

    Shapes      takes lists
    Raises      Refused where the point refuses a single class
    Source      the sentences of FLOAT_AXES["auc"]

    >>> from tinycompress.verify.axes import default_point
    >>> auc(default_point("auc").__getitem__, [0, 1, 1], [0.5, 0.5, 2.0], 2.0**-53)[0]
    Fraction(3, 4)
    """
    pairs = list(itertools.product([s for s, a in zip(scores, y, strict=True) if a],
                                   [s for s, a in zip(scores, y, strict=True) if not a]))  # fmt: skip
    if not pairs:
        rule = pick("one_class")
        if rule == "error":
            raise Refused
        return (Decimal("nan"), 0.0) if rule == "nan" else (Fraction({"half": 0.5, "zero": 0, "one": 1}[rule]), 0.0)
    won, tied = sum(a > b for a, b in pairs), sum(a == b for a, b in pairs)
    tie = {"half": Fraction(1, 2), "lost": Fraction(0), "won": Fraction(1)}[pick("ties")] if tied else Fraction(0)
    value = (won + tied * tie) / len(pairs)
    return value if pick("order") == "rising" else 1 - value, bound(len(y), u)
