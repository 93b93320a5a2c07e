"""Lists: padding that cannot be seen, weights by position, and the likelihood of a ranking."""

import itertools
import math

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given
from hypothesis import strategies as st
from strategies import logit_pairs

from tinycompress import losses
from tinycompress.binary_distillation import soft_clicks
from tinycompress.conventions import RankingRule, SoftTargetRule
from tinycompress.distillation import kd_loss, kd_loss_backward, ranking_kd_loss, ranking_kd_loss_backward
from tinycompress.ranking_distillation import (
    dynamic_weights,
    hybrid_weights,
    positional_loss,
    positional_loss_backward,
    static_weights,
)  # fmt: skip
from tinycompress.relaxed_ranking import relaxed_ranking_loss, relaxed_ranking_loss_backward

SUM = RankingRule(reduction="sum")
PLAIN = RankingRule(exponentials="plain")


def lists(seed, n=5, length=6):
    rng = np.random.default_rng(seed)
    mask = rng.random((n, length)) < 0.7
    mask[:, 0] = True
    return 2 * rng.standard_normal((n, length)), 2 * rng.standard_normal((n, length)), mask, rng


# ---- listwise ----


@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jensen_shannon", "cross_entropy", "squared_logits"])
def test_padding_is_not_there(kind):
    """Whatever stands in the padding, the loss is the mean over queries of the loss of their own candidates."""
    student, teacher, mask, rng = lists(0)
    rule = SoftTargetRule(kind)
    own = [kd_loss(s[None, m], t[None, m], 2.0, None, rule) for s, t, m in zip(student, teacher, mask, strict=True)]
    expected = ranking_kd_loss(student, teacher, 2.0, mask, None, rule)
    assert math.isclose(expected, np.mean(own), rel_tol=1e-12)
    for junk in (np.nan, np.inf, -np.inf, 1e300, 0.0):
        s, t = np.where(mask, student, junk), np.where(mask, teacher, -junk)
        assert ranking_kd_loss(s, t, 2.0, mask, None, rule) == expected
        gradient = ranking_kd_loss_backward(s, t, 2.0, mask, None, rule)
        assert (gradient[~mask] == 0).all()
    candidates = mask.sum()
    per_candidate = sum(own) / candidates
    assert math.isclose(ranking_kd_loss(student, teacher, 2.0, mask, "mean", rule), per_candidate, rel_tol=1e-12)
    assert math.isclose(ranking_kd_loss(student, teacher, 2.0, mask, "sum", rule), sum(own), rel_tol=1e-12)
    del rng


@given(logit_pairs(max_rows=3))
def test_a_full_mask_is_no_mask(logits):
    student, teacher = logits
    full = np.ones(student.shape, bool)
    assert (
        ranking_kd_loss(student, teacher, 2.0, full) == ranking_kd_loss(student, teacher, 2.0) == kd_loss(student, teacher, 2.0)
    )
    assert np.array_equal(ranking_kd_loss_backward(student, teacher, 2.0, full), kd_loss_backward(student, teacher, 2.0))


def test_a_query_without_candidates_counts_as_zero():
    student, teacher, mask, _ = lists(1, 3)
    mask[1] = False
    rest = [0, 2]
    expected = ranking_kd_loss(student[rest], teacher[rest], 2.0, mask[rest]) * 2 / 3
    assert math.isclose(ranking_kd_loss(student, teacher, 2.0, mask), expected, rel_tol=1e-12)
    assert (ranking_kd_loss_backward(student, teacher, 2.0, mask)[1] == 0).all()
    assert ranking_kd_loss(student, teacher, 2.0, np.zeros_like(mask)) == 0
    with pytest.raises(ValueError, match="mask"):
        ranking_kd_loss(student, teacher, 2.0, mask[:1])


@pytest.mark.parametrize("reduction", ["batchmean", "mean", "sum"])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_listwise_gradient(reduction, temperature):
    student, teacher, mask, rng = lists(2)
    gradient = ranking_kd_loss_backward(student, teacher, temperature, mask, reduction)
    check_gradient(lambda z: ranking_kd_loss(z, teacher, temperature, mask, reduction), gradient, student, rng)
    assert (abs(gradient.sum(axis=1)) <= 1e-15 * np.abs(gradient).sum(axis=1) + 1e-16).all()


# ---- positions ----


def test_static_weights():
    assert static_weights(3, 1.0).round(6).tolist() == [0.665241, 0.244728, 0.090031]
    for first in (0, 1):  # the first place is 0 or 1: the same weights
        w = np.exp(-(np.arange(10) + first) / 7.0)
        assert np.allclose(static_weights(10, 7.0), w / w.sum(), rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match="decay"):
        static_weights(3, 0.0)


def test_dynamic_weights_by_hand():
    """Of 4 samples 0, 2 and 4 stand above the three items: ranks 0, 5 and 10 of 11 items, minus the position, from 0."""
    top, samples = np.array([[9.0, 2.5, -1.0]]), np.array([[0.0, 1.0, 3.0, 4.0]])
    from_zero = RankingRule(student_rank_from=0, position_from=0)
    expected = np.tanh(0.1 * np.maximum(np.array([[0, 5, 10]]) - np.arange(3), 0))
    assert np.array_equal(dynamic_weights(top, samples, 11, 0.1, from_zero), expected)
    assert np.array_equal(dynamic_weights(top, samples, 11, 0.1), expected)  # 1 and 1 is 0 and 0
    stricter = dynamic_weights(top, samples, 11, 0.1, "KDs.RD")  # ranks from 1, positions from 0
    assert np.array_equal(stricter, np.tanh(0.1 * np.maximum(np.array([[1, 6, 11]]) - np.arange(3), 0)))
    assert dynamic_weights(np.array([[1.0]]), np.array([[1.0]]), 11, 1.0)[0, 0] == 0  # a sample of equal score is not above
    with pytest.raises(ValueError, match="M >= 1"):
        dynamic_weights(top, np.zeros((1, 0)), 11, 0.1)


def test_hybrid_weights_with_and_without_their_sum():
    static, dynamic = np.array([0.75, 0.25]), np.array([[0.5, 0.25], [0.0, 0.0]])
    assert hybrid_weights(static, dynamic).tolist() == [[0.375, 0.0625], [0.0, 0.0]]
    renormalized = hybrid_weights(static, dynamic, "KDs.RD")
    assert np.allclose(renormalized, [[6 / 7, 1 / 7], [0, 0]], rtol=1e-15, atol=0)


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=6))
def test_positional_loss_is_a_weighted_click_loss(scores):
    z = np.array([scores])
    w = static_weights(len(scores), 2.0)
    by_hand = sum(wi * losses.bce(np.array([s]), np.array([1.0])) for wi, s in zip(w, scores, strict=True))
    assert math.isclose(positional_loss(z, w), by_hand, rel_tol=1e-12, abs_tol=1e-300)


def test_positional_gradient():
    z, w, _, rng = lists(3)
    w = np.abs(w)
    for rule in (RankingRule(), SUM):
        check_gradient(lambda z: positional_loss(z, w, rule), positional_loss_backward(z, w, rule), z, rng)  # noqa: B023


def test_the_logarithm_of_a_sigmoid_that_is_zero():
    z = np.array([[-800.0]])
    assert positional_loss(z, np.ones(1)) == 800.0
    assert positional_loss(z, np.ones(1), PLAIN) == np.inf
    assert positional_loss_backward(z, np.ones(1)).tolist() == [[-1.0]]


def test_a_softened_teacher_as_labels():
    student, teacher = np.array([1.0, -1.0]), np.array([2.0, 0.0])
    q = soft_clicks(teacher, scale=2.0, shift=0.5)
    assert round(losses.bce(student, q, "sum"), 6) == 1.4114  # the student's own logit is not divided by 2
    with pytest.raises(ValueError, match="scale"):
        soft_clicks(teacher, 0.0)


# ---- Plackett-Luce ----


def probability(order, scores):
    """Of drawing these items in this order, without replacement, each with probability proportional to exp(score)."""
    left, p = dict(enumerate(np.exp(scores))), 1.0
    for item in order:
        p *= left[item] / sum(left.values())
        del left[item]
    return p


@pytest.mark.parametrize("k,m", [(1, 3), (2, 2), (3, 1), (4, 0)])
def test_it_is_the_likelihood_of_the_first_places(k, m):
    """Summed over all orders of the uninteresting items, the likelihood of the interesting ones in their order."""
    scores = np.random.default_rng(4).standard_normal(k + m)
    s, u = scores[None, :k], scores[None, k:]
    total = sum(probability((*range(k), *rest), scores) for rest in itertools.permutations(range(k, k + m)))
    assert math.isclose(relaxed_ranking_loss(s, u), -math.log(total), rel_tol=1e-12)


def test_known_values():
    s, u = np.array([[2.0, 1.0, 0.0]]), np.array([[-1.0, -2.0]])
    assert round(relaxed_ranking_loss(s, u), 6) == 1.299710
    assert round(relaxed_ranking_loss(s[:, ::-1], u), 6) == 3.879647
    for k, m in ((2, 1), (5, 0), (3, 4)):
        draws = math.prod(range(m + 1, m + k + 1))
        assert math.isclose(relaxed_ranking_loss(np.zeros((1, k)), np.zeros((1, m))), math.log(draws), rel_tol=1e-14)


@pytest.mark.parametrize("k,m", [(1, 1), (4, 3), (3, 0), (1, 5)])
@pytest.mark.parametrize("rule", [RankingRule(), SUM, PLAIN])
def test_relaxed_gradient(k, m, rule):
    rng = np.random.default_rng(5)
    x = {"s": rng.standard_normal((3, k)), "u": rng.standard_normal((3, m))}
    ds, du = relaxed_ranking_loss_backward(x["s"], x["u"], rule)
    check_gradient(lambda x: relaxed_ranking_loss(x["s"], x["u"], rule), {"s": ds, "u": du}, x, rng)
    assert (abs(ds.sum(axis=1) + du.sum(axis=1)) <= 1e-14).all()


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=4), st.lists(st.floats(-1e4, 1e4, width=32), max_size=4))
def test_relaxed_ranking_never_overflows_and_ignores_a_shift(interesting, uninteresting):
    s, u = (np.round(np.array([x], np.float64) * 4) / 4 for x in (interesting, uninteresting))
    loss = relaxed_ranking_loss(s, u)
    assert 0 <= loss < 5 * 2e4
    assert math.isclose(relaxed_ranking_loss(s + 512, u + 512), loss, rel_tol=1e-9, abs_tol=1e-9)
    ds, du = relaxed_ranking_loss_backward(s, u)
    assert (ds >= -1).all() and (du >= 0).all() and np.isfinite(ds).all() and np.isfinite(du).all()


def test_plain_exponentials_overflow_in_their_own_dtype():
    s, u = np.array([[100.0, 0.0]], np.float32), np.array([[0.0]], np.float32)
    assert relaxed_ranking_loss(s, u, PLAIN) == np.inf
    assert abs(relaxed_ranking_loss(s, u) - math.log(2)) < 1e-12  # log(e^100 + 1 + 1) - 100 + log 2
    assert math.isclose(relaxed_ranking_loss(s.astype(float), u, PLAIN), math.log(2), rel_tol=1e-12)
    assert relaxed_ranking_loss_backward(s, u)[0].dtype == np.float32


def test_no_users_and_nothing_interesting():
    for s, u in ((np.zeros((0, 3)), np.zeros((0, 2))), (np.zeros((2, 0)), np.zeros((2, 2)))):
        assert relaxed_ranking_loss(s, u) == 0
        assert [d.shape for d in relaxed_ranking_loss_backward(s, u)] == [s.shape, u.shape]
    with pytest.raises(ValueError, match="users"):
        relaxed_ranking_loss(np.zeros((2, 1)), np.zeros((1, 1)))


def test_lists_without_padding_need_no_mask():
    rng = np.random.default_rng(0)
    z_s, z_t = rng.standard_normal((2, 3, 4))
    every = np.ones(z_s.shape, bool)
    assert ranking_kd_loss(z_s, z_t, 2.0) == ranking_kd_loss(z_s, z_t, 2.0, mask=every)
    assert np.array_equal(ranking_kd_loss_backward(z_s, z_t, 2.0), ranking_kd_loss_backward(z_s, z_t, 2.0, mask=every))
