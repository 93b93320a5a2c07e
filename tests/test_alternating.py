"""Least squares in turn: against exact sums over all pairs; each half step at slope 0; the loss never rises."""

import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array, csr_array

from tinycompress.alternating import Quadratics, alternate, row_quadratics, squared_loss


def gamma(k, u=2.0**-53):
    """The relative error of k roundings, one after the other (Higham 2002, lemma 3.1)."""
    return k * u / (1 - k * u)


def exact(a):
    return np.vectorize(Fraction, otypes=[object])(a)


def case(seed):
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(1, 5), rng.integers(1, 6), rng.integers(1, 4)
    x = (rng.random((n, m)) < rng.choice([0.0, 0.3, 0.8])).astype(float)
    u, i = (rng.standard_normal((k, d)) * rng.choice([0.1, 1.0, 4.0]) for k in (n, m))
    return x, u, i, float(rng.choice([0.02, 0.5, 3.0])), float(rng.choice([0.001, 0.02, 2.0]))


def pairs_loss(x, u, i, a, r):
    """(2) pair by pair, in the arithmetic of its arguments; with |u|, |i| and 1 + for 1 - it bounds every term."""
    total = sum((a + x[n, m]) * (x[n, m] - u[n] @ i[m]) ** 2 for n in range(len(u)) for m in range(len(i)))
    w_u, w_i = x.sum(axis=1) + a * len(i), x.sum(axis=0) + a * len(u)
    return (total + r * (w_u @ (u**2).sum(axis=1) + w_i @ (i**2).sum(axis=1))) / 2


def slope(x, u, i, a, r):
    """The gradient of (2) by each row of u, pair by pair."""
    pulls = [sum(((a + x[n, m]) * (u[n] @ i[m] - x[n, m]) * i[m] for m in range(len(i))), r * w * u[n])
             for n, w in enumerate(x.sum(axis=1) + a * len(i))]  # fmt: skip
    return np.stack(pulls)


def slope_bound(x, u, i, a, r):
    """How far a computed best row may be from slope 0: forming H and g, and solving by elimination with pivots (N,).

    H and g are sums of at most M + 1 products with two more factors: gamma of M + 6, times the sum of |terms|. Elimination solves
    (H + dH) u = g exactly with |dH| <= D^2 gamma_3D 2^(D - 1) |H|, maximum row sums (Higham 2002, theorem 9.5 and the bound of
    Wilkinson for the growth).
    """
    (m, d), big, j = i.shape, np.abs(u).max(axis=1), np.abs(i)
    h = [a * j.T @ j + j.T @ (x_n[:, None] * j) + r * (x_n.sum() + a * m) * np.eye(d) for x_n in x]
    norm = np.array([h_n.sum(axis=1).max() for h_n in h])
    return gamma(m + 6) * (norm * big + (1 + a) * (x @ j).max(axis=1)) + d**2 * gamma(3 * d) * 2 ** (d - 1) * 1.01 * norm * big


@given(st.integers(0, 10**6))
def test_the_loss_is_the_sum_over_all_pairs(seed):
    x, u, i, a, r = case(seed)
    true = pairs_loss(*map(exact, (x, u, i)), Fraction(a), Fraction(r))
    terms = pairs_loss(x, np.abs(u), -np.abs(i), a, r)  # X + |u| |i|, squared: no less than each part of what is summed
    apart = a * ((np.abs(u) @ np.abs(i).T) ** 2).sum()  # the sum over all pairs, and what is taken out of it again
    k = x.size + sum(x.shape) + u.shape[1] ** 2 + u.shape[1] + 10
    assert abs(Fraction(squared_loss(csr_array(x), u, i, a, r)) - true) <= gamma(k) * (terms + apart)


@given(st.integers(0, 10**6))
def test_the_quadratic_of_a_row_is_the_loss_as_that_row_moves(seed):
    """Exactly so in fractions: with H and g summed pair by pair the loss at u less that at 0 is 1/2 u^T H u - g^T u; h, g are those."""
    x, u, i, a, r = case(seed)
    h, g = row_quadratics(csr_array(x), i, a, r)
    xf, uf, f, af, rf = *map(exact, (x, u, i)), Fraction(a), Fraction(r)
    each = (f[:, :, None] * f[:, None, :])[None] * (xf + af)[:, :, None, None]
    h_true = each.sum(axis=1) + (rf * (xf.sum(axis=1) + af * len(i)))[:, None, None] * exact(np.eye(i.shape[1]))
    g_true = (1 + af) * (xf @ f)
    moved = (uf[:, None] @ h_true @ uf[:, :, None]).sum() / 2 - (g_true * uf).sum()
    assert moved == pairs_loss(xf, uf, f, af, rf) - pairs_loss(xf, 0 * uf, f, af, rf)
    j = np.abs(i)
    terms = ((j[:, :, None] * j[:, None, :])[None] * (x + a)[:, :, None, None]).sum(axis=1)
    terms += (r * (x.sum(axis=1) + a * len(i)))[:, None, None] * np.eye(i.shape[1])
    k = len(i) + 6
    assert (np.abs(exact(h) - h_true) <= gamma(k) * terms).all() and (np.abs(exact(g) - g_true) <= gamma(k) * (1 + a) * (x @ j)).all()


@given(st.integers(0, 10**6))
def test_each_half_step_ends_at_slope_zero(seed):
    x, _, i, a, r = case(seed)
    u = row_quadratics(csr_array(x), i, a, r).best
    left = slope(*map(exact, (x, u, i)), Fraction(a), Fraction(r))
    assert (np.abs(left).max(axis=1) <= slope_bound(x, u, i, a, r)).all()
    assert not u[x.sum(axis=1) == 0].any(), "a row that met nothing is 0"


@given(st.integers(0, 10**6))
def test_the_loss_never_rises(seed):
    """In fractions. A half step may miss its minimum by 1/2 s^T H^-1 s for a slope s, and H is at least r w_u E."""
    x, _, i, a, r = case(seed)
    d, last, before = i.shape[1], None, None
    for rounds in (1, 2, 3):
        u, i = alternate(csr_array(x), d, np.random.default_rng(seed), a, r, rounds)
        if before is not None:
            for mine, other, was, xs in ((u, before[1], before, x), (i, u, (u, before[1]), x.T)):
                miss = slope_bound(xs, mine, other, a, r) ** 2 * d / (2 * r * (xs.sum(axis=1) + a * len(other)))
                now = (mine, other) if xs is x else (other, mine)
                values = [pairs_loss(*map(exact, (x, *tables)), Fraction(a), Fraction(r)) for tables in (now, was)]
                assert values[0] <= values[1] + Fraction(float(miss.sum()))
                assert last is None or values[1] == last, "a half step starts where the last one ended"
                last = values[0]
        before = (u, i)


def test_at_size_it_falls_and_fits():
    """300 x 120 from three tastes: squared_loss falls at each round, up to gamma of its terms, and 1/2 tells who met what."""
    rng = np.random.default_rng(0)
    tastes, kinds = rng.integers(0, 3, 300), rng.integers(0, 3, 120)
    x = csr_array((tastes[:, None] == kinds) & (rng.random((300, 120)) < 0.9))
    tables = [alternate(x, 4, np.random.default_rng(1), rounds=k) for k in (1, 2, 4, 8, 12)]
    losses = [squared_loss(x, *pair, 0.02, 0.02) for pair in tables]
    terms = sum(pairs_loss(x.toarray() * 1.0, np.abs(u), -np.abs(i), 0.02, 0.02) for u, i in tables)
    assert (np.diff(losses) <= 2 * gamma(x.nnz + 500) * 2 * terms).all() and losses[-1] < 0.7 * losses[0]
    users, items = tables[-1]
    assert ((users @ items.T > 0.5) == (tastes[:, None] == kinds)).all()
    assert [len(t) for t in alternate(x, 4, np.random.default_rng(1))] == [300, 120]
    assert all((a == b).all() for a, b in zip(alternate(x, 4, np.random.default_rng(1)), tables[-1])), "12 rounds, 0.02 and 0.02"


@given(st.integers(0, 10**6))
def test_the_order_of_rows_and_columns_says_nothing(seed):
    """Rows are on their own: to the bit. Columns are summed in another order: gamma of that many terms, twice."""
    x, _, i, a, r = case(seed)
    rng = np.random.default_rng(seed)
    p, q = rng.permutation(len(x)), rng.permutation(len(i))
    one, rows, columns = (row_quadratics(csr_array(y), j, a, r) for y, j in ((x, i), (x[p], i), (x[:, q], i[q])))
    assert all((got == was[p]).all() for got, was in zip((*rows, rows.best), (*one, one.best)))
    j = np.abs(i)
    bound = 2 * gamma(len(i) + 6) * ((1 + a) * (j.T @ j) + r * (1 + a) * len(i) * np.eye(i.shape[1]))
    assert (np.abs(columns.h - one.h) <= bound).all() and (np.abs(columns.g - one.g) <= 2 * gamma(len(i) + 6) * (1 + a) * (x @ j)).all()
    users = alternate(csr_array(x), 2, np.random.default_rng(0), a, r, rounds=1)[0]
    assert (alternate(csr_array(x[p]), 2, np.random.default_rng(0), a, r, rounds=1)[0] == users[p]).all()


def test_what_is_stored_as_zero_was_not_met_and_the_kind_of_ones_says_nothing():
    x = np.array([[1, 0, 1], [0, 0, 1]])
    stored = csr_array((np.array([1.0, 0.0, 1.0, 1.0]), np.array([0, 1, 2, 2]), np.array([0, 3, 4])), shape=(2, 3))
    halves = coo_array((np.ones(3), ([0, 0, 1], [0, 2, 2])), shape=(2, 3))
    u, i = np.ones((2, 2)), np.arange(6.0).reshape(3, 2)
    values = [squared_loss(y, u, i, 0.5, 0.25) for y in (x, x.astype(bool), x.astype(np.int8), stored, halves, csr_array(x))]
    assert set(values) == {pairs_loss(x, u, i, 0.5, 0.25)}, "sums of few binary digits are exact"
    assert stored.nnz == 4, "what was given stays as it is"
    assert all((row_quadratics(y, i, 0.5, 0.25).h == row_quadratics(x, i, 0.5, 0.25).h).all() for y in (stored, halves))
    assert row_quadratics(x, i.astype(np.float32), 0.5, 0.25).h.dtype == np.float64
    tiny = alternate(csr_array(x), 2, np.random.default_rng(0), 1e-3, 1e300)  # a decay that leaves subnormal rows
    assert np.isfinite(tiny[0]).all()


def test_the_start_is_about_a_tenth_long():
    """The first users solve for items drawn with variance 0.01 / D: with nothing met but one pair, they are in their direction."""
    x = csr_array(([1.0], ([0], [0])), shape=(1, 1))
    drawn = np.random.default_rng(7).standard_normal((1, 3)) * (0.1 / 3**0.5)
    expected = Quadratics(*row_quadratics(x, drawn, 0.02, 0.02)).best
    users, items = alternate(x, 3, np.random.default_rng(7), rounds=1)
    assert (users == expected).all() and (items == row_quadratics(x, users, 0.02, 0.02).best).all()


ONE = csr_array(np.ones((1, 2)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: row_quadratics(ONE, np.ones((3, 1)), 0.5, 0.5),
        lambda: row_quadratics(ONE, np.ones(2), 0.5, 0.5),
        lambda: row_quadratics(csr_array([[1.0, 2.0]]), np.ones((2, 1)), 0.5, 0.5),
        lambda: row_quadratics(csr_array([[1.0, np.nan]]), np.ones((2, 1)), 0.5, 0.5),
        lambda: row_quadratics(coo_array((np.ones(2), ([0, 0], [1, 1])), shape=(1, 2)), np.ones((2, 1)), 0.5, 0.5),
        lambda: row_quadratics(csr_array((np.ones(2), np.array([1, 1]), np.array([0, 2])), shape=(1, 2)), np.ones((2, 1)), 0.5, 0.5),
        lambda: row_quadratics(np.ones(2), np.ones((2, 1)), 0.5, 0.5),
        lambda: row_quadratics(ONE, np.array([[1.0], [np.nan]]), 0.5, 0.5),
        *[lambda w=w: row_quadratics(ONE, np.ones((2, 1)), *w) for w in ((0, 1), (1, 0), (-1, 1), (np.nan, 1), (1, np.inf))],
        lambda: squared_loss(ONE, np.ones((2, 1)), np.ones((2, 1)), 0.5, 0.5),
        lambda: squared_loss(ONE, np.ones((1, 1)), np.ones((1, 1)), 0.5, 0.5),
        lambda: squared_loss(ONE, np.ones((1, 1)), np.ones((2, 1)), 0.5, -1.0),
        lambda: alternate(ONE, 0, np.random.default_rng(0)),
        lambda: alternate(ONE, 1, np.random.default_rng(0), rounds=0),
        lambda: alternate(ONE, 1, np.random.default_rng(0), unmet=0.0),
        lambda: alternate(3 * ONE, 1, np.random.default_rng(0)),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_a_side_of_nobody_is_named(shape):
    with pytest.raises(ValueError, match=rf"x has shape {re.escape(str(shape))}; give at least one row and one column"):
        alternate(csr_array(shape), 2, np.random.default_rng(0))


def test_nobody_met_anything():
    users, items = alternate(csr_array((3, 4)), 2, np.random.default_rng(0))
    assert users.shape == (3, 2) and items.shape == (4, 2) and not users.any() and not items.any()
