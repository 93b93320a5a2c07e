"""Where in the top K is it? Reciprocal rank, average precision and NDCG pay more for a better place.

All three are means over rows; a row's value is its expectation over all orders of equal scores, taken in closed form. They
are sums over positions j of what stands there, and the chance that a given member of a group stands at position j is
1 / t at each of its t positions. NDCG needs no more than that. Average precision needs pairs: given that a relevant member
stands at j, each other member of its group is relevant with chance (r - 1) / (t - 1). Reciprocal rank needs the first one.
The keywords ties, mask, empty, beyond and average are explained at ties.rank_rows and ties.mean_over_rows.

Letters     as in ties: of the group that position j lies in, g candidates above, t members, r relevant, H relevant above; K the
            cut, R relevant in the row, N rows, L the row's length; of the group at the cut, n places above it
Not here: the top K as a set (retrieval). Read next: classification.
"""
from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from tinycompress.ties import Average, Beyond, Empty, FloatArray, RankedRows, Ties, Value, mean_over_rows, rank_rows

Gain = Literal["linear", "exponential"]
Discount = Literal["log2", "log2_from_2", "reciprocal"]
Denominator = Literal["min_k", "relevant", "k", "hits"]


def ndcg(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    gain: Gain = "linear", discount: Discount = "log2", empty: Empty = "zero", beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the discounted gain of the top K, divided by that of the best possible order: NDCG@K.

    Equation    DCG = sum over positions j = 1 ... K of d(j) (sum of gains of j's group) / t             (1)
                NDCG = DCG / (DCG of the row sorted by gain)                                             (2)
                one relevant in a group: NDCG = (D(min(g + t, K)) - D(min(g, K))) / t,  D(m) = sum over j <= m of d(j)
    Derivation  DCG is linear in the gain at each position, and the expected gain at j is the mean of j's group. The ideal
                does not depend on the order, so the expectation of the quotient is the quotient of expectations.
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Convention  gain      "linear": the relevance itself (scikit-learn, trec_eval). "exponential": 2^relevance - 1, which lets one
                          excellent candidate outweigh several good ones (LightGBM, XGBoost). Equal where relevance is 0 or 1.
                discount  "log2": d(j) = 1 / log2(j + 1) (nearly everyone). "log2_from_2": 1 / max(1, log2(j)), positions 1 and
                          2 undiscounted (Jarvelin and Kekalainen). "reciprocal": 1 / j.
                The ideal is cut at K too: a row with R > K can reach 1. Other keywords: see the module
    Raises      ValueError if scores, relevance, mask or k are malformed, a gain overflows, or a keyword is unknown
    Source      Jarvelin and Kekalainen, Cumulated gain-based evaluation of IR techniques (2002); Burges et al., Learning to rank
                using gradient descent (2005) for 2^r - 1; McSherry and Najork (2008) for ties

    >>> ndcg([[9, 8, 7]], [[0, 0, 1]], k=3)
    0.5
    >>> ndcg([[7, 7, 7]], [[2, 0, 1]], k=1), ndcg([[7, 7, 7]], [[2, 0, 1]], k=1, ties="optimistic")
    (0.5, 1.0)
    """
    if gain not in get_args(Gain) or discount not in get_args(Discount):
        raise ValueError(f"gain is {gain!r}, discount is {discount!r}; use one of {get_args(Gain)} and {get_args(Discount)}")
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    j = np.arange(1, ranked.cut + 1)
    weight = {"log2": 1 / np.log2(j + 1), "log2_from_2": 1 / np.maximum(1, np.log2(j)), "reciprocal": 1 / j}[discount]
    with np.errstate(over="ignore", under="ignore"):
        gains = ranked.relevance if gain == "linear" else np.exp2(ranked.relevance) - 1  # (N, L)
        sums = np.add.reduceat(np.take_along_axis(gains, ranked.order, axis=1).ravel(), ranked.starts)  # (G,)
        dcg = ((sums / ranked.size)[ranked.group[:, : ranked.cut]] * weight).sum(axis=1)  # (1)
        ideal = (-np.sort(-gains, axis=1)[:, : ranked.cut] * weight).sum(axis=1)
        values = dcg / np.where((ideal > 0) & np.isfinite(ideal), ideal, 1)  # (2)
    if not (np.isfinite(sums).all() and np.isfinite(ideal).all()):
        raise ValueError(f"gains overflow: relevance reaches {ranked.relevance.max()} with gain={gain!r}; divide the relevance")
    return mean_over_rows(np.minimum(values, 1), ranked, empty, average)  # a mean of equal gains may round up by an ulp


def mrr(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    empty: Empty = "zero", beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the mean of 1 / (position of the first relevant candidate), 0 where it stands beyond K.

    Equation    sum over positions j = 1 ... K of F(j - 1) h(j) / j                                      (3)
                h(j) = r / (t - (j - 1 - g)),   F(j) = product over i <= j of 1 - h(i)
    Derivation  If nothing relevant stood before j, all r are among the t - (j - 1 - g) members not yet placed: h(j) is the
                chance that one of them takes j, F(j) that nothing relevant stands up to j. In the first group with r > 0
                there comes a j with as many unplaced as relevant members, h(j) = 1: from there on F is exactly 0, and what h
                says of later positions, where it may exceed 1, does not count.
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Convention  keywords: see the module
    Raises      ValueError if scores, relevance, mask or k are malformed, or a keyword is unknown
    Source      Voorhees, The TREC-8 question answering track report (1999); the hypergeometric waiting time for ties

    >>> mrr([[3, 2, 1], [1, 1, 0]], [[0, 1, 0], [1, 0, 0]], k=None)
    0.625
    """
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    j, group = np.arange(1, ranked.cut + 1), ranked.group[:, : ranked.cut]
    unplaced = ranked.size[group] - (j - 1 - ranked.above[group])
    hazard = ranked.relevant[group] / unplaced  # (N, K)
    with np.errstate(under="ignore"):  # an F below 1e-308 adds nothing
        none_before = np.cumprod(np.insert(1 - hazard[:, :-1], 0, 1.0, axis=1), axis=1)
        values = (none_before * hazard / j).sum(axis=1)  # (3)
    return mean_over_rows(values, ranked, empty, average)


def average_precision(
    scores: ArrayLike, relevance: ArrayLike, k: int | None, ties: Ties = "expected", *, mask: ArrayLike | None = None,
    denominator: Denominator = "min_k", empty: Empty = "zero", beyond: Beyond = "row", average: Average = "rows",
) -> Value:  # fmt: skip
    """Return the mean over rows of average precision: MAP@K.

    Equation    (1 / denominator) sum over relevant positions j <= K of (relevant up to j) / j           (4)
                expected sum:  sum over j <= K of (r / t) (1 + H + (j - 1 - g) (r - 1) / (t - 1)) / j    (5)
    Derivation  Position j is relevant with chance r / t. Given that, itself and the H above its group count, and each of
                the j - 1 - g group members before it is relevant with chance (r - 1) / (t - 1).
    Shapes      scores, relevance (N, L), mask (N, L) -> float, or (N,) with average=None
    Convention  denominator  "min_k": min(R, K), so that a perfect row has 1 (Kaggle, RecBole). "relevant": R (trec_eval's
                             map_cut), below 1 where R > K. "k": K, or the row if it is shorter. "hits": the relevant
                             candidates found, a mean over them alone, 0 without any: rewards finding few. With "hits"
                             another hit can lower the mean, so "optimistic" puts the relevant first and is no upper bound.
                Ties differ from scikit-learn's average_precision_score, which gives all members of a group the precision at
                its end; with distinct scores, k=None and a row with something relevant the two agree.
    Raises      ValueError if scores, relevance, mask or k are malformed, or a keyword is unknown
    Source      Buckley and Voorhees, Evaluating evaluation measure stability (2000); McSherry and Najork (2008) for ties

    >>> average_precision([[4, 3, 2, 1]], [[1, 0, 0, 1]], k=None), average_precision([[0, 0]], [[1, 0]], k=None)
    (0.75, 0.75)
    """
    if denominator not in get_args(Denominator):
        raise ValueError(f"denominator is {denominator!r}; use one of {get_args(Denominator)}")
    ranked = rank_rows(scores, relevance, k, ties, mask, beyond)
    j, group = np.arange(1, ranked.cut + 1), ranked.group[:, : ranked.cut]
    t, r, place = ranked.size[group], ranked.relevant[group], j - 1 - ranked.above[group]
    terms = r / t * (1 + ranked.relevant_above[group] + place * (r - 1) / np.maximum(t - 1, 1)) / j  # (5)
    if denominator == "hits":
        values = _mean_over_hits(ranked, terms)
    else:
        total = (ranked.relevance > 0).sum(axis=1)
        bound = {"min_k": np.minimum(total, ranked.cut), "relevant": total, "k": np.minimum(ranked.candidates, ranked.cut)}
        values = terms.sum(axis=1) / np.maximum(bound[denominator], 1)
    return mean_over_rows(np.minimum(values, 1), ranked, empty, average)


def _mean_over_hits(ranked: RankedRows, terms: FloatArray) -> FloatArray:
    """Expect (4) with the number of hits below the line, where numerator and denominator vary together.

    Equation    sum over h of P(h) (A + (h / n) (S1 (1 + H) + S2 (h - 1) / (n - 1))) / (H + h)
                P(h) = C(r, h) C(t - r, n - h) / C(t, n),   S1 = sum of 1 / j,   S2 = sum of (j - 1 - g) / j over the n places
    Derivation  Only the group at the cut is uncertain. Given that h of its r are among the n places, these are a random order
                of n members with h relevant: (5) with r = h, t = n. A, the sum over the groups above, does not depend on h.
    """
    t, r, n, above = ranked.at_cut()
    j = np.arange(1, ranked.cut + 1)
    inside = j > (ranked.cut - n)[:, None]  # (N, K) positions of the group at the cut
    done = np.where(inside, 0, terms).sum(axis=1)
    s1 = (inside / j).sum(axis=1)
    s2 = (inside * (j - 1 - (ranked.cut - n)[:, None]) / j).sum(axis=1)
    least, most = np.maximum(0, n - (t - r)), np.minimum(r, n)
    h = least[:, None] + np.arange(int((most - least).max(initial=0)) + 1)  # (N, hits)
    possible = h <= most[:, None]
    t, r, n, above = t[:, None], r[:, None], n[:, None], above[:, None]
    # P(h + 1) / P(h), in logarithms because P(least) may be below 1e-308
    ratio = np.where(h < np.minimum(r, n), (r - h) * (n - h) / ((h + 1) * (t - r - n + h + 1)), 1)
    log_p = np.where(possible, np.insert(np.cumsum(np.log(ratio[:, :-1]), axis=1), 0, 0.0, axis=1), -np.inf)
    with np.errstate(under="ignore"):
        p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    value = done[:, None] + h / n * (s1[:, None] * (1 + above) + s2[:, None] * (h - 1) / np.maximum(n - 1, 1))
    expected: FloatArray = (p * value / np.maximum(h + above, 1)).sum(axis=1)  # nothing found: value is 0
    return expected
