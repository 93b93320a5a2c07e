"""Codes by loss: never worse than nearest, equal if weights do not touch; against all codes on tiny cases, OBS step by step."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import losses
from tinycompress.codebooks import centroids, nearest_codes
from tinycompress.loss_weighted import (
    choose_codes,
    code_cost,
    descend_codes,
    feed_forward_codes,
    quadratic,
    refit_levels,
    row_gauss_newton,
    stack_levels,
)
from tinycompress.priced_levels import code_lengths
from tinycompress.saliency import input_hessian


def correlated(rng, n, d, rank=3):
    """H of a layer whose inputs go together: (1, D, D) from n rows."""
    x = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, d)) + 0.3 * rng.standard_normal((n, d))
    return input_hessian(x)[None]


def case(seed):
    """Rows, levels, H and prices of every shape that is allowed."""
    rng = np.random.default_rng(seed)
    n, d, a = rng.integers(1, 5), rng.integers(1, 5), rng.integers(1, 4)
    t = rng.standard_normal((n, d)) * rng.choice([0.1, 1.0, 10.0])
    levels = np.sort(rng.standard_normal([(a,), (d, a), (n, 1, a), (n, d, a)][seed % 4]), axis=-1)
    h = np.concatenate([correlated(rng, int(rng.integers(1, 9)), d) for _ in range([1, n][seed // 4 % 2])])
    if seed % 5 == 0:
        h[:, 0] = h[:, :, 0] = 0  # an input that is always 0
    price = [0.0, rng.random(a), rng.random((d, a))][seed // 8 % 3]
    return t, levels, h, price


@given(st.integers(0, 10**6))
def test_never_worse_than_nearest_never_better_than_all(seed):
    t, levels, h, price = case(seed)
    n, d = t.shape
    a = levels.shape[-1]
    for form in (h, np.einsum("nii->ni", h)):
        found = choose_codes(t, levels, form, price)
        assert (found.cost <= found.nearest_cost).all()
        assert (found.cost == code_cost(t, levels, form, found.codes, price)).all()
        every = (np.broadcast_to(q, (n, d)) for q in itertools.product(range(a), repeat=d))
        everything = [code_cost(t, levels, form, q, price) for q in every]
        best = np.min(everything, axis=0)  # the same function on the same numbers, so that no rounding comes between
        assert (best <= found.cost).all()


@given(st.integers(0, 10**6))
def test_the_nearest_levels_where_weights_do_not_touch(seed):
    t, levels, h, _ = case(seed)
    diagonal = np.einsum("nii->ni", h)
    full = diagonal[:, :, None] * np.eye(t.shape[1])
    c = np.broadcast_to(levels, (*t.shape, levels.shape[-1]))
    nearest = np.array([[nearest_codes(t[n, i], c[n, i]) for i in range(t.shape[1])] for n in range(len(t))])
    for form in (diagonal, full):
        found = choose_codes(t, levels, form)
        assert (found.codes == nearest).all() and (found.cost == found.nearest_cost).all()
    assert (feed_forward_codes(t, levels, full) == nearest).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_sweep_is_obs_step_by_step(seed):
    """An oracle that inverts what is left of H anew at each step; and the cost is the sum of 1/2 e^2, by Pythagoras."""
    rng = np.random.default_rng(seed)
    d, levels = 6, np.linspace(-2, 2, 5)
    h, t = correlated(rng, 40, d), rng.standard_normal((3, d))
    codes = feed_forward_codes(t, levels, h, damping=0)
    for row, q in zip(t, codes):
        rest, total = row.copy(), 0.0
        for i in range(d):
            g = np.linalg.inv(h[0, i:, i:])
            assert q[i] == np.abs(levels - rest[i]).argmin()
            miss = rest[i] - levels[q[i]]
            total += miss**2 / g[0, 0] / 2
            rest[i:] -= g[:, 0] / g[0, 0] * miss
        assert total == pytest.approx(quadratic((levels[q] - row)[None], h)[0], rel=1e-9)


@given(st.integers(0, 10**6))
def test_each_sweep_of_the_descent_lowers_the_cost_or_leaves_it(seed):
    t, levels, h, price = case(seed)
    codes = np.zeros(t.shape, int)
    last = code_cost(t, levels, h, codes, price)
    bound = 1e-13 * (np.abs(t) + np.abs(levels).max()).max() ** 2 * (h.sum() + 1)  # D^2 roundings of |d| |H| |d|
    for _ in range(4):
        codes = descend_codes(t, levels, h, codes, price, sweeps=1)
        now = code_cost(t, levels, h, codes, price)
        assert (now <= last + bound + 1e-13).all()
        last = now
    settled = descend_codes(t, levels, h, codes, price, sweeps=100)
    assert (descend_codes(t, levels, h, settled, price) == settled).all()
    least = code_cost(t, levels, h, settled, price)
    for i, a in itertools.product(range(t.shape[1]), range(levels.shape[-1])):
        other = settled.copy()
        other[:, i] = a
        assert (least <= code_cost(t, levels, h, other, price) + bound + 1e-13).all(), "no single code gains"


def test_the_sweep_pays_the_price_too():
    """Where weights do not touch, the sweep takes the cheapest code of each column, up to the rounding of a comparison."""
    rng = np.random.default_rng(5)
    t, levels, price, own = rng.standard_normal((30, 4)), np.linspace(-2, 2, 9), rng.random(9), rng.random(4) + 0.1
    codes = feed_forward_codes(t, levels, np.diag(own)[None], price, damping=0)
    each = 0.5 * own[:, None] * (levels - t[..., None]) ** 2 + price
    assert np.allclose(code_cost(t, levels, own[None], codes, price), each.min(axis=2).sum(axis=1), rtol=1e-13)


def test_it_pays_where_inputs_go_together():
    """3 bits a weight, 32 correlated inputs, 64 outputs. The sweep alone, and both together, well below the nearest levels."""
    rng = np.random.default_rng(0)
    h, t = correlated(rng, 500, 32), rng.standard_normal((64, 32))
    levels = np.linspace(-2.5, 2.5, 8)
    found = choose_codes(t, levels, h)
    swept = code_cost(t, levels, h, feed_forward_codes(t, levels, h))
    assert found.cost.sum() < swept.sum() < 0.5 * found.nearest_cost.sum()


def test_a_price_is_paid_only_where_it_pays():
    rng = np.random.default_rng(1)
    h, t, levels = correlated(rng, 100, 8), rng.standard_normal((50, 8)), np.linspace(-2, 2, 9)
    free = choose_codes(t, levels, h)
    b = code_lengths(free.codes, 9)
    priced, dear = choose_codes(t, levels, h, price=0.5 * b), choose_codes(t, levels, h, price=1e9 * b)
    assert b[priced.codes].sum() < b[free.codes].sum() and (dear.codes == b.argmin()).all()


def test_gauss_newton_by_loops_and_as_the_second_derivative():
    """With one logit linear in the row, bce's Hessian by a row is exactly (1): central differences of the slope, error O(h^2)."""
    rng = np.random.default_rng(2)
    b, v, d = 40, 5, 3
    rows, x, y, table = rng.integers(0, v - 1, b), rng.standard_normal((b, d)), rng.integers(0, 2, b), rng.standard_normal((v, d))
    p = 1 / (1 + np.exp(-(table[rows] * x).sum(axis=1)))
    h = row_gauss_newton(rows, x, p * (1 - p), v)
    expected = np.zeros((v, d, d))
    for r, j, k in zip(rows, x, p * (1 - p)):
        expected[r] += k * np.outer(j, j) / b
    assert np.allclose(h, expected, rtol=1e-13, atol=1e-16) and not h[v - 1].any()
    assert (row_gauss_newton(rows, x, p * (1 - p), v, diagonal=True) == np.einsum("vii->vi", h)).all()

    def slope(t):
        dlogits = losses.bce_backward((t[rows] * x).sum(axis=1), y)
        return np.stack([np.bincount(rows, dlogits * x[:, i], v) for i in range(d)], axis=1)

    for i in range(d):
        step = np.zeros(d)
        step[i] = 1e-4
        assert np.allclose((slope(table + step) - slope(table - step)) / 2e-4, h[:, :, i], atol=1e-8)


@given(st.integers(0, 10**6))
def test_new_levels_never_raise_the_cost_and_are_means_if_weights_do_not_touch(seed):
    t, _, h, _ = case(seed)
    rng = np.random.default_rng(seed)
    levels = [np.sort(rng.standard_normal(rng.integers(1, 4))) for _ in range(t.shape[1])]
    codes = np.stack([rng.integers(0, len(c), len(t)) for c in levels], axis=1)
    stacked = stack_levels(levels)
    before = code_cost(t, stacked, h, codes).sum()
    after = code_cost(t, stack_levels(refit_levels(t, levels, h, codes)), h, codes).sum()
    assert after <= before * (1 + 1e-12) + 1e-12 * (1 + np.abs(t).max() ** 2 * h.max())
    diagonal = np.einsum("nii->ni", h)
    weights = np.broadcast_to(diagonal, t.shape)
    for i, c in enumerate(refit_levels(t, levels, diagonal, codes)):
        mean = centroids(t[:, i], codes[:, i], levels[i], weights[:, i])
        assert np.allclose(c, mean, rtol=1e-12, atol=1e-12 * (1 + np.abs(t).max()))
    padded = choose_codes(t, stacked, h).codes
    assert all((padded[:, i] < len(c)).all() for i, c in enumerate(levels)), "a code beyond its codebook is never chosen"


@pytest.mark.parametrize(
    "call",
    [
        lambda: choose_codes(np.ones((2, 2)), np.array([1.0]), np.ones((2, 2, 3))),
        lambda: choose_codes(np.ones((2, 2)), np.array([1.0]), np.ones((3, 2))),
        lambda: choose_codes(np.full((2, 2), np.nan), np.array([1.0]), np.ones((1, 2))),
        lambda: feed_forward_codes(np.ones((1, 2)), np.array([1.0]), -np.ones((1, 2, 2))),
        lambda: row_gauss_newton(np.array([0]), np.ones((2, 1)), np.ones(2), 1),
        lambda: row_gauss_newton(np.array([0]), np.ones((1, 1)), -np.ones(1), 1),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()
