"""The exact oracle for metrics: fractions throughout, decimals for the logarithms of a discount; a bound by counting operations.

Bound       a metric is at most 1 (DCG: the sum of its gains): u (16 + 4 n) times that covers n terms added in any order.

Letters     y labels, tp true positives, L list length, k how many count, g gain, d discount, u unit roundoff
Not here: losses (oracle_losses). Read next: oracle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tinycompress.verify.exact import decimals, log
from tinycompress.verify.oracle_grids import Pick, Refused, Undefined
from tinycompress.verify.oracle_layers import Bounded

Rate = Fraction | None  # None: 0 / 0


def _bound(n: int, u: float, size: float = 1.0) -> float:
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
    return value, _bound(len(y), 2.0**-53, float(value) + 1)


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
    return (value, _bound(n, 2.0**-53)) if isinstance(value, Fraction) else (Decimal(value), 0.0)


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
    return value if pick("order") == "rising" else 1 - value, _bound(len(y), u)


def _order(scores: Sequence[float], gains: Sequence[Fraction], rule: str) -> list[int]:
    worth = {"optimistic": -1, "pessimistic": 1}.get(rule, 0)
    last = -1 if rule == "high_first" else 1
    return sorted(range(len(scores)), key=lambda i: (-scores[i], worth * gains[i], last * i))


def _groups(scores: Sequence[float]) -> list[list[int]]:
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return [list(group) for _, group in itertools.groupby(order, key=lambda i: scores[i])]


def _ranked(pick: Pick, scores: Sequence[float]) -> list[float]:
    return [s if pick("order") == "falling" else -s for s in scores]


def _mean(pick: Pick, rows: list[Bounded | None]) -> Bounded:
    """The mean over rows; None is a row with nothing relevant."""
    if None in rows:
        rule = pick("empty")
        rows = [r for r in rows if r] if rule == "skip" else [r or (Fraction(rule == "one"), 0.0) for r in rows]
    if not rows:
        raise Undefined
    c, kept = decimals(), [r for r in rows if r]
    values = [v if isinstance(v, Decimal) else c.divide(Decimal(v.numerator), Decimal(v.denominator)) for v, _ in kept]
    size = sum(float(abs(v)) for v in values) / len(kept)
    return c.divide(sum(values, Decimal(0)), Decimal(len(kept))), sum(b for _, b in kept) / len(kept) + _bound(
        len(kept), 2.0**-53, size
    )


def hit_rate(pick: Pick, scores: Sequence[Sequence[float]], relevance: Sequence[Sequence[float]], k: int, u: float) -> Bounded:
    """Return the mean over rows of the chance that something relevant is among the first k.

    Shapes      scores, relevance (N, L)
    Source      the sentences of FLOAT_AXES["hit_rate"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(hit_rate(default_point("hit_rate").__getitem__, [[2.0, 2.0]], [[1, 0]], 1, 2.0**-53)[0])
    0.5
    """
    rule, rows = pick("relevant"), list[Bounded | None]()
    for row, worth in zip(scores, relevance, strict=True):
        good = [v > 0 if rule == "positive" else v >= 1 for v in worth]
        if not any(good):
            rows.append(None)
            continue
        ranked, first = _ranked(pick, row), min(k, len(row))
        hit, found, full = Fraction(0), Fraction(0), 0
        ties = pick("ties") if len(set(ranked)) < len(ranked) else "low_first"
        if ties == "expected":
            for group in _groups(ranked):
                slots, r, n = min(len(group), first - full), sum(good[i] for i in group), len(group)
                missed = Fraction(math.comb(n - r, slots), math.comb(n, slots))
                hit, found, full = hit + (1 - hit) * (1 - missed), found + Fraction(r * slots, n), full + slots
        else:
            found = Fraction(sum(good[i] for i in _order(ranked, [Fraction(g) for g in good], ties)[:first]))
            hit = Fraction(found > 0)
        below = {"recall": sum(good), "recall_capped": min(first, sum(good)), "precision": first}
        measure = pick("measure")
        rows.append((hit if measure == "any" else found / below[measure], _bound(len(row), u)))
    return _mean(pick, rows)


def ndcg(pick: Pick, scores: Sequence[Sequence[float]], relevance: Sequence[Sequence[float]], k: int, u: float) -> Bounded:
    """Return the mean over rows of DCG over the best possible DCG.

    Shapes      scores, relevance (N, L)
    Raises      Undefined where the point says nothing about such an input
    Source      Jarvelin and Kekalainen 2002; McSherry and Najork 2008 (ties); the sentences of FLOAT_AXES["ndcg"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(ndcg(default_point("ndcg").__getitem__, [[2.0, 1.0]], [[1, 0]], 2, 2.0**-53)[0])
    1.0
    """
    rows: list[Bounded | None] = []
    for row, worth in zip(scores, relevance, strict=True):
        if not any(worth):
            rows.append(None)
            continue
        graded = any(v not in (0, 1) for v in worth)
        rule = pick("gain") if graded else "linear"
        gains = [_gain(rule, v) for v in worth]
        if rule == "exponential" and any(v != int(v) for v in worth):
            raise Undefined
        ranked, first = _ranked(pick, row), min(k, len(row))
        weights = [_discount(pick, rank) if rank <= first else Decimal(0) for rank in range(1, len(row) + 1)]
        ties = pick("ties") if len(set(ranked)) < len(ranked) else "low_first"
        if ties == "expected":
            got, place = Decimal(0), 0
            for group in _groups(ranked):
                mean = sum((gains[i] for i in group), Fraction(0)) / len(group)
                got += _decimal(mean) * sum(weights[place : place + len(group)])
                place += len(group)
            taken = [i for group in _groups(ranked) for i in group][:first]
            if first < len(row) and ranked[taken[-1]] == sorted(ranked, reverse=True)[first] and pick("ideal") == "retrieved":
                raise Undefined  # which k are retrieved is left open
        else:
            order = _order(ranked, gains, ties)
            got, taken = sum((_decimal(gains[i]) * w for i, w in zip(order, weights, strict=True)), Decimal(0)), order[:first]
        rows.append(_normalized(pick, got, gains, taken, first, u))
    return _mean(pick, rows)


def _decimal(v: Fraction) -> Decimal:
    return decimals().divide(Decimal(v.numerator), Decimal(v.denominator))


def _normalized(pick: Pick, got: Decimal, gains: list[Fraction], taken: list[int], first: int, u: float) -> Bounded:
    ideal = pick("ideal")
    if ideal == "none":
        return got, _bound(2 * len(gains), u, float(got) + 1)
    pool = sorted((gains[i] for i in taken) if ideal == "retrieved" else gains, reverse=True)
    best = sum(
        (_decimal(g) * _discount(pick, i + 1) for i, g in enumerate(pool if ideal == "whole_row" else pool[:first])), Decimal(0)
    )
    return (decimals().divide(got, best) if best else Decimal(0)), _bound(2 * len(gains), u)


def _gain(rule: str, v: float) -> Fraction:
    return Fraction(2) ** int(v) - 1 if rule == "exponential" else Fraction(v > 0) if rule == "binary" else Fraction(v)


def _discount(pick: Pick, rank: int) -> Decimal:
    c, rule = decimals(), pick("discount")
    if rule == "log2":
        return c.divide(log(Decimal(2)), log(Decimal(rank + 1)))
    if rule == "first_two_equal":
        return Decimal(1) if rank <= 2 else c.divide(log(Decimal(2)), log(Decimal(rank)))
    return Decimal(1) if rule == "none" else c.divide(Decimal(1), Decimal(rank))
