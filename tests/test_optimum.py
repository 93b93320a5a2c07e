"""The optimum against enumeration: expectations equal averages over all outcomes, and no answer does better than the truth.

Probabilities are multiples of 1/16, so that sums and products of a few are exact in float64; where a test asks for more than
that, its bound stands beside it. A set in which each row stands 16 times, with its outcomes in just these proportions, turns an
expectation into a plain score: what the metrics say of it must be equal.
"""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress import metrics
from tinycompress.optimum import best_possible, expected_auc, expected_dcg, expected_log_loss

SIXTEENTHS = st.integers(0, 16)
ROWS = st.lists(st.tuples(st.integers(-2, 2), SIXTEENTHS), min_size=2, max_size=7).filter(
    lambda rows: 0 < sum(k for _, k in rows) < 16 * len(rows)
)


def distribution():
    """(skip, click, buy) in sixteenths."""
    return st.tuples(SIXTEENTHS, SIXTEENTHS).map(lambda cut: (min(cut), max(cut) - min(cut), 16 - max(cut)))


def lists(classes=3, length=3):
    one = distribution() if classes == 3 else SIXTEENTHS.map(lambda k: (16 - k, k))
    return st.lists(one, min_size=length, max_size=length).map(lambda rows: np.array([rows]) / 16)


@given(ROWS)
def test_auc_is_the_sum_over_pairs_and_what_the_metric_tends_to(rows):
    scores, p = np.array([s for s, _ in rows], float), np.array([k for _, k in rows]) / 16
    pairs = [(i, j) for i in range(len(p)) for j in range(len(p))]
    won = sum(p[i] * (1 - p[j]) * ((scores[i] > scores[j]) + (scores[i] == scores[j]) / 2) for i, j in pairs)
    assert expected_auc(scores, p) == won / (p.sum() * (1 - p).sum())
    outcomes = np.concatenate([np.arange(16) < k for _, k in rows])
    assert expected_auc(scores, p) == metrics.auc(outcomes, scores.repeat(16))


@given(ROWS)
def test_no_scores_have_a_better_auc_than_the_truth_and_its_order_is_all_that_counts(rows):
    scores, p = np.array([s for s, _ in rows], float), np.array([k for _, k in rows]) / 16
    best = expected_auc(p, p)
    assert expected_auc(scores, p) <= best
    for increasing in (lambda x: 3 * x - 1, np.exp, lambda x: x**3, lambda x: np.searchsorted(np.unique(p), x)):
        assert expected_auc(increasing(p), p) == best


def test_auc_needs_both_classes():
    for p in (np.zeros(2), np.ones(2)):
        with pytest.raises(ValueError, match="needs positives and negatives"):
            expected_auc(np.arange(2.0), p)


@given(st.lists(distribution(), min_size=1, max_size=5), st.data())
def test_accuracy_and_log_loss_of_the_truth_are_best(rows, data):
    p = np.array(rows) / 16
    # the optimum of lists needs two classes for its AUC; a certain skip and a certain click cost nothing to predict
    whole = np.concatenate([p, [[1, 0, 0], [0, 1, 0]]])
    best = best_possible(whole[None])
    outcomes = np.concatenate([np.repeat([0, 1, 2], (16 * row).astype(int)) for row in whole])
    assert best.accuracy == metrics.accuracy(outcomes, whole.argmax(axis=1).repeat(16))
    answers = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(whole), max_size=len(whole))))
    assert metrics.accuracy(outcomes, answers.repeat(16)) <= best.accuracy

    predicted = np.array(data.draw(st.lists(distribution(), min_size=len(p), max_size=len(p)))) / 16
    loss = expected_log_loss(predicted, p)
    if (predicted == p).all():
        assert loss == expected_log_loss(p, p)
    else:  # Pinsker: a row that differs, by 2/16 in sum, costs at least (2/16)^2 / 2 nats more; rounding is 1e-15 of about 1
        assert loss > expected_log_loss(p, p) + (2 / 16) ** 2 / 2 / len(p) - 1e-12
    assert np.isinf(loss) == bool(((predicted == 0) & (p > 0)).any())


def outcomes_of(p):
    """Every outcome of one list, and its probability."""
    for outcome in itertools.product(range(p.shape[1]), repeat=len(p)):
        yield np.array(outcome), np.prod(p[np.arange(len(p)), outcome])


def dcg(relevance, k):
    return (relevance[:k] / np.log2(np.arange(min(k, len(relevance))) + 2)).sum()


@given(lists(), st.integers(1, 4))
def test_dcg_is_the_mean_over_all_outcomes_and_the_truth_ranks_best(p, k):
    # each side sums at most 27 products below 2 x 3 with a relative error below 40 x 2^-53
    bound = 27 * 6 * 40 * 2.0**-53
    every = []
    for order in itertools.permutations(range(3)):
        scores = np.argsort(order)[None] * -1.0  # scores whose descending order is `order`
        enumerated = sum(chance * dcg(outcome[list(order)], k) for outcome, chance in outcomes_of(p[0]))
        assert abs(expected_dcg(scores, p, k) - enumerated) <= bound
        every.append(enumerated)
    assert abs(expected_dcg(p @ np.arange(3), p, k) - max(every)) <= bound
    if 0 < p[..., 0].sum() < 3:
        assert best_possible(p, k).dcg == expected_dcg(p @ np.arange(3), p, k)


@settings(max_examples=20)
@given(lists(classes=2, length=4), st.integers(1, 4))
def test_with_two_outcomes_the_truth_ranks_best_by_ndcg_too(p, k):
    def expected_ndcg(order):
        known = [(outcome, chance) for outcome, chance in outcomes_of(p[0]) if outcome.any()]
        return sum(chance * dcg(outcome[list(order)], k) / dcg(-np.sort(-outcome), k) for outcome, chance in known)

    truth = expected_ndcg(np.argsort(-p[0, :, 1], kind="stable"))
    best = max(expected_ndcg(order) for order in itertools.permutations(range(4)))
    assert abs(truth - best) <= 16 * 40 * 2.0**-53  # 16 products of at most 1, relative error below 40 x 2^-53


def test_gains_may_be_given():
    p = np.array([[[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]])
    assert expected_dcg(np.array([[1.0, 2.0]]), p, 1, gains=(0, 8, 1)) == 0.5
    assert expected_dcg(np.array([[2.0, 1.0]]), p, 1, gains=(0, 8, 1)) == 4
