"""The exact oracle for ranking: expectations over all orders of equal scores, decimals for the logarithms of a discount.

Bound       a metric is at most 1 (DCG: the sum of its gains): bound() of oracle_metrics, twice the list for two sums

Letters     N rows, L list length, k how many count, rank from 1, u unit roundoff
Not here: classes and pairs (oracle_metrics). Read next: oracle.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tinycompress.verify.exact import decimals, log
from tinycompress.verify.oracle_grids import Pick, Undefined
from tinycompress.verify.oracle_layers import Bounded
from tinycompress.verify.oracle_metrics import bound


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
    return c.divide(sum(values, Decimal(0)), Decimal(len(kept))), sum(b for _, b in kept) / len(kept) + bound(
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
        rows.append((hit if measure == "any" else found / below[measure], bound(len(row), u)))
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
        return got, bound(2 * len(gains), u, float(got) + 1)
    pool = sorted((gains[i] for i in taken) if ideal == "retrieved" else gains, reverse=True)
    best = sum(
        (_decimal(g) * _discount(pick, i + 1) for i, g in enumerate(pool if ideal == "whole_row" else pool[:first])), Decimal(0)
    )
    return (decimals().divide(got, best) if best else Decimal(0)), bound(2 * len(gains), u)


def _gain(rule: str, v: float) -> Fraction:
    return Fraction(2) ** int(v) - 1 if rule == "exponential" else Fraction(v > 0) if rule == "binary" else Fraction(v)


def _discount(pick: Pick, rank: int) -> Decimal:
    c, rule = decimals(), pick("discount")
    if rule == "log2":
        return c.divide(log(Decimal(2)), log(Decimal(rank + 1)))
    if rule == "first_two_equal":
        return Decimal(1) if rank <= 2 else c.divide(log(Decimal(2)), log(Decimal(rank)))
    return Decimal(1) if rule == "none" else c.divide(Decimal(1), Decimal(rank))
