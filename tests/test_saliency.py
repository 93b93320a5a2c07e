"""Scores and repairs against derivatives, direct inverses, least squares, and all masks of a tiny layer."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.conventions import CountRule
from tinycompress.counting import keep_largest
from tinycompress.patterns import n_m_mask
from tinycompress.pruning import magnitude_mask
from tinycompress.reconstruction import best_support, exact_obs, layer_loss, refit, remove_one, sparsegpt
from tinycompress.saliency import (
    fisher_inverse,
    fisher_inverse_diagonal,
    input_hessian,
    obd_scores,
    obs_scores,
    taylor_scores,
    taylor_unit_scores,
    wanda_scores,
)

U = 2.0**-53
seeds = st.integers(0, 10**6)


def layer(seed, inputs=6, outputs=2, rows=30):
    """Inputs of different size that depend on each other, as real ones do."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((inputs, inputs)) + np.diag(1 + np.arange(inputs))
    x = rng.standard_normal((rows, inputs)) @ mix
    return rng.standard_normal((inputs, outputs)), x, input_hessian(x)


def solving(h):
    """Solving with H of order n in float64 is off by at most about 4 n kappa u, relatively (backward stable, Higham 10.1)."""
    return 4 * len(h) * np.linalg.cond(h) * U


@settings(max_examples=15)
@given(seeds)
def test_hessian_is_that_of_the_output_error(seed):
    w, x, h = layer(seed)
    change = np.random.default_rng(seed + 1).standard_normal(w.shape)
    error = np.mean(((x @ (w + change) - x @ w) ** 2).sum(axis=1))
    assert abs(layer_loss(change, h) - error) <= 1e-13 * error * np.sqrt(np.linalg.cond(h))


@settings(max_examples=15)
@given(seeds)
def test_obs_is_exact_for_a_quadratic(seed):
    """The score is the loss that removal with repair costs, no other repair costs less, and the weight is exactly 0."""
    w, _, h = layer(seed, outputs=1)
    inverse = np.linalg.inv(h)
    scores = obs_scores(w, inverse)[:, 0]
    rng = np.random.default_rng(seed)
    for q in range(len(w)):
        new = remove_one(w[:, 0], inverse, q)
        loss = layer_loss((new - w[:, 0])[:, None], h)
        assert new[q] == 0 and abs(loss - scores[q]) <= 50 * solving(h) * scores[q]
        nudge = rng.standard_normal(len(w)) * 1e-3
        nudge[q] = 0
        assert layer_loss((new + nudge - w[:, 0])[:, None], h) >= loss * (1 - 50 * solving(h))
    plain = w[:, 0] ** 2 * np.diag(h) / 2
    assert np.all(scores <= plain * (1 + solving(h))) and np.allclose(obd_scores(w, np.diag(h))[:, 0], plain, rtol=4 * U, atol=0)


@settings(max_examples=15)
@given(seeds, st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]))
def test_exact_obs_ends_at_the_least_squares_refit(seed, s):
    w, _, h = layer(seed)
    got = exact_obs(w, h, s)
    assert np.all(np.count_nonzero(~got.mask, axis=0) == round(s * len(w)))
    again = refit(w, h, got.mask)
    assert np.array_equal(got.w != 0, got.mask) or s == 0
    # G is off by at most I solves, and division by G_qq >= 1 / |H| multiplies that by up to kappa
    bound = len(w) * solving(h) * np.linalg.cond(h) * (np.abs(w).max() + np.abs(again.w).max())
    assert np.abs(got.w - again.w).max() <= bound
    assert again.loss <= got.loss * (1 + len(w) * solving(h)) + 1e-300


@settings(max_examples=15)
@given(seeds)
def test_refit_solves_the_normal_equations(seed):
    w, x, h = layer(seed)
    mask = np.random.default_rng(seed).random(w.shape) < 0.5
    got = refit(w, h, mask)
    for o in range(w.shape[1]):
        s = mask[:, o]
        if s.any():
            direct = np.linalg.lstsq(x[:, s], x @ w[:, o], rcond=None)[0]
            assert np.abs(got.w[s, o] - direct).max() <= 10 * solving(h) * (np.abs(direct).max() + np.abs(w).max())
    assert not got.w[~mask].any()


@settings(max_examples=15)
@given(seeds)
def test_no_mask_is_better_than_the_best(seed):
    """Every method against the optimum found by trying all masks; what is repaired is never worse than what is not."""
    w, x, h = layer(seed, inputs=8, outputs=1)
    best = best_support(w, h, 4)
    slack = 1 + 100 * solving(h)
    assert best.mask.sum() == 4
    for scores in (np.abs(w), wanda_scores(w, x), obd_scores(w, np.diag(h)), obs_scores(w, np.linalg.inv(h))):
        mask = keep_largest(scores, 0.5, axis=0)
        cut = layer_loss(np.where(mask, 0, -w), h)
        repaired = refit(w, h, mask).loss
        assert best.loss <= repaired * slack and repaired <= cut * slack
    assert best.loss <= exact_obs(w, h, 0.5).loss * slack
    every = min(refit(w, h, np.isin(np.arange(8), way)[:, None]).loss for way in itertools.combinations(range(8), 4))
    assert best.loss == every


def test_how_far_each_is_from_the_optimum():
    """Forty layers of eight inputs, half pruned: mean excess over the best mask. The order is that of the information used."""
    names = ("magnitude", "wanda", "magnitude, refit", "wanda, refit", "sparsegpt", "obs once, refit", "exact obs")
    excess = {name: [] for name in names}
    for seed in range(40):
        w, x, h = layer(seed, inputs=8, outputs=1, rows=60)
        optimum = best_support(w, h, 4).loss
        scored = {"magnitude": np.abs(w), "wanda": wanda_scores(w, x), "obs once": obs_scores(w, np.linalg.inv(h))}
        for name, scores in scored.items():
            mask = keep_largest(scores, 0.5, axis=0)
            if name in excess:
                excess[name].append(layer_loss(np.where(mask, 0, -w), h) / optimum)
            excess[f"{name}, refit"].append(refit(w, h, mask).loss / optimum)
        excess["exact obs"].append(exact_obs(w, h, 0.5).loss / optimum)
        swept = sparsegpt(w, h, 0.5, damping=0, convention=CountRule())
        excess["sparsegpt"].append(layer_loss(swept.w - w, h) / optimum)
    mean = {name: float(np.exp(np.mean(np.log(found)))) for name, found in excess.items()}
    assert mean["exact obs"] < mean["sparsegpt"] < mean["wanda"] < mean["magnitude"]
    assert mean["exact obs"] < mean["wanda, refit"] < mean["magnitude, refit"] < mean["magnitude"]
    assert mean["exact obs"] < 1.2 and mean["magnitude"] > 3, mean


@settings(max_examples=15)
@given(seeds)
def test_n_of_m_in_exact_obs_and_sparsegpt(seed):
    w, _, h = layer(seed, inputs=8)
    for got in (exact_obs(w, h, keep=2, group=4), sparsegpt(w, h, keep=2, group=4)):
        assert np.all(got.mask.reshape(2, 4, -1).sum(axis=1) == 2) and np.array_equal(got.w != 0, got.mask)
    ragged = exact_obs(w[:6], h[:6, :6], keep=2, group=4).mask
    assert np.all(ragged[:4].sum(axis=0) == 2) and ragged[4:].all()


@settings(max_examples=15)
@given(seeds, st.sampled_from([1, 3, 128]))
def test_sparsegpt(seed, block):
    """Its loss is the true one for the damped H, and it is never worse than its own mask refitted is good."""
    w, _, h = layer(seed)
    got = sparsegpt(w, h, 0.5, block=block, damping=0.01)
    damped = h + 0.01 * np.mean(np.diag(h)) * np.eye(len(h))
    assert abs(got.loss - layer_loss(got.w - w, damped)) <= 100 * solving(damped) * got.loss
    assert refit(w, damped, got.mask).loss <= got.loss * (1 + 100 * solving(damped))
    assert not got.w[~got.mask].any()
    pruned = sum(np.count_nonzero(~got.mask[i : i + block]) for i in range(0, 6, block))
    assert pruned == sum(int(w[i : i + block].size * 0.5) + 1 for i in range(0, 6, block))


def test_sparsegpt_with_the_identity_is_magnitude():
    w = np.array([[1.0, -8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])
    got = sparsegpt(w, np.eye(4), 0.25, damping=0)  # floor(8 / 4) + 1 are pruned
    assert np.array_equal(got.mask, magnitude_mask(w, count=3)) and got.loss == (1 + 4 + 9) / 2
    assert np.array_equal(got.w, np.where(got.mask, w, 0))
    ties = sparsegpt(np.ones((2, 2)), np.eye(2), 0.5, damping=0, convention=CountRule())
    assert not ties.mask[:, 0].any() and ties.mask[:, 1].all()  # the peers' order: one output after the other


def test_an_input_that_is_always_zero_loses_its_weight():
    x = np.array([[1.0, 0.0, 2.0], [3.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    got = sparsegpt(np.array([[1.0], [100.0], [1.0]]), input_hessian(x), 0.0)
    assert got.w[1] == 0
    for call in (
        lambda: exact_obs(np.ones((3, 1)), input_hessian(x), 0.3),
        lambda: sparsegpt(np.ones((2, 1)), np.ones((2, 2)), 0.3, damping=0),
    ):
        with pytest.raises(ValueError, match="damping"):
            call()


# ---- scores ----


@settings(max_examples=15)
@given(seeds)
def test_first_order_score_is_the_derivative(seed):
    """The loss along w -> t w has derivative sum g w; one weight's term is the first-order loss of its removal."""
    rng = np.random.default_rng(seed)
    w, x, y = rng.standard_normal((4, 2)), rng.standard_normal((9, 4)), rng.standard_normal((9, 2))

    def loss(w):
        return np.mean(((x @ w - y) ** 2).sum(axis=1))

    g = 2 / len(x) * x.T @ (x @ w - y)
    scores, small = taylor_scores(w, g), 1e-6
    for q in np.ndindex(*w.shape):
        step = np.zeros_like(w)
        step[q] = small * w[q]
        slope = (loss(w + step) - loss(w - step)) / (2 * small)  # exact for a quadratic but for rounding: ~ 2 u loss / small
        assert abs(abs(slope) - scores[q]) <= 8 * U * loss(w) / small + 1e-9
    assert np.allclose(taylor_unit_scores(w, g), np.abs((w * g).sum(axis=0)), rtol=1e-14)
    assert np.all(taylor_unit_scores(w, g) <= scores.sum(axis=0) * (1 + 8 * U))


@settings(max_examples=15)
@given(seeds, st.floats(0.01, 10))
def test_fisher_inverse_is_the_direct_inverse(seed, damping):
    u = np.random.default_rng(seed).standard_normal((7, 4))
    direct = np.linalg.inv(damping * np.eye(4) + u.T @ u / 7)
    kappa = np.linalg.cond(direct)
    assert np.abs(fisher_inverse(u, damping) - direct).max() <= 7 * 16 * kappa * U * np.abs(direct).max()  # seven updates
    assert np.array_equal(fisher_inverse_diagonal(u, damping), 1 / (damping + (u**2).mean(axis=0)))
    single = fisher_inverse(u[:, :1], damping)[0, 0]
    assert abs(single - fisher_inverse_diagonal(u[:, :1], damping)[0]) <= 40 * U * single


def test_fisher_numbers_of_the_paper_example():
    g = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]])
    inverse = fisher_inverse(g, 0.1)
    w = np.array([0.5, -0.2])
    assert np.round(obs_scores(w[:, None], inverse)[:, 0], 6).tolist() == [0.422553, 0.041353]
    assert np.round(remove_one(w, inverse, 1), 6).tolist() == [0.519417, 0]
    assert np.round(remove_one(w, inverse, 0), 6).tolist() == [0, -0.279365]


def test_a_curvature_per_weight_is_taken_as_it_is():
    w, curvature = np.random.default_rng(0).standard_normal((2, 5, 3))
    assert np.array_equal(obd_scores(w, curvature), 0.5 * curvature * w**2)


def test_wanda_and_obd_rank_alike():
    w, x, h = layer(5, inputs=10, outputs=4)
    by_norm = keep_largest(wanda_scores(w, x), 0.5, axis=0)
    assert np.array_equal(by_norm, keep_largest(obd_scores(w, np.diag(h)), 0.5, axis=0))
    even = np.ones((3, 10))
    assert np.array_equal(keep_largest(wanda_scores(w, even), 0.5, axis=0), keep_largest(np.abs(w), 0.5, axis=0))
    assert not np.array_equal(by_norm, keep_largest(np.abs(w), 0.5, axis=0))
    assert np.all(n_m_mask(wanda_scores(w[:8], x[:, :8]), 2, 4, axis=0).reshape(2, 4, 4).sum(axis=1) == 2)


def test_hessian_damping_and_refusals():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert np.allclose(input_hessian(x, 0.1) - input_hessian(x), 0.1 * 15 * np.eye(2), rtol=0, atol=1e-14)
    w, h = np.ones((2, 1)), np.eye(2)
    for call in (
        lambda: input_hessian(np.ones(3)),
        lambda: input_hessian(np.ones((0, 3))),
        lambda: taylor_scores(w, np.ones(2)),
        lambda: taylor_unit_scores(w, np.ones(2)),
        lambda: obd_scores(w, np.ones(3)),
        lambda: obs_scores(w, np.ones(3)),
        lambda: wanda_scores(w, np.ones((4, 3))),
        lambda: fisher_inverse(np.ones((2, 2)), 0.0),
        lambda: fisher_inverse_diagonal(np.ones((2, 2)), 0.0),
        lambda: exact_obs(w, h),
        lambda: exact_obs(w, h, 0.5, keep=1, group=2),
        lambda: exact_obs(w, np.ones((2, 2)), 0.5),
        lambda: sparsegpt(w, h),
        lambda: best_support(w, h, 3),
        lambda: best_support(np.ones((30, 1)), np.eye(30), 15),
        lambda: refit(np.ones((3, 1)), np.ones((3, 3)), np.array([[True], [True], [False]])),
    ):
        with pytest.raises(ValueError):
            call()
