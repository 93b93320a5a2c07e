"""Ranking metrics equal brute force over all orders of equal scores, in exact rational arithmetic; and how sure a mean is."""
import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ranked_rows

from tinycompress import metrics, ties

U = 2.0**-53


def bound(length):
    """Each value is a sum of at most L terms >= 0, each term and the quotient behind it of at most 3 L + 10 rounded operations on
    numbers >= 0 (the products of mrr and hit_rate are the longest): the relative error is at most gamma of their number."""
    n = 4 * length + 10
    return n * U / (1 - n * U)


# ---- the oracle: every order that a sort could return, and the definitions as one would say them aloud ----


def orders(scores, mask):
    """All orders of the candidates by falling score."""
    kept = [i for i, m in enumerate(mask) if m]
    blocks = [[i for i in kept if scores[i] == s] for s in sorted({float(scores[i]) for i in kept}, reverse=True)]
    for parts in itertools.product(*(itertools.permutations(block) for block in blocks)):
        yield [i for part in parts for i in part]


def hit(y, k):
    return Fraction(any(v > 0 for v in y[:k]))


def reciprocal_rank(y, k):
    return next((Fraction(1, j) for j, v in enumerate(y[:k], 1) if v > 0), Fraction(0))


def hits_over(y, k, denominator):
    return Fraction(sum(v > 0 for v in y[:k]), denominator) if denominator else Fraction(0)


def precision_sum(y, k):
    return sum((Fraction(sum(v > 0 for v in y[:j]), j) for j, v in enumerate(y[:k], 1) if v > 0), Fraction(0))


def ndcg_of(y, k, gain, discount):
    def dcg(values):
        return sum((Fraction(gain(v)) * Fraction(discount(j)) for j, v in enumerate(values[:k], 1)), Fraction(0))

    best = dcg(sorted(y, reverse=True))
    return dcg(y) / best if best else Fraction(0)


LINEAR, EXPONENTIAL = (lambda v: v), (lambda v: 2.0**v - 1)
DISCOUNTS = {
    "log2": lambda j: 1 / np.log2(j + 1),
    "log2_from_2": lambda j: 1 / max(1.0, np.log2(j)),
    "reciprocal": lambda j: 1 / j,
}

# name, keywords, value of one order y (relevance from the top) at k
DEFINITIONS = [
    ("hit_rate", {}, hit),
    ("mrr", {}, reciprocal_rank),
    ("recall_at_k", {}, lambda y, k: hits_over(y, k, sum(v > 0 for v in y))),
    ("recall_at_k", {"denominator": "min_k"}, lambda y, k: hits_over(y, k, min(k, sum(v > 0 for v in y)))),
    ("precision_at_k", {}, lambda y, k: hits_over(y, k, min(k, len(y)))),
    ("precision_at_k", {"denominator": "k"}, lambda y, k: hits_over(y, k, k)),
    ("average_precision", {}, lambda y, k: precision_sum(y, k) / max(1, min(k, sum(v > 0 for v in y)))),
    ("average_precision", {"denominator": "relevant"}, lambda y, k: precision_sum(y, k) / max(1, sum(v > 0 for v in y))),
    ("average_precision", {"denominator": "k"}, lambda y, k: precision_sum(y, k) / max(1, min(k, len(y)))),
    ("average_precision", {"denominator": "hits"}, lambda y, k: precision_sum(y, k) / max(1, sum(v > 0 for v in y[:k]))),
    ("ndcg", {}, lambda y, k: ndcg_of(y, k, LINEAR, DISCOUNTS["log2"])),
    ("ndcg", {"gain": "exponential"}, lambda y, k: ndcg_of(y, k, EXPONENTIAL, DISCOUNTS["log2"])),
    ("ndcg", {"discount": "log2_from_2"}, lambda y, k: ndcg_of(y, k, LINEAR, DISCOUNTS["log2_from_2"])),
    ("ndcg", {"discount": "reciprocal"}, lambda y, k: ndcg_of(y, k, LINEAR, DISCOUNTS["reciprocal"])),
]  # fmt: skip
IDS = ["-".join([name, *keywords.values()]) for name, keywords, _ in DEFINITIONS]
RANKING = ["hit_rate", "recall_at_k", "precision_at_k", "ndcg", "mrr", "average_precision"]


@pytest.mark.parametrize("name, keywords, of_order", DEFINITIONS, ids=IDS)
@settings(max_examples=40)
@given(row=ranked_rows())
def test_brute_force_over_all_orders(name, keywords, of_order, row):
    scores, relevance, mask, k = row
    metric = getattr(metrics, name)
    values = [of_order([float(relevance[0, i]) for i in order], k) for order in orders(scores[0], mask[0])]
    exact = {"expected": sum(values, Fraction(0)) / len(values), "optimistic": max(values), "pessimistic": min(values)}
    if keywords.get("denominator") == "hits":  # relevant first and last are no extremes there: see the docstring
        del exact["optimistic"], exact["pessimistic"]
    for rule, value in exact.items():
        received = metric(scores, relevance, k, rule, mask=mask, **keywords)
        assert abs(Fraction(received) - value) <= Fraction(bound(scores.size)), (rule, received, float(value))


def small_rows():
    """Every row of up to 2 candidates above a tie of 2 to 4, and one below: relevance of those above, of the tied, below."""
    for above in itertools.chain.from_iterable(itertools.product([0, 1], repeat=g) for g in range(3)):
        for t in range(2, 5):
            for r in range(t + 1):
                yield list(above), [1] * r + [0] * (t - r), [(len(above) + r) % 2]


@pytest.mark.parametrize("name, keywords, of_order", DEFINITIONS, ids=IDS)
def test_every_small_row(name, keywords, of_order):
    rows = list(small_rows())
    shape = len(rows), 7
    scores, relevance, mask = np.zeros(shape), np.zeros(shape, int), np.zeros(shape, bool)
    for i, (above, tied, below) in enumerate(rows):
        scores[i, : len(above)] = range(9, 9 - len(above), -1)
        scores[i, len(above) : len(above) + len(tied)] = 1
        relevance[i, : len(above) + len(tied) + 1] = above + tied + below
        mask[i, : len(above) + len(tied) + 1] = True
    for k in range(1, 8):
        received = getattr(metrics, name)(scores, relevance, k, mask=mask, average=None, **keywords)
        for value, (above, tied, below) in zip(received, rows, strict=True):
            places = list(itertools.combinations(range(len(tied)), sum(tied)))  # equally likely, for the relevant among the tied
            ordered = ([*above, *(float(i in chosen) for i in range(len(tied))), *below] for chosen in places)
            exact = sum(of_order([float(v) for v in y], k) for y in ordered) / len(places)
            assert abs(Fraction(value) - exact) <= Fraction(bound(7)), (above, tied, below, k)


@settings(max_examples=40)
@given(row=ranked_rows(max_length=4), other=st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=4, max_size=4))
def test_overlap_is_brute_force_over_both_models_orders(row, other):
    a, _, mask, k = row
    b = np.array([other[: a.shape[1]]])
    pairs = list(itertools.product(orders(a[0], mask[0]), orders(b[0], mask[0])))
    if not mask.any():
        assert math.isnan(metrics.top_k_overlap(a, b, k, mask=mask))
        return
    exact = sum(Fraction(len(set(p[:k]) & set(q[:k])), min(k, int(mask.sum()))) for p, q in pairs) / len(pairs)
    assert abs(Fraction(metrics.top_k_overlap(a, b, k, mask=mask)) - exact) <= Fraction(bound(a.size))
    assert metrics.top_k_overlap(a, a, k, "index", mask=mask) == 1


# ---- laws ----

RNG = np.random.default_rng(5)
N, L, K = 40, 12, 5
SCORES = RNG.integers(0, 4, (N, L)).astype(np.float64)
RELEVANCE = RNG.choice([0, 0, 0, 1, 3], (N, L))
MASK = np.arange(L) < RNG.integers(0, L + 1, N)[:, None]
MASK[0] = True


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("rule", ["expected", "optimistic", "pessimistic"])
def test_values_do_not_depend_on_how_candidates_are_listed_or_scores_scaled(name, rule):
    metric = getattr(metrics, name)
    value = metric(SCORES, RELEVANCE, K, rule, mask=MASK, average=None)
    assert ((value >= 0) & (value <= 1)).all()
    shuffle = RNG.permutation(L)
    moved = metric(SCORES[:, shuffle], RELEVANCE[:, shuffle], K, rule, mask=MASK[:, shuffle], average=None)
    np.testing.assert_allclose(moved, value, rtol=0, atol=2 * bound(L))
    for increased in (np.exp(SCORES), SCORES**3 - 7, (SCORES + 1).astype(np.float32), SCORES.astype(np.uint8)):
        again = metric(increased, RELEVANCE, K, rule, mask=MASK, average=None)
        np.testing.assert_allclose(again, value, rtol=0, atol=2 * bound(L))


@pytest.mark.parametrize("name", RANKING)
def test_expected_lies_between_pessimistic_and_optimistic(name):
    metric, rules = getattr(metrics, name), ("pessimistic", "expected", "optimistic")
    low, middle, high = (metric(SCORES, RELEVANCE, K, rule, average=None) for rule in rules)
    assert (low <= middle + bound(L)).all() and (middle <= high + bound(L)).all() and (low < high).any()


@pytest.mark.parametrize("name", RANKING)
def test_the_order_of_rows_is_no_matter(name, rule="expected"):
    shuffle = RNG.permutation(N)
    metric = getattr(metrics, name)
    assert metric(SCORES[shuffle], RELEVANCE[shuffle], K, rule) == metric(SCORES, RELEVANCE, K, rule)


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize("rule", ["expected", "optimistic", "pessimistic", "index"])
def test_a_row_alone_and_unpadded_has_the_value_it_has_among_others(name, rule):
    metric = getattr(metrics, name)
    junk = np.where(MASK, SCORES, np.nan)  # padded scores are not read
    value = metric(junk, np.where(MASK, RELEVANCE, -1), K, rule, mask=MASK, average=None)
    for i in range(N):
        alone = metric(SCORES[i : i + 1, MASK[i]], RELEVANCE[i : i + 1, MASK[i]], K, rule)
        assert abs(alone - value[i]) <= 2 * bound(L)
    np.testing.assert_allclose(metric(junk, RELEVANCE, K, rule, mask=MASK), value.mean(), rtol=0, atol=bound(N))


@pytest.mark.parametrize("name", RANKING)
def test_padding_with_minus_infinity_is_a_mask_while_k_is_within_the_row(name):
    long = MASK.sum(axis=1) >= K
    padded = metrics.__dict__[name](np.where(MASK, SCORES, -np.inf)[long], np.where(MASK, RELEVANCE, 0)[long], K, average=None)
    np.testing.assert_array_equal(padded, getattr(metrics, name)(SCORES[long], RELEVANCE[long], K, mask=MASK[long], average=None))


def test_a_collapsed_model_hits_with_k_of_l_exactly():
    for length in (1, 2, 3, 7, 100, 1000):
        relevance = np.eye(1, length)
        for k in {1, 2, 3, 10, length - 1, length, length + 1} - {0}:
            assert metrics.hit_rate(np.zeros((1, length)), relevance, k) == min(k, length) / length
            assert metrics.recall_at_k(np.zeros((1, length)), relevance, k) == min(k, length) / length
    assert metrics.hit_rate(np.zeros((6, 100)), np.eye(1, 100).repeat(6, 0), 10) == 0.1
    for rule, value in (("optimistic", 1), ("pessimistic", 0), ("index", 1)):
        assert metrics.hit_rate(np.zeros((1, 100)), np.eye(1, 100), 10, rule) == value


def test_one_positive_among_g_above_and_t_tied_negatives():
    """HR = min(1, max(0, (K - g) / (t + 1))), NDCG = (D(min(g + t + 1, K)) - D(min(g, K))) / (t + 1), with t negatives tied."""
    for g, t, k in itertools.product(range(5), range(5), range(1, 8)):
        scores = np.array([[1.0] + [2.0] * g + [1.0] * t + [0.0] * 3])
        relevance = np.eye(1, scores.size)
        d = [0.0, *itertools.accumulate(1 / math.log2(r + 2) for r in range(k))]
        assert metrics.hit_rate(scores, relevance, k) == min(1, max(0, (k - g) / (t + 1)))
        exact = (d[min(g + t + 1, k)] - d[min(g, k)]) / (t + 1)
        assert abs(metrics.ndcg(scores, relevance, k) - exact) <= 4 * bound(k)  # the difference of sums up to 4 loses their ulps


def test_identities_between_metrics():
    one = np.eye(1, L).repeat(N, 0)
    hit = metrics.hit_rate(SCORES, one, K, average=None)
    np.testing.assert_array_equal(metrics.recall_at_k(SCORES, one, K, average=None), hit)
    rr = metrics.mrr(SCORES, one, K, average=None)
    for same in (
        metrics.average_precision(SCORES, one, K, average=None),
        metrics.average_precision(SCORES, one, K, average=None, denominator="hits"),
        metrics.ndcg(SCORES, one, K, average=None, discount="reciprocal"),
    ):
        np.testing.assert_allclose(same, rr, rtol=0, atol=2 * bound(L))
    hits = metrics.precision_at_k(SCORES, RELEVANCE, K, average=None) * K
    np.testing.assert_allclose(metrics.recall_at_k(SCORES, RELEVANCE, K, average=None) * (RELEVANCE > 0).sum(1), hits, rtol=8 * U)
    perfect = RELEVANCE.astype(float)
    for name in ("hit_rate", "ndcg", "mrr", "average_precision"):
        values = getattr(metrics, name)(perfect, RELEVANCE, K, average=None)[(RELEVANCE > 0).any(1)]
        np.testing.assert_allclose(values, 1, rtol=0, atol=bound(L))
    distinct = np.arange(L, 0, -1.0)[None]
    assert metrics.ndcg(distinct, distinct, K) == metrics.average_precision(distinct, distinct, None) == 1


def test_thousands_tied_neither_overflow_nor_lose_digits():
    length, r, k = 3000, 1500, 700
    scores, relevance = np.zeros((1, length)), np.zeros((1, length))
    relevance[0, ::2] = 1
    miss = Fraction(math.comb(length - r, k), math.comb(length, k))
    assert abs(metrics.hit_rate(scores, relevance, k) - float(1 - miss)) <= bound(r)
    assert metrics.hit_rate(scores, relevance, 1) == 0.5
    waiting = sum(
        Fraction(math.comb(length - j, r - 1), math.comb(length, r)) / j for j in range(1, 60)
    )  # P(first relevant at j) / j; beyond 60 it is below 2^-60
    assert abs(metrics.mrr(scores, relevance, None) - float(waiting)) <= bound(length)
    hits = metrics.average_precision(scores, relevance, k, denominator="hits")
    expected = [Fraction(math.comb(r, h) * math.comb(length - r, k - h), math.comb(length, k)) for h in range(k + 1)]
    s1 = sum(1 / j for j in range(1, k + 1))
    s2 = sum((j - 1) / j for j in range(1, k + 1))
    exact = sum(float(p) / k * (s1 + s2 * (h - 1) / (k - 1)) for h, p in enumerate(expected) if h)
    # the logarithms of the weights are sums of up to k terms up to log(r k): k^2 log(r k) u is more than their error
    assert abs(hits - exact) <= k * k * math.log(r * k) * U


# ---- conventions ----


def test_rows_in_which_nothing_is_relevant():
    scores, relevance = [[3, 2, 1], [3, 2, 1]], [[1, 0, 0], [0, 0, 0]]
    for name in RANKING:
        metric = getattr(metrics, name)
        first = metric(scores[:1], relevance[:1], 1)
        assert [metric(scores, relevance, 1, empty=e) for e in ("zero", "skip", "one")] == [first / 2, first, (first + 1) / 2]
        np.testing.assert_array_equal(metric(scores, relevance, 1, empty="skip", average=None), [first, np.nan])
        assert math.isnan(metric(scores[1:], relevance[1:], 1, empty="skip"))
        assert metric(scores[1:], relevance[1:], 1) == 0


def test_nothing_to_rank():
    for name in RANKING:
        metric = getattr(metrics, name)
        assert math.isnan(metric(np.zeros((0, 3)), np.zeros((0, 3)), 2))
        assert metric(np.zeros((0, 3)), np.zeros((0, 3)), 2, average=None).shape == (0,)
        assert metric(np.zeros((2, 0)), np.zeros((2, 0)), 2) == 0
        assert metric(np.zeros((2, 0)), np.zeros((2, 0)), None, empty="one") == 1
        assert metric(np.zeros((1, 2)), np.ones((1, 2)), 2, mask=np.zeros((1, 2), bool)) == 0
    assert math.isnan(metrics.top_k_overlap(np.zeros((2, 0)), np.zeros((2, 0)), 3))


def test_index_ties_depend_on_where_the_positive_stands():
    tied = np.zeros((1, 4))
    assert [metrics.mrr(tied, np.eye(4)[[i]], None, "index") for i in range(4)] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert metrics.mrr(np.array([[0.0, -0.0]]), [[0, 1]], None, "index") == 0.5  # signed zeros are equal scores


def test_without_relevance_nothing_is_relevant():
    ranked = ties.rank_rows([[3, 1, 3]], None, 2)
    assert not ranked.relevance.any() and ranked.relevant.tolist() == [0] and ranked.size.tolist() == [2]


def test_infinite_scores_are_scores():
    scores = np.array([[-np.inf, np.inf, -np.inf, 0.0]])
    assert metrics.mrr(scores, [[0, 0, 0, 1]], None) == 1 / 2
    assert metrics.hit_rate(scores, [[1, 0, 0, 0]], 3) == 1 / 2
    # a padded candidate stands behind a real one with -inf: it takes no share of the tie
    assert metrics.hit_rate(scores, [[1, 0, 0, 0]], 3, mask=np.array([[True, True, False, True]])) == 1


def test_several_relevance_scales():
    assert metrics.ndcg([[2, 1]], [[1, 3]], None) == (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3))
    assert metrics.ndcg([[2, 1]], [[1, 3]], None, gain="exponential") == (1 + 7 / math.log2(3)) / (7 + 1 / math.log2(3))
    assert metrics.ndcg([[2, 1]], [[1e-300, 1e300]], 1) == 0  # 1e-600
    assert metrics.hit_rate([[2, 1]], [[False, True]], 2) == 1


def test_what_is_just_allowed():
    assert metrics.hit_rate([[2**53, 2**53 - 1]], [[1, 0]], 1) == metrics.hit_rate([[1 - 2**53, -(2**53)]], [[1, 0]], 1) == 1
    uneven = np.array([[True, True, False], [True, True, True]])
    assert metrics.recall_at_k(np.zeros((2, 3)), np.ones((2, 3)), 2, mask=uneven, beyond="error") == (1 + 2 / 3) / 2
    # a mean of three tied 0.1 is 0.1 and an ulp; the quotient still ends at 1
    assert metrics.ndcg([[0, 0, 0, -1]], [[0.1, 0.1, 0.1, 0]], 1) == 1
    for k in range(1, 41):
        assert 1 - bound(40) <= metrics.average_precision(np.zeros((1, 40)), np.ones((1, 40)), k, denominator="hits") <= 1


def test_overlap_row_by_row():
    a, b = np.array([[3, 2, 1], [3, 2, 1], [0, 0, 0]]), np.array([[3, 2, 1], [1, 2, 3], [0, 0, 0]])
    mask = np.array([[True] * 3, [True] * 3, [False] * 3])
    np.testing.assert_array_equal(metrics.top_k_overlap(a, b, 1, mask=mask, average=None), [1, 0, np.nan])
    assert metrics.top_k_overlap(a, b, 1, mask=mask) == 0.5
    assert metrics.top_k_overlap([[2, 1]], [[1, 2]], 2, mask=[[True, False]]) == 1  # a row of one, in a list of two
    with pytest.raises(ValueError, match="k is 4"):
        metrics.top_k_overlap(a, b, 4, beyond="error")


S, R = [[2.0, 1.0, 0.0]], [[1, 0, 0]]


@pytest.mark.parametrize("name", RANKING)
@pytest.mark.parametrize(
    "arguments, keywords, says",
    [
        (([2.0, 1.0], [1, 0], 1), {}, r"1-d float64"),
        (([["a", "b"]], [[1, 0]], 1), {}, "pass numbers"),
        (([[2.0, np.nan, 0.0]], R, 1), {}, r"1 scores are NaN, the first at \[0, 1\]"),
        (([[2**53 + 1, 1, 0]], R, 1), {}, "beyond 2"),
        ((np.uint64([[2**53 + 1, 1, 0]]), R, 1), {}, "beyond 2"),
        ((S, [[1, 0]], 1), {}, r"relevance is int64 \(1, 2\), scores are \(1, 3\)"),
        ((S, [[1, -1, 0]], 1), {}, "relevance holds -1.0"),
        ((S, [[1, np.inf, 0]], 1), {}, "relevance holds inf"),
        ((S, [[1, np.nan, 0]], 1), {}, "relevance holds nan"),
        ((S, R, 0), {}, "k is 0"),
        ((S, R, 1.5), {}, "k is 1.5"),
        ((S, R, 4), {"beyond": "error"}, "k is 4, and the shortest row has 3"),
        ((S, R, 3), {"beyond": "error", "mask": np.array([[True, True, False]])}, "k is 3, and the shortest row has 2"),
        ((S * 2, R * 2, 3), {"beyond": "error", "mask": np.array([[True] * 3, [False] + [True] * 2])}, "the shortest row has 2"),
        (([[-(2**53) - 1, 1, 0]], R, 1), {}, "beyond 2"),
        ((S, R, 1), {"beyond": "end"}, "beyond is 'end'"),
        ((S, R, 1), {"ties": "average"}, "ties is 'average'"),
        ((S, R, 1), {"mask": [[1, 1, 0]]}, "mask is int64"),
        ((S, R, 1), {"mask": [[True, False]]}, r"mask is bool \(1, 2\)"),
        ((S, R, 1), {"empty": "nan"}, "empty is 'nan'"),
        ((S, R, 1), {"average": "macro"}, "average is 'macro'"),
    ],
)
def test_refused(name, arguments, keywords, says):
    with pytest.raises(ValueError, match=says):
        getattr(metrics, name)(*arguments, **keywords)


def test_refused_by_one_metric():
    for name in ("recall_at_k", "precision_at_k", "average_precision"):
        with pytest.raises(ValueError, match="denominator is 'n'"):
            getattr(metrics, name)(S, R, 1, denominator="n")
    for keywords in ({"gain": "log"}, {"discount": "ln"}):
        with pytest.raises(ValueError, match="gain is .* discount is"):
            metrics.ndcg(S, R, 1, **keywords)
    for scores, relevance, k, keywords in (
        ([[0, 0, 0]], [[1e308, 1e308, 1e308]], 1, {}),  # only the sum of the group overflows
        ([[2, 1, 0]], [[1e308, 1e308, 1e308]], 3, {}),  # only the sum of the ideal does
        ([[0, 0, 0]], [[1025, 0, 0]], 1, {"gain": "exponential"}),
    ):
        with pytest.raises(ValueError, match="gains overflow"):
            metrics.ndcg(scores, relevance, k, **keywords)
    for b, ties_, average in (([[1.0, 2.0]], "expected", "rows"), (S, "optimistic", "rows"), (S, "expected", "micro")):
        with pytest.raises(ValueError, match="same candidates"):
            metrics.top_k_overlap(S, b, 1, ties_, average=average)
    with pytest.raises(ValueError, match="average is"):
        ties.mean_over_rows(np.ones(1), ties.rank_rows(S, R, 1), average="mean")


def test_arguments_are_left_alone_and_may_be_strided_or_read_only():
    scores, relevance = np.repeat(SCORES, 2, axis=1)[:, ::2], np.asfortranarray(RELEVANCE)
    scores.setflags(write=False)
    before = scores.copy()
    for name in RANKING:
        assert getattr(metrics, name)(scores, relevance, K) == getattr(metrics, name)(SCORES, RELEVANCE, K)
    np.testing.assert_array_equal(scores, before)


# ---- how sure is a mean? ----


def test_mean_and_error():
    values = [0.25, 0.5, 1.0, 0.25]
    mean = sum(map(Fraction, values)) / 4
    variance = sum((Fraction(v) - mean) ** 2 for v in values) / 3 / 4
    found = metrics.mean_and_error(values)
    assert (found.mean, found.n) == (0.5, 4)
    assert abs(found.error - math.sqrt(variance)) <= 10 * U
    assert math.isnan(metrics.mean_and_error([3]).error)
    assert metrics.mean_and_error([0, 1]) == metrics.Estimate(0.5, 0.5, 2)
    for kind in (bool, np.uint8, np.int16, np.float16):
        assert metrics.mean_and_error(np.array([0, 1], kind)) == metrics.Estimate(0.5, 0.5, 2)
    assert metrics.mean_and_error(np.float32([2**24, 1, 1, 0])).mean == (2**24 + 2) / 4  # float32 would lose the ones


def test_bootstrap_finds_the_binomial_quantiles():
    """Means of N resampled rows of which m are 1 and the others 0 are Binomial(N, m / N) / N, whose distribution is known."""
    x = np.zeros(100)
    x[:30] = 1
    found = metrics.paired_bootstrap(np.random.default_rng(1), x, repeats=1999)
    assert (found.mean, found.level, found.repeats) == (0.3, 0.95, 1999)
    below = list(itertools.accumulate(math.comb(100, m) * 0.3**m * 0.7 ** (100 - m) for m in range(101)))  # P(sum <= m)
    for value, share in ((found.low, 0.025), (found.high, 0.975)):
        m, five_sigma = round(value * 100), 5 * math.sqrt(share * (1 - share) / 1999)  # of the observed share up to a quantile
        assert below[m - 1] <= share + five_sigma and below[m] >= share - five_sigma


def test_bootstrap_ends_at_the_cth_smallest_and_largest_mean():
    x = RNG.standard_normal(20)
    for repeats, level, c in ((1999, 0.95, 50), (39, 0.95, 1), (399, 0.9, 20), (100, 0.5, 25)):
        drawn = np.random.default_rng(7).integers(0, 20, (repeats, 20))
        means = sorted(x[row].mean() for row in drawn)
        found = metrics.paired_bootstrap(np.random.default_rng(7), x, repeats, level)
        np.testing.assert_allclose([found.low, found.high], [means[c - 1], means[-c]], rtol=0, atol=20 * U)


@pytest.mark.parametrize("level", [0.01, 0.3, 0.5, 2 / 3, 0.8, 0.9, 0.95, 0.975, 0.98, 0.99, 0.995, 0.999, 0.9999])
def test_the_number_of_repeats_that_is_asked_for_works_and_one_fewer_does_not(level):
    """It is the least with (repeats + 1) (1 - level) / 2 >= 1: of the levels in use 2 / (1 - level) - 1, as 19 at .9."""
    with pytest.raises(ValueError, match="^0 repeats cannot show") as refused:
        metrics.paired_bootstrap(RNG, [1.0], 0, level)
    least = int(str(refused.value).rpartition(" ")[2])
    assert least == math.ceil(2 / (1 - Fraction(str(level)))) - 1
    assert metrics.paired_bootstrap(np.random.default_rng(0), [0.5], least, level).repeats == least
    with pytest.raises(ValueError, match=f"{least - 1} repeats cannot show level {level}; use at least {least}$"):
        metrics.paired_bootstrap(RNG, [1.0], least - 1, level)


def test_bootstrap_is_mirrored_reproducible_and_shifts_with_its_data():
    x = RNG.integers(-8, 9, 50) / 8  # eighths: sums of 50 are exact, so shifting and mirroring are too
    one, two = (metrics.paired_bootstrap(np.random.default_rng(3), sign * x, 399, 0.9) for sign in (1, -1))
    assert one == metrics.paired_bootstrap(np.random.default_rng(3), x, 399, 0.9)
    assert (two.low, two.high, two.mean) == (-one.high, -one.low, -one.mean)
    assert one.low < one.mean < one.high
    wide = metrics.paired_bootstrap(np.random.default_rng(3), x, 399, 0.99)
    assert wide.low <= one.low and one.high <= wide.high


def test_bootstrap_in_blocks_counts_every_repeat():
    x = np.arange(3000.0) % 2  # 1999 repeats take six blocks
    found = metrics.paired_bootstrap(np.random.default_rng(0), x)
    error = metrics.mean_and_error(x).error
    # the 50th of 1999 means is a quantile with standard error sqrt(.025 * .975 / 1999) / pdf(1.96) = .06 standard errors
    assert abs((0.5 - found.low) / error - 1.96) < 5 * 0.06 and abs((found.high - 0.5) / error - 1.96) < 5 * 0.06


def test_the_memory_of_a_bootstrap_does_not_grow_with_its_repeats():
    x, peaks = np.zeros(10**5), []
    tracemalloc.start()
    try:
        for repeats in (39, 99):
            tracemalloc.reset_peak()
            metrics.paired_bootstrap(np.random.default_rng(0), x, repeats)
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
    assert max(peaks) <= 1.1 * 2 * 8 * 10**6  # a million indices and as many values


def test_bootstrap_of_more_rows_than_a_block_holds():
    found = metrics.paired_bootstrap(np.random.default_rng(0), np.ones(2**20 + 1), repeats=3, level=0.5)
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_group_means():
    found = metrics.group_means([1, 0, 1, 1, 0.5], [2, 1, 2, 1, 7])
    assert found.labels.tolist() == [1, 2, 7] and found.means.tolist() == [0.5, 1, 0.5] and found.counts.tolist() == [2, 2, 1]
    assert metrics.group_means([], []).means.shape == (0,)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: metrics.mean_and_error([]), "0 values"),
        (lambda: metrics.mean_and_error([[1.0]]), r"float64 \(1, 1\)"),
        (lambda: metrics.mean_and_error([1.0, np.nan, 2.0]), "1 of 3 values are not finite"),
        (lambda: metrics.paired_bootstrap(RNG, [1.0], level=0.0), "level is 0.0"),
        (lambda: metrics.mean_and_error(["a"]), "one number per row"),
        (lambda: metrics.paired_bootstrap(RNG, []), "0 differences"),
        (lambda: metrics.paired_bootstrap(RNG, [1.0], level=1.0), "level is 1.0"),
        (lambda: metrics.paired_bootstrap(RNG, [1.0], repeats=38), "38 repeats cannot show level 0.95; use at least 39"),
        (lambda: metrics.group_means([1.0], [1, 2]), r"groups is int64 \(2,\)"),
        (lambda: metrics.group_means([1.0], [np.nan]), "none of them NaN"),
    ],
)
def test_refused_columns(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ---- published figures ----


def test_most_popular_on_amazon_music_as_published(data_dir):
    """Most popular has HR@10 .2483 and NDCG@10 .1304 in DeepCF (AAAI 2019), where a sort decided among its many ties."""
    folder = data_dir / "amazon-music"
    train = np.loadtxt(folder / "AMusic.train.rating", dtype=np.int64, usecols=(0, 1))
    test = np.loadtxt(folder / "AMusic.test.rating", dtype=np.int64, usecols=(0, 1))
    negatives = np.array([line.split("\t")[1:] for line in (folder / "AMusic.test.negative").read_text().splitlines()], np.int64)
    candidates = np.concatenate([test[:, 1:], negatives], axis=1)
    scores = np.bincount(train[:, 1], minlength=candidates.max() + 1)[candidates]
    relevance = np.eye(1, 100).repeat(len(test), 0)
    assert abs(metrics.hit_rate(scores, relevance, 10) - 0.2483) <= 0.0007
    assert abs(metrics.ndcg(scores, relevance, 10) - 0.1304) <= 0.0007
    assert metrics.hit_rate(scores, relevance, 10, "optimistic") - metrics.hit_rate(scores, relevance, 10, "pessimistic") > 0.02
