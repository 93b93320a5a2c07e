"""Training on raw and compressed data: identities exactly, greedy choices by brute force, synthetic rows by their gradient."""

import itertools
import math

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import losses
from tinycompress.condensation import herd, importance_coreset, kernel_herd, matched_weights, merge_labels, merge_rows
from tinycompress.dense_training import dense_loss, dense_loss_backward, joint, seen_through, weighted
from tinycompress.ops import RowGradient
from tinycompress.optimizers import sgd
from tinycompress.recommender import Architecture, init
from tinycompress.synthetic_rows import (
    feature_mean,
    gaussian_kernel,
    match_distribution,
    matching_loss,
    matching_loss_backward,
    ridge_predict,
    solve_labels,
)  # fmt: skip
from tinycompress.training import fit, supervised

CLICKS = Architecture(rows=(6, 4), columns=(3, 2), hidden=(5,))
CLASSES = Architecture(rows=(6, 4), columns=(3, 2), hidden=(5,), outputs=3)


def data(seed, n=60, classes=2):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 6, n), rng.integers(0, 4, n)], rng.integers(0, classes, n), rng


def dense(grads):
    return {k: g.dense() if isinstance(g, RowGradient) else g for k, g in grads.items()}


# ---- the loss ----


def test_the_loss_is_what_it_says():
    rng = np.random.default_rng(0)
    raw, compressed, w = rng.random(7), rng.random(4), rng.random(4)
    for share in (0.0, 0.25, 1.0):
        expected = (1 - share) * raw.mean() + share * (w @ compressed) / w.sum()
        assert math.isclose(dense_loss(raw, compressed, w, share), expected, rel_tol=1e-14)
        d_raw, d_compressed = dense_loss_backward(raw, compressed, w, share)
        assert math.isclose(d_raw.sum() + d_compressed.sum(), 1, rel_tol=1e-14)
        x = {"raw": raw, "compressed": compressed}
        check_gradient(
            lambda x: dense_loss(x["raw"], x["compressed"], w, share), {"raw": d_raw, "compressed": d_compressed}, x, rng
        )  # noqa: B023
    assert dense_loss(raw, np.zeros(0), np.zeros(0), 0.0) == pytest.approx(raw.mean(), rel=1e-14)
    for w, share in ((np.array([1.0, -1.0]), 0.5), (np.zeros(2), 0.5), (np.ones(3), 0.5), (np.ones(2), 1.5)):
        with pytest.raises(ValueError):
            dense_loss(raw, np.zeros(2), w, share)


@pytest.mark.parametrize("architecture,loss", [(CLICKS, "bce"), (CLASSES, "cross_entropy")])
def test_equal_weights_are_plain_training(architecture, loss):
    inputs, labels, rng = data(1, classes=2 if loss == "bce" else 3)
    params = init(rng, architecture, np.float64)
    a = supervised(architecture, loss)(params, (inputs, labels))
    b = weighted(architecture, loss)(params, (inputs, labels, np.full(60, 2.5)))
    assert math.isclose(a[0], b[0], rel_tol=1e-14)
    for key, g in dense(a[1]).items():
        assert np.allclose(dense(b[1])[key], g, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("architecture,loss", [(CLICKS, "bce"), (CLASSES, "cross_entropy")])
def test_merged_rows_are_the_raw_data(architecture, loss):
    """Distinct rows with their counts, and distinct inputs with mean labels: the raw loss and gradient up to rounding."""
    inputs, labels, rng = data(2, classes=2 if loss == "bce" else 3)
    params = init(rng, architecture, np.float64)
    raw = supervised(architecture, loss)(params, (inputs, labels))
    rows = merge_rows(*inputs, labels)
    one_label = [c[rows.first] for c in inputs], labels[rows.first], rows.counts
    alike = merge_rows(*inputs)
    assert len(alike.counts) < len(rows.counts) < 60
    target = labels if loss == "bce" else np.eye(3)[labels]
    mean_label = [c[alike.first] for c in inputs], merge_labels(target, alike), alike.counts
    for batch in (one_label, mean_label):
        value, grads = weighted(architecture, loss)(params, batch)
        assert math.isclose(value, raw[0], rel_tol=1e-13)
        for key, g in dense(raw[1]).items():
            assert np.allclose(dense(grads)[key], g, rtol=1e-11, atol=1e-15)


def test_weighted_gradient():
    inputs, labels, rng = data(3, 8, classes=3)
    params, w = init(rng, CLASSES, np.float64), rng.random(8)
    objective = weighted(CLASSES, "cross_entropy")
    grads = dense(objective(params, (inputs, labels, w))[1])
    check_gradient(lambda p: objective(p, (inputs, labels, w))[0], grads, params, rng, step=1e-5)
    with pytest.raises(ValueError, match="listwise"):
        weighted(CLICKS, "listwise")


# ---- joint training ----


def batches_of(inputs, labels, other=None):
    def batches(rng):
        order = rng.permutation(len(labels))
        for i in range(0, len(labels), 20):
            own = order[i : i + 20]
            raw = [c[own] for c in inputs], labels[own]
            yield raw if other is None else (raw, other)

    return batches


def test_no_share_is_raw_training_bit_by_bit():
    inputs, labels, rng = data(4)
    params = init(rng, CLICKS)
    objective = supervised(CLICKS, "bce")
    poison = [np.array([0]), np.array([0])], np.array([1]), np.array([np.nan])
    plain = fit(params, batches_of(inputs, labels), objective, sgd(lr=0.1), 3, np.random.default_rng(5))
    both = fit(
        params,
        batches_of(inputs, labels, poison),
        joint(objective, weighted(CLICKS, "bce"), 0.0),
        sgd(lr=0.1),
        3,
        np.random.default_rng(5),
    )
    assert all(plain.params[k].tobytes() == both.params[k].tobytes() for k in params)
    assert [e.loss for e in plain.history] == [e.loss for e in both.history]


def test_the_whole_share_never_sees_the_raw_rows():
    inputs, labels, rng = data(6)
    params = init(rng, CLICKS)
    rows = inputs, labels.astype(float), np.ones(60)
    a = joint(lambda p, b: 1 / 0, weighted(CLICKS, "bce"), 1.0)(params, (None, rows))
    b = weighted(CLICKS, "bce")(params, rows)
    assert a[0] == b[0] and all(np.array_equal(dense(a[1])[k], dense(b[1])[k]) for k in params)


def test_joint_gradient_adds_up_also_where_tables_are_sparse():
    inputs, labels, rng = data(7, 12)
    params = init(rng, CLICKS, np.float64)
    one, two = ([c[:3] for c in inputs], labels[:3]), ([c[6:] for c in inputs], labels[6:], np.arange(1.0, 7.0))
    objective = joint(supervised(CLICKS, "bce"), weighted(CLICKS, "bce"), 0.3)
    value, grads = objective(params, (one, two))
    assert isinstance(grads["table0"], RowGradient)
    parts = supervised(CLICKS, "bce")(params, one), weighted(CLICKS, "bce")(params, two)
    assert math.isclose(value, 0.7 * parts[0][0] + 0.3 * parts[1][0], rel_tol=1e-15)
    for key in params:
        assert np.allclose(
            dense(grads)[key], 0.7 * dense(parts[0][1])[key] + 0.3 * dense(parts[1][1])[key], rtol=1e-14, atol=1e-17
        )
    check_gradient(lambda p: objective(p, (one, two))[0], dense(grads), params, rng, step=1e-5)
    with pytest.raises(ValueError, match="share"):
        joint(objective, objective, -0.1)


def test_raw_and_compressed_view_of_the_parameters_in_one_loop():
    """Half of the loss at the parameters, half at their masked view: pruned entries still learn, from the raw half alone."""
    inputs, labels, rng = data(8)
    params = {k: v + 0.1 * rng.standard_normal(v.shape) for k, v in init(rng, CLICKS, np.float64).items()}
    mask = {k: (rng.random(v.shape) < 0.5) | (k[0] == "b") for k, v in params.items()}
    raw = supervised(CLICKS, "bce")

    def view(p):
        return {k: v * mask[k] for k, v in p.items()}

    def back(g, p):
        return {k: v * mask[k] for k, v in dense(g).items()}

    objective = joint(raw, seen_through(raw, view, back), 0.5)
    batch = inputs, labels
    value, grads = objective(params, (batch, batch))
    assert math.isclose(value, (raw(params, batch)[0] + raw(view(params), batch)[0]) / 2, rel_tol=1e-15)
    check_gradient(lambda p: objective(p, (batch, batch))[0], dense(grads), params, rng, step=1e-5)


# ---- merged rows ----


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, -0.0, 1.0])), max_size=12))
def test_merging_loses_nothing(rows):
    a, b = np.array([r[0] for r in rows], np.int32), np.array([r[1] for r in rows], float)
    merged = merge_rows(a, b)
    bits = list(zip(a.tolist(), (x.hex() for x in b.tolist()), strict=True))
    distinct = list(dict.fromkeys(bits))
    assert [bits[i] for i in merged.first] == distinct
    assert merged.counts.tolist() == [bits.count(d) for d in distinct]
    assert [distinct[i] for i in merged.place] == bits


def test_columns_of_any_shape_and_none_at_all():
    wide = np.arange(12.0).reshape(3, 2, 2)
    assert merge_rows(np.concatenate([wide, wide]), np.array([0, 0, 0, 0, 1, 0])).counts.tolist() == [2, 1, 2, 1]
    with pytest.raises(ValueError, match="columns"):
        merge_rows()
    with pytest.raises(ValueError, match="equally long"):
        merge_rows(np.zeros(2), np.zeros(3))


# ---- herding ----


@given(st.integers(0, 2**32), st.integers(1, 7), st.integers(1, 3))
def test_each_step_of_herding_is_the_best_one(seed, n, h):
    """Each step only: the distance to the mean may well rise from one step to the next."""
    phi = np.random.default_rng(seed).integers(-4, 5, (n, h)).astype(float)
    chosen = herd(phi, n).tolist()
    assert sorted(chosen) == list(range(n))
    mu = phi.sum(axis=0)  # n times the mean: integers, so that ties are exact
    for k in range(n):

        def gap(i, k=k):
            return float(((mu * (k + 1) - n * phi[[*chosen[:k], i]].sum(axis=0)) ** 2).sum())

        best = min(range(n), key=lambda i: (i in chosen[:k], gap(i)))  # noqa: B023
        assert gap(chosen[k]) == gap(best)


def test_the_two_herdings_differ():
    phi = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [4, 4]], float)
    assert herd(phi, 4).tolist() == [3, 1, 2, 4]
    assert kernel_herd(phi, 4).tolist() == [4, 0, 0, 4]
    near = kernel_herd(phi, 3, lambda x, y: gaussian_kernel(x, y, 1.0))
    assert near.tolist()[0] == 3  # of the four corners of the unit square the one that (4, 4) is nearest to, by exp(-18)
    assert herd(phi, 0).tolist() == [] and herd(np.zeros((0, 2)), 0).tolist() == []
    with pytest.raises(ValueError, match="all 5"):
        herd(phi, 6)
    with pytest.raises(ValueError, match="at least one row"):
        kernel_herd(np.zeros((0, 2)), 1)


def test_herding_beats_random_subsets():
    rng = np.random.default_rng(9)
    phi = rng.standard_normal((300, 8))
    mu = phi.mean(axis=0)

    def gap(rows):
        return np.linalg.norm(phi[rows].mean(axis=0) - mu)

    for m in (3, 10, 30):
        random = np.mean([gap(rng.choice(300, m, replace=False)) for _ in range(50)])
        assert gap(herd(phi, m)) < 0.5 * random


def test_matched_weights_solve_their_problem():
    """Non-negative least squares: where w > 0 the residual is orthogonal to phi, elsewhere it points the other way."""
    rng = np.random.default_rng(10)
    phi = np.concatenate([rng.standard_normal((50, 5)), np.ones((50, 1))], axis=1)
    chosen = herd(phi, 8)
    w = matched_weights(phi, chosen)
    slope = phi[chosen] @ (phi[chosen].T @ w - phi.mean(axis=0))
    assert (w >= 0).all() and (abs(slope[w > 0]) < 1e-12).all() and (slope > -1e-12).all()
    uniform = np.linalg.norm(phi[chosen].mean(axis=0) - phi.mean(axis=0))
    assert np.linalg.norm(phi[chosen].T @ w - phi.mean(axis=0)) < uniform
    exact = matched_weights(phi, np.arange(50))
    assert np.linalg.norm(phi.T @ exact - phi.mean(axis=0)) < 1e-12


def test_importance_weights_are_unbiased():
    """The expectation over all outcomes of one draw, exactly; m draws are m of them."""
    p, f = np.array([1.0, 2.0, 5.0]), np.array([3.0, -1.0, 4.0])
    chosen, w = importance_coreset(p, 4, np.random.default_rng(11))
    probability = p / p.sum()
    assert np.array_equal(w, 1 / (4 * 3 * probability[chosen]))
    expected = sum(
        np.prod(probability[list(c)]) * sum(f[i] / (4 * 3 * probability[i]) for i in c)
        for c in itertools.product(range(3), repeat=4)
    )
    assert math.isclose(expected, f.mean(), rel_tol=1e-13)
    with pytest.raises(ValueError, match="importance"):
        importance_coreset(np.array([1.0, 0.0]), 2, np.random.default_rng(0))


# ---- rows that are in no data ----


def test_matching_gradient():
    rng = np.random.default_rng(12)
    s, x, a = rng.standard_normal((4, 3)), rng.standard_normal((20, 3)), rng.standard_normal((16, 3))
    mu = feature_mean(x, a)
    check_gradient(lambda s: matching_loss(s, mu, a), matching_loss_backward(s, mu, a), s, rng, step=1e-5)
    assert matching_loss(x, mu, a) == 0
    with pytest.raises(ValueError, match="columns"):
        feature_mean(x, a[:, :2])


def test_matched_rows_have_the_features_of_their_class():
    rng = np.random.default_rng(13)
    labels = np.repeat([0, 1], 100)
    real = rng.standard_normal((200, 4)) + 2 * labels[:, None]
    s, y = match_distribution(real, labels, 5, 150, np.random.default_rng(14))
    assert y.tolist() == [0] * 5 + [1] * 5
    fresh = rng.standard_normal((256, 4)) / 2  # directions that it has not seen
    start = match_distribution(real, labels, 5, 0, np.random.default_rng(14))[0]
    for c in (0, 1):
        mu = feature_mean(real[labels == c], fresh)
        assert matching_loss(s[y == c], mu, fresh) < 0.2 * matching_loss(start[y == c], mu, fresh)
    with pytest.raises(ValueError, match="per_class"):
        match_distribution(real, labels, 0, 1, rng)


def test_ridge_regression():
    x, y, q = np.array([[0.0], [1.0], [2.0]]), np.array([0.0, 1.0, 4.0]), np.array([[0.5], [1.5]])
    assert np.allclose(ridge_predict(q @ x.T, x @ x.T, y, 1.0), [0.75, 2.25], rtol=1e-15, atol=0)
    assert np.allclose(ridge_predict(q @ x.T, x @ x.T, y, 0.0), [0.9, 2.7], rtol=1e-14, atol=0)  # singular: least norm
    k = gaussian_kernel(x, x, 1.0)
    assert np.allclose(ridge_predict(k, k, y, 0.0), y, rtol=0, atol=1e-14)
    assert np.allclose(
        ridge_predict(k, k, y, 0.5, relative=True), ridge_predict(k, k, y, 0.5), rtol=1e-15, atol=0
    )  # its diagonal is 1
    with pytest.raises(ValueError, match="ridge"):
        ridge_predict(k, k, y, -1.0)


def test_solved_labels_answer_best():
    rng = np.random.default_rng(15)
    x, s = rng.standard_normal((40, 3)), rng.standard_normal((6, 3))
    y = np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:]
    k_ts, k_ss = gaussian_kernel(x, s, 0.5), gaussian_kernel(s, s, 0.5)
    solved = solve_labels(k_ts, k_ss, y, 0.1)

    def error(labels):
        return float(((y - ridge_predict(k_ts, k_ss, labels, 0.1)) ** 2).sum())

    best = error(solved)
    for _ in range(20):
        assert error(solved + 0.1 * rng.standard_normal(solved.shape)) > best
    k = gaussian_kernel(x, x, 0.5)
    assert np.allclose(solve_labels(k, k, y, 0.0), y, rtol=0, atol=1e-8)  # every row kept, no ridge: the labels themselves


def test_losses_are_linear_in_the_label():
    """Why rows of equal inputs may share a mean label."""
    z = np.array([0.3, 0.3, 0.3])
    assert math.isclose(losses.bce(z, np.array([1.0, 0.0, 0.0])), losses.bce(z[:1], np.array([1 / 3])), rel_tol=1e-15)
