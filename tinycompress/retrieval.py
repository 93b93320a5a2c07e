"""Is it among the first K? Hit rate, recall, precision and overlap see the top K as a set; order inside it does not count.

All are means over rows; a row's value is its expectation over all orders of equal scores. Groups above the cut are in
the set as a whole, groups below it are out, so only t, r, n and H of the one group at the cut matter (RankedRows.at_cut).
The keywords ties, mask, empty, beyond and average are explained at ties.rank_rows and ties.mean_over_rows.

Letters     as in ties: of the group at the cut, t members, r of them relevant, n places above the cut, H relevant candidates
            above the group; R relevant in the row, K the cut, L the row's length, N rows
Not here: metrics in which the place inside the top K counts. Read next: ranking.
"""
from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tinycompress.ties import Average, Beyond, Empty, FloatArray, RankedRows, Ties, Value, mean_over_rows, rank_rows


def hit_rate(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    empty: Empty = "zero", beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the share of rows with something relevant in their top K: HR@K.

    Equation    1 where H > 0; else 1 - C(t - r, n) / C(t, n)                                           (1)
                r = 1: n / t = (K - g) / t                                                              (2)
    Derivation  The n members above the cut are a random subset of the t: C(t - r, n) of its C(t, n) choices miss all r.
                The same quotient is the product over i < r of 1 - n / (t - i): relevant member i takes one of the n places
                with probability n / (t - i), if the members before it took none. It is symmetric in r and n: the
                product over i < n of 1 - r / (t - i), place by place. The shorter one is taken.
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Limits      all scores equal, one relevant: min(K / L, 1)
    Convention  keywords: see the module. A row has one hit however many relevant items it holds; recall_at_k counts them
    Raises      ValueError if scores, relevance, mask or k are malformed, or a keyword is unknown
    Source      He et al., Neural Collaborative Filtering (2017) for HR@K; the hypergeometric distribution for its ties

    >>> hit_rate([[0.5, 0.5, 0.5, 0.5]], [[1, 0, 0, 0]], k=1)
    0.25
    >>> [hit_rate([[0.5, 0.5, 0.5, 0.5]], [[1, 0, 0, 0]], 1, ties) for ties in ("optimistic", "pessimistic")]
    [1.0, 0.0]
    """
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    t, r, n, above = ranked.at_cut()
    hit = (above > 0).astype(np.float64)
    few, many = np.minimum(r, n), np.maximum(r, n)
    # (1) is summed from 0 up and not subtracted from 1, so that its first step is (2), correctly rounded
    for i in range(int(few[above == 0].max(initial=0))):
        hit += np.where(i < few, (1 - hit) * many / np.maximum(t - i, 1), 0)
    return mean_over_rows(hit, ranked, empty, average)


def recall_at_k(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    denominator: Literal["relevant", "min_k"] = "relevant", empty: Empty = "zero", beyond: Beyond = "row",
    average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the share of the relevant candidates that stand in the top K.

    Equation    (H + r n / t) / R                                                                       (3)
    Derivation  Groups above the cut are in whole; each of the r is among the n with probability n / t.
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Convention  denominator="relevant": R, so that a row with R > K cannot reach 1 (the usual recall). "min_k": min(R, K), the
                best that K places allow (Liang et al., Variational Autoencoders for Collaborative Filtering, 2018).
                Other keywords: see the module
    Raises      ValueError if scores, relevance, mask or k are malformed, or a keyword is unknown
    Source      the usual definition; McSherry and Najork (2008) for ties

    >>> recall_at_k([[4, 3, 2, 1]], [[1, 0, 1, 1]], k=2, denominator="min_k")
    0.5
    """
    if denominator not in ("relevant", "min_k"):
        raise ValueError(f"denominator is {denominator!r}; use 'relevant' (R) or 'min_k' (min(R, K))")
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    t, r, n, above = ranked.at_cut()
    reachable = np.clip((ranked.relevance > 0).sum(axis=1), 1, ranked.cut if denominator == "min_k" else None)
    return mean_over_rows((above + r * n / t) / reachable, ranked, empty, average)


def precision_at_k(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    denominator: Literal["row", "k"] = "row", empty: Empty = "zero", beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the share of the top K that is relevant.

    Equation    (H + r n / t) / min(K, candidates)                                                      (4)
    Derivation  The numerator is that of (3).
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Convention  denominator="row": K ends with the row, so a short row of relevant candidates reaches 1. "k": K as given, and
                the places that a short row leaves empty count as misses. Other keywords: see the module
    Raises      ValueError if scores, relevance, mask or k are malformed, or a keyword is unknown
    Source      the usual definition; McSherry and Najork (2008) for ties

    >>> precision_at_k([[2, 1]], [[1, 1]], k=4), precision_at_k([[2, 1]], [[1, 1]], k=4, denominator="k")
    (1.0, 0.5)
    """
    if denominator not in ("row", "k"):
        raise ValueError(f"denominator is {denominator!r}; use 'row' (min(K, candidates)) or 'k'")
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    t, r, n, above = ranked.at_cut()
    places = np.clip(ranked.candidates, 1, ranked.cut) if denominator == "row" or k is None else np.int64(k)
    return mean_over_rows((above + r * n / t) / places, ranked, empty, average)




def _chance_in_top(ranked: RankedRows) -> FloatArray:
    """Return each candidate's chance to be in the top K, (N, L) in the order of the scores: min(1, max(0, (K - g) / t))."""
    chance = np.clip((ranked.cut - ranked.above) / ranked.size, 0, 1)[ranked.group]
    chance[np.arange(chance.shape[1]) >= ranked.candidates[:, None]] = 0  # padded places
    out = np.zeros(ranked.relevance.shape)
    np.put_along_axis(out, ranked.order, chance, axis=1)
    return out


def top_k_overlap(
    scores_a: ArrayLike, scores_b: ArrayLike, k: int | None, ties: Literal["expected", "index"] = "expected", *,
    mask: ArrayLike | None = None, beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the share of the top K that two models have in common: would the user see the same products?

    Equation    sum over candidates of P(in top K of a) P(in top K of b) / min(K, candidates)           (5)
                P(in top K) = min(1, max(0, (K - g) / t))
    Derivation  The two models' ties are broken independently, so the chances multiply.
    Shapes      scores_a, scores_b (N, L), mask (N, L) -> float, or (N,) with average=None
    Limits      all scores of a equal: K / L, whatever b is
    Convention  ties  "expected": (5); a model whose cut falls into a tie overlaps even itself by less than 1, because two
                      sorts of it need not show the same products. "index": the lower index stands first in both, so that a
                      model overlaps itself by 1; shared ties then look like agreement.
                A row without candidates has no overlap: it is left out of the mean, and NaN with average=None.
                mask, beyond, average: see ties.rank_rows and ties.mean_over_rows
    Raises      ValueError if the two matrices differ in shape, a score is NaN, or k or a keyword is refused
    Source      this package

    >>> top_k_overlap([[4, 3, 2, 1]], [[4, 1, 2, 3]], k=2), top_k_overlap([[1, 1, 1, 1]], [[4, 1, 2, 3]], k=2)
    (0.5, 0.5)
    """
    if np.shape(scores_a) != np.shape(scores_b) or ties not in ("expected", "index") or average not in ("rows", None):
        raise ValueError(
            f"scores are {np.shape(scores_a)} and {np.shape(scores_b)}, ties is {ties!r}, average is {average!r}; "
            "pass the same candidates to both models, ties 'expected' or 'index', average 'rows' or None"
        )
    a, b = (rank_rows(scores, None, k, ties, mask, beyond) for scores in (scores_a, scores_b))
    common = (_chance_in_top(a) * _chance_in_top(b)).sum(axis=1)
    counted = a.candidates > 0
    values = np.where(counted, common / np.clip(a.candidates, 1, a.cut), np.nan)
    if average is None:
        return values
    return float(values[counted].mean()) if counted.any() else float("nan")
