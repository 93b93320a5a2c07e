"""Fewer numbers: what must not change does not, within derived bounds; what may is the least there is.

Bounds on what LAPACK does in float64: each factorization is that of a matrix off by at most C n u |x| (Frobenius norm, n the larger
side), and its orthonormal factor is orthonormal up to C n u. LAPACK documents C as "modestly growing"; its own test programs accept
ratios up to 50, so C = 50 here.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import Bag, bag_from_lists
from tinycompress.factorization import balance, fold, low_rank, narrow, shared_rows
from tinycompress.fields import Field
from tinycompress.ops import embedding, embedding_bag
from tinycompress.recommender import Architecture, forward, init

U64, U32 = 2.0**-53, 2.0**-24
SEEDS = st.integers(0, 10**6)


def unit(dtype):
    return U32 if dtype == np.float32 else U64


def lapack(shape):
    return 50 * max(shape) * U64


def hard_matrix(seed, rows=None, columns=None):
    """Tall, wide, one row, one column; of low rank, with rows of zeros, equal columns, columns far apart in size."""
    rng = np.random.default_rng(seed)
    v, o = rows or int(rng.integers(1, 9)), columns or int(rng.integers(1, 7))
    w = rng.standard_normal((v, o))
    kind = seed % 7
    if kind == 1:
        w = np.outer(rng.standard_normal(v), rng.standard_normal(o))
    elif kind == 2:
        w[rng.random(v) < 0.5] = 0
    elif kind == 3:
        w[:] = w[:, :1]
    elif kind == 4:
        w *= 10.0 ** -np.arange(o)
    elif kind == 5:
        w = np.round(w)
    elif kind == 6:
        w *= 0
    return w.astype([np.float64, np.float32][seed // 7 % 2])


def hard_weights(seed, v):
    rng = np.random.default_rng(seed)
    return [None, np.ones(v), rng.integers(0, 3, v), rng.integers(0, 1000, v), np.zeros(v), 1e-3 + rng.random(v) ** 9][seed // 14 % 6]


def weighted_error(w, left, right, n):
    off = np.asarray(w, float) - np.asarray(left, float) @ np.asarray(right, float)
    return float(((np.ones(len(w)) if n is None else np.asarray(n)) * (off**2).sum(axis=1)).sum())


def jacobi_singular_values(x):
    """Singular values by one-sided Jacobi in extended precision: turn pairs of columns until all are orthogonal. No LAPACK."""
    a = np.array(x, np.longdouble)
    a = a if a.shape[0] >= a.shape[1] else a.T.copy()
    for _ in range(60):
        turned = False
        for p in range(a.shape[1]):
            for q in range(p + 1, a.shape[1]):
                pp, qq, pq = a[:, p] @ a[:, p], a[:, q] @ a[:, q], a[:, p] @ a[:, q]
                if abs(pq) <= 1e-18 * np.sqrt(pp * qq):
                    continue
                turned = True
                zeta = (qq - pp) / (2 * pq)
                t = (1 if zeta >= 0 else -1) / (abs(zeta) + np.sqrt(1 + zeta * zeta))
                c = 1 / np.sqrt(1 + t * t)
                a[:, p], a[:, q] = c * a[:, p] - c * t * a[:, q], c * t * a[:, p] + c * a[:, q]
        if not turned:
            break
    return np.sort(np.sqrt((a**2).sum(axis=0)))[::-1].astype(float)


def jacobi_tail(w, n, rank):
    scaled = np.asarray(w, np.longdouble) * np.sqrt(np.asarray(np.ones(len(w)) if n is None else n, np.longdouble))[:, None]
    with np.errstate(under="ignore", over="ignore"):
        s = jacobi_singular_values(scaled)
    return float((s[rank:] ** 2).sum()), float(np.linalg.norm(scaled.astype(float)))


def error_slack(w, n, rank):
    """How far the root of the weighted error may be from the root of the tail.

    The triangle is that of a matrix off by E1, its singular vectors are those of one off by E2, |E| <= C m u |X| each, X = sqrt(n)
    w, and right is orthonormal up to C m u, which acts on X: an error within 4 C m u |X| of the best one's. The product w right^T
    adds gamma_O |X| sqrt R, far below. Rounding left and right to the dtype: left right moves by (2 u + u^2) |left| |right|, whose
    weighted norm is at most 2 u (1 + u) |X| sqrt R, as columns of right are no longer than 1.
    """
    size = jacobi_tail(w, n, 0)[1]
    m = np.sqrt(min(rank, *w.shape)) + 1
    return (4 * lapack(w.shape) + 2 * w.shape[1] * U64 * m + 2.1 * unit(w.dtype) * m) * size


# ---- low rank ----


@given(SEEDS)
def test_the_error_is_the_tail_of_the_squared_singular_values(seed):
    w = hard_matrix(seed)
    n = hard_weights(seed, len(w))
    before = np.inf
    for rank in range(1, max(w.shape) + 2):
        left, right = low_rank(w, rank, n)
        r = min(rank, *w.shape)
        assert left.shape == (len(w), r) and right.shape == (r, w.shape[1]) and left.dtype == right.dtype == w.dtype
        tail, _ = jacobi_tail(w, n, r)
        root, slack = np.sqrt(weighted_error(w, left, right, n)), error_slack(w, n, r)
        assert abs(root - np.sqrt(tail)) <= slack
        assert root <= before + 2 * slack  # never rises
        before = root
        gram = right.astype(float) @ right.T.astype(float)
        assert np.abs(gram - np.eye(r)).max() <= lapack(w.shape) * 2 + 2.1 * unit(w.dtype)
        assert all(row[np.abs(row).argmax()] > 0 for row in right)


@given(SEEDS)
def test_full_rank_is_exact_for_every_row_used_or_not(seed):
    """w right^T right = w (right^T right), a projection that holds every row of w: off by C m u |w_v| each for the triangle, its
    singular vectors, and the second pair of those, which are decided up to what n u |w| leaves; then two roundings to the dtype.
    """
    w = hard_matrix(seed)
    left, right = low_rank(w, min(w.shape), hard_weights(seed, len(w)))
    off = np.linalg.norm(w.astype(float) - left.astype(float) @ right.astype(float), axis=1)
    own = np.linalg.norm(w.astype(float), axis=1)
    slack = 6 * lapack(w.shape) * np.linalg.norm(w.astype(float)) * spread(hard_weights(seed, len(w)), len(w))
    assert (off <= slack + 2.1 * unit(w.dtype) * (1 + np.sqrt(len(right))) * own).all()


def spread(n, v):
    """An error of the weighted matrix is larger by this in a row of the least weight above 0."""
    n = np.ones(v) if n is None else np.asarray(n, float)
    return np.sqrt(n.max() / n[n > 0].min()) if n.any() else 1.0


@given(SEEDS, st.integers(1, 5))
def test_no_other_pair_of_that_rank_is_nearer(seed, rank):
    w = hard_matrix(seed)
    n = hard_weights(seed, len(w))
    left, right = low_rank(w, rank, n)
    least = np.sqrt(weighted_error(w, left, right, n))
    rng = np.random.default_rng(seed)
    r = left.shape[1]
    for scale in (1e-3, 0.1, 1.0):
        other = right + scale * rng.standard_normal(right.shape)
        answer = np.linalg.lstsq(other.T, w.T.astype(float), rcond=None)[0].T  # its own best left
        for rival in (answer, left + scale * rng.standard_normal(left.shape)):
            assert np.sqrt(weighted_error(w, rival, other if rival is answer else right, n)) >= least - 2 * error_slack(w, n, r)


@given(SEEDS, st.integers(1, 4))
def test_alternating_least_squares_ends_there_too(seed, rank):
    """Another way to the same minimum, which knows nothing of singular values: fix one side, solve for the other."""
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((9, 5)))[0] * 4.0 ** -np.arange(5)  # well apart, so that a few rounds suffice
    w = q @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    n = rng.integers(1, 5, 9)
    root = np.sqrt(n)[:, None]
    right = rng.standard_normal((rank, 5))
    for _ in range(60):
        left = np.linalg.lstsq(right.T, w.T, rcond=None)[0].T
        right = np.linalg.lstsq(root * left, root * w, rcond=None)[0]
    found = weighted_error(w, *low_rank(w, rank, n), n)
    # 60 rounds shrink what is still wrong by 16^-60 in a gap of 4 between singular values, n at most doubling both: nothing is left
    assert found == pytest.approx(weighted_error(w, left, right, n), rel=1e-9, abs=1e-25)


def test_weights_choose_what_survives():
    w = np.array([[9.0, 0.0], [0.0, 2.0]])
    assert np.array_equal(np.abs(low_rank(w, 1)[1]).round(12), [[1, 0]])
    assert np.array_equal(np.abs(low_rank(w, 1, [1, 100])[1]).round(12), [[0, 1]])
    alike = low_rank(w, 1, [4.0, 4.0])  # a power of 4 under the root: the same to the bit
    assert all(np.array_equal(a, b) for a, b in zip(alike, low_rank(w, 1)))


@given(SEEDS)
def test_constant_weights_are_no_weights(seed):
    """Weights of 4^k scale the weighted matrix by 2^k, and everything but s stays the same, to the bit."""
    w = hard_matrix(seed)
    for k in (-3, 0, 5):
        for a, b in zip(low_rank(w, 2, np.full(len(w), 4.0**k)), low_rank(w, 2)):
            assert np.array_equal(a, b)


def test_rows_without_weight_get_their_own_best():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((6, 4))
    n = np.array([3, 1, 4, 1, 0, 0])
    left, right = low_rank(w, 2, n)
    best = np.linalg.lstsq(right.T, w.T, rcond=None)[0].T
    # left = w right^T against a least-squares solution by QR or SVD: C m u |w| each, right having condition 1
    assert np.abs(left - best).max() <= 2 * lapack(w.shape) * np.linalg.norm(w)
    assert np.array_equal(low_rank(w[:4], 2, n[:4])[1].round(12), right.round(12)), "they decide nothing"
    used = np.outer([1.0, 2.0, 0.0, 0.0], [1.0, 0, 0, 0]) + np.outer([0, 0, 5.0, 1.0], [0, 3.0, 4.0, 0])
    left, right = low_rank(used, 2, [1, 1, 0, 0])  # the used rows have one dimension, and the second is free for the others
    assert np.allclose(left @ right, used, rtol=0, atol=6 * lapack(used.shape) * np.linalg.norm(used))


@given(SEEDS)
def test_an_error_in_left_is_an_error_in_w(seed):
    """Rows of right are orthonormal: |e right| = |e|, up to C m u and, per entry of right, u."""
    rng = np.random.default_rng(seed)
    w = hard_matrix(seed)
    left, right = low_rank(w, 2)
    e = rng.standard_normal(left.shape)
    moved = np.linalg.norm(e @ right.astype(float), axis=1)
    slack = lapack(w.shape) + 2.1 * unit(w.dtype) * np.sqrt(right.size)
    assert np.abs(moved - np.linalg.norm(e, axis=1)).max() <= slack * np.linalg.norm(e)


# ---- fold and narrow ----


def mlp(seed, dtype=np.float32, columns=(5, 3), hidden=(4, 3), pooling=(), rows=(9, 6)):
    rng = np.random.default_rng(seed)
    shape = Architecture(rows=rows, columns=columns, hidden=hidden, pooling=pooling)
    params = init(rng, shape, dtype)
    for f in range(len(rows)):
        params[f"table{f}"] = hard_matrix(seed + f, rows[f], columns[f]).astype(dtype)
    for layer in range(len(hidden) + 1):
        params[f"b{layer}"] = rng.standard_normal(params[f"b{layer}"].shape).astype(dtype)
    return params, shape


def inputs_of(seed, rows=(9, 6), count=12):
    rng = np.random.default_rng(seed)
    bags = bag_from_lists([rng.integers(0, rows[0], rng.integers(0, 4)) for _ in range(count)])
    return [bags, rng.integers(0, rows[1], count)]


@given(SEEDS, st.sampled_from(["sum", "mean"]), st.sampled_from([np.float32, np.float64]))
def test_folded_tables_add_up_to_the_first_layer(seed, pooling, dtype):
    """Both sides in float64 from there on: what remains is gamma_D |table| |w| of the fold, and float64's own sums."""
    params, shape = mlp(seed, dtype, pooling=(pooling, "sum"), hidden=())
    inputs = inputs_of(seed)
    folded = fold(params, shape)
    exact = {k: v.astype(float) for k, v in params.items()}
    want = forward(exact, inputs, shape)[0]
    got = exact["b0"] + embedding_bag(folded[0].astype(float), inputs[0], pooling) + embedding(folded[1].astype(float), inputs[1])
    size = [np.abs(exact[f"table{f}"]) @ np.abs(w) for f, w in enumerate(np.split(exact["w0"], [5]))]
    whole = embedding_bag(size[0], inputs[0], pooling) + embedding(size[1], inputs[1]) + np.abs(exact["b0"])
    assert [f.shape for f in folded] == [(9, 1), (6, 1)] and {f.dtype for f in folded} == {np.dtype(dtype)}
    assert (np.abs(got[:, 0] - want) <= (5.1 * unit(dtype) + 2 * 20 * U64) * whole[:, 0]).all()


def propagated(params, inputs, shape, first):
    """How far logits may move if the sums of the first layer move by `first`: |w|^T of it at each layer, relu not enlarging."""
    for layer in range(1, len(shape.hidden) + 1):
        first = first @ np.abs(params[f"w{layer}"].astype(float))
    return first


@given(SEEDS, st.sampled_from(["sum", "mean"]), st.sampled_from([np.float32, np.float64]))
def test_narrow_at_full_rank_leaves_the_logits(seed, pooling, dtype):
    """F[v] is off by (2 u + u^2) sqrt R |F[v]| / sqrt R: |left| |right| <= |F[v]| 1 by Cauchy-Schwarz; and by 6 C m u |F| in float64."""
    params, shape = mlp(seed, dtype, pooling=(pooling, "sum"))
    n = [hard_weights(seed, 9), hard_weights(seed + 3, 6)]
    small, small_shape = narrow(params, shape, [5, 9], n)
    assert small_shape.columns == (4, 3) and small["w0"].shape == (7, 4), "min(rank, V, D, O)"
    assert {v.dtype for v in small.values()} == {np.dtype(dtype)}
    inputs = inputs_of(seed)
    exact, exact_small = ({k: v.astype(float) for k, v in p.items()} for p in (params, small))
    off = []
    for f, (folded, rows) in enumerate(zip(fold(exact, shape), (9, 6))):
        own = np.linalg.norm(folded, axis=1)
        size = np.linalg.norm(exact[f"table{f}"]) * np.linalg.norm(exact["w0"])
        off.append((2.1 * unit(dtype) * own + 8 * 50 * 9 * U64 * size * spread(n[f], rows))[:, None] * np.ones(4))
    first = embedding_bag(off[0], inputs[0], pooling) + embedding(off[1], inputs[1])
    moved = np.abs(forward(exact, inputs, shape)[0] - forward(exact_small, inputs, small_shape)[0])
    size = np.abs(embedding_bag(np.abs(exact["table0"]), inputs[0], pooling)).max() + np.abs(exact["table1"]).max()
    float64_sums = 40 * U64 * (1 + size) * np.prod([1 + np.abs(exact[f"w{i}"]).sum() + np.abs(exact[f"b{i}"]).sum() for i in range(3)])
    assert (moved <= propagated(exact, inputs, shape, first)[:, 0] + float64_sums).all()


def test_narrow_keeps_what_is_used():
    """Rank 1 of two directions: the one that is looked up more."""
    params = {"table0": np.array([[4.0, 0.0], [0.0, 1.0]]), "w0": np.eye(2), "b0": np.zeros(2), "w1": np.ones((2, 1)), "b1": np.zeros(1)}
    shape = Architecture(rows=(2,), columns=(2,), hidden=(2,))
    one = [np.array([1])]
    for uses, want in (([1, 1], 0.0), ([1, 1000], 1.0)):
        small, small_shape = narrow(params, shape, [1], [uses])
        assert forward(small, one, small_shape)[0].round(12) == want and small_shape == Architecture((2,), (1,), (2,))


def test_numbers_that_vanish_are_no_error():
    params, shape = mlp(0)
    tiny = {k: v * np.float32(2.0**-70) for k, v in params.items()}
    small, _ = narrow(tiny, shape, [2, 2])
    assert all(np.isfinite(v).all() for v in small.values())
    low_rank(np.float32([[1e-44, 1e-40], [1e-45, 1.0]]), 1, [1e-200, 1.0])
    dot, dot_shape = dot_model(1, np.float32, d=2)
    balance({k: v * np.float32(1e-30) for k, v in dot.items()}, dot_shape)


# ---- balance ----


def dot_model(seed, dtype=np.float64, d=None):
    rng = np.random.default_rng(seed)
    d = d or int(rng.integers(1, 6))
    shape = Architecture(rows=(int(rng.integers(1, 12)), int(rng.integers(1, 9))), columns=(d, d), hidden=(), join="product")
    params = init(rng, shape, dtype)
    params["table0"] = hard_matrix(seed, shape.rows[0], d).astype(dtype)
    params["table1"] = hard_matrix(seed // 3 + 1, shape.rows[1], d).astype(dtype)
    params["w0"] = rng.standard_normal((d, 1)).astype(dtype)
    if seed % 4 == 0:
        params["w0"][0] = 0
    params["b0"] = rng.standard_normal(1).astype(dtype)
    return params, shape


def every_logit(params):
    p = {k: v.astype(float) for k, v in params.items()}
    return (p["table0"] * p["w0"].ravel()) @ p["table1"].T + p["b0"]


def leverage(table, n):
    """|row R^-1| for R the triangle of sqrt(n) table: how far a row stands out of the weighted ones. 1 / sqrt n_v at most if used."""
    return np.linalg.norm(table @ np.linalg.pinv(np.sqrt(n)[:, None] * table), axis=1)


def balance_slack(params, small, weights):
    """How far each logit may move.

    In coordinates where weighted rows are orthonormal, logits are X T Y^T with T = R_U W R_I^T, and beta = |R_U| |W| |R_I| bounds
    every product that makes T. Computed M has U M = X (A_k s_k^(1/2) + e_k s_k^(-1/2)), |e_k| <= c u beta: the products W R_I^T c_k
    and U (.) round at gamma_D of beta, triangles and singular vectors at C m u each, all before the division. So a column of the
    product of both sides is off by 2 c u beta + (c u beta)^2 / s_k <= 3 c u beta, as visible columns have s_k >= m eps beta and c u
    beta <= C m u beta .. times C; columns left out are below m eps beta each. With D columns, c = 5 C m: D 50 c u beta is generous.
    Then u per stored number: (2 u + u^2) |U M| |I N|^T, and float64's own sums of the comparison.
    """
    p = {k: v.astype(float) for k, v in params.items()}
    d, m = len(p["w0"]), sum(len(p[t]) for t in ("table0", "table1")) + len(p["w0"])
    roots = [np.sqrt(np.ones(len(p[t])) if n is None else np.asarray(n, float)) for t, n in zip(("table0", "table1"), weights)]
    norms = [np.linalg.norm(r[:, None] * p[t]) for r, t in zip(roots, ("table0", "table1"))]
    beta = norms[0] * norms[1] * np.linalg.norm(p["w0"])
    high = [1 / r if (r > 0).all() else None for r in roots]
    a, b = np.abs(small["table0"].astype(float)), np.abs(small["table1"].astype(float))
    stored = 2.1 * unit(params["table0"].dtype) * a @ b.T
    own = (2 * d + 4) * U64 * (np.abs(p["table0"]) * np.abs(p["w0"].ravel()) @ np.abs(p["table1"]).T + a @ b.T + np.abs(p["b0"]))
    return stored + own, 50 * 5 * m * U64 * d * beta, high


@given(SEEDS, st.sampled_from([np.float64, np.float32]))
def test_balanced_logits_are_the_same(seed, dtype):
    params, shape = dot_model(seed, dtype)
    rng = np.random.default_rng(seed)
    for weights in ((None, None), (rng.integers(1, 50, shape.rows[0]), rng.integers(1, 50, shape.rows[1]))):
        small, small_shape = balance(params, shape, row_weights=weights)
        rounding, turned, high = balance_slack(params, small, weights)
        assert (np.abs(every_logit(small) - every_logit(params)) <= rounding + turned * np.outer(*high)).all()
        assert {v.dtype for v in small.values()} == {np.dtype(dtype)} and (small["w0"] == 1).all()
        assert small_shape.columns == (small["table0"].shape[1],) * 2 and small_shape.columns[0] <= shape.columns[0]
        codes = [np.zeros(1, int), np.zeros(1, int)]
        assert forward(small, codes, small_shape)[0].shape == (1,)


def test_rows_without_weight_go_along():
    """Half the rows of each side are unused: as long as the used ones have all dimensions, all logits stay; and if they have not."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 5))
        shape = Architecture(rows=(12, 10), columns=(d, d), hidden=(), join="product")
        params = {"table0": rng.standard_normal((12, d)), "table1": rng.standard_normal((10, d)), "b0": np.ones(1)}
        params["w0"] = rng.standard_normal((d, 1))
        weights = [np.where(np.arange(v) % 2, 0, rng.integers(1, 9, v)) for v in (12, 10)]
        if seed % 2:
            weights[0][2:] = 0  # one used row of 12, one dimension
            weights[1][4:] = 0
        small, small_shape = balance(params, shape, row_weights=tuple(weights))
        assert small_shape.columns == (d, d)
        rounding, turned, _ = balance_slack(params, small, weights)
        if seed % 2:  # two turns, each as good as the smaller of the rows' weighted matrix allows: bound by its condition
            high = [np.full(v, 1e3) for v in (12, 10)]
        else:
            high = [leverage(params[t], n) for t, n in zip(("table0", "table1"), weights)]
        assert (np.abs(every_logit(small) - every_logit(params)) <= rounding + turned * np.outer(*high)).all()


@given(SEEDS)
def test_columns_are_uncorrelated_sorted_and_of_equal_energy(seed):
    """Gram of both sides under the weights is S. Off by s_j^(1/2) e s_k^(-1/2) where e = c u beta as in `balance_slack`."""
    params, shape = dot_model(seed)
    rng = np.random.default_rng(seed)
    weights = [(np.ones(v), rng.integers(1, 9, v))[seed % 2] for v in shape.rows]
    small, _ = balance(params, shape, row_weights=tuple(weights))
    _, e, _ = balance_slack(params, small, weights)
    grams = [small[t].T @ (n[:, None] * small[t]) for t, n in zip(("table0", "table1"), weights)]
    x = [np.sqrt(n)[:, None] * params[t] for t, n in zip(("table0", "table1"), weights)]
    with np.errstate(under="ignore", over="ignore"):
        s = jacobi_singular_values((x[0] * params["w0"].ravel()) @ x[1].T)
    s = np.pad(s, (0, shape.columns[0]))[: len(grams[0])]
    if not s.any():
        assert not np.any(grams)
        return
    root = np.sqrt(np.maximum(s, e / 1e3))
    slack = e * (root[:, None] / root + root / root[:, None]) + e**2 / np.outer(root, root)
    for gram in grams:
        assert (np.abs(gram - np.diag(s)) <= slack).all()
    top = small["table0"]
    assert all(c[np.abs(c).argmax()] >= 0 for c in top.T)


@given(SEEDS)
def test_truncation_loses_the_tail_which_is_the_least(seed):
    params, shape = dot_model(seed, d=4)
    rng = np.random.default_rng(seed)
    weights = [(np.ones(v), rng.integers(1, 9, v))[seed % 2] for v in shape.rows]
    roots = [np.sqrt(n) for n in weights]
    want = every_logit(params)
    whole = np.outer(*roots) * (want - params["b0"])
    with np.errstate(under="ignore", over="ignore"):
        s = jacobi_singular_values(whole)
    full, full_shape = balance(params, shape, row_weights=tuple(weights))
    for rank in range(1, 6):
        small, small_shape = balance(params, shape, rank, tuple(weights))
        r = small_shape.columns[0]
        assert r == min(rank, full_shape.columns[0])
        assert all(np.array_equal(small[t], full[t][:, :r]) for t in ("table0", "table1")), "the first columns"
        _, turned, _ = balance_slack(params, small, weights)
        rounding = 20 * U64 * np.linalg.norm(np.outer(*roots) * np.abs(want).max())
        lost = np.linalg.norm(np.outer(*roots) * (every_logit(small) - want))
        assert abs(lost - np.sqrt((s[r:] ** 2).sum())) <= turned + rounding + 20 * U64 * np.linalg.norm(roots[0]) * np.linalg.norm(roots[1])


def test_float32_model_is_balanced_in_float64():
    params, shape = dot_model(21, np.float32, d=5)
    small, _ = balance(params, shape)
    exact, _ = balance({k: v.astype(float) for k, v in params.items()}, shape)
    for t in ("table0", "table1"):
        assert np.array_equal(small[t], exact[t].astype(np.float32))


def test_a_model_of_zeros_keeps_one_column():
    params, shape = dot_model(0, d=3)
    small, small_shape = balance({**params, "w0": np.zeros((3, 1))}, shape)
    assert small_shape.columns == (1, 1) and not small["table0"].any() and small["b0"] == params["b0"]


@given(SEEDS)
def test_columns_that_carry_nothing_but_rounding_are_left_out(seed):
    rng = np.random.default_rng(seed)
    shape = Architecture(rows=(9, 7), columns=(4, 4), hidden=(), join="product")
    params = {**init(rng, shape, np.float64), "w0": np.array([[0.0], [1.0], [-2.0], [0.3]])}
    assert balance(params, shape)[1].columns == (3, 3), "one weight is 0"
    assert balance(params, shape, rank=9)[1].columns == (3, 3)
    params["table1"] = np.outer(rng.standard_normal(7), rng.standard_normal(4))
    uses = rng.integers(0, 3, 9) + (np.arange(9) == 0)
    assert balance(params, shape, row_weights=(uses, None))[1].columns == (1, 1), "items differ in one direction only"


def test_bags_are_turned_as_their_rows_are():
    rng = np.random.default_rng(3)
    shape = Architecture(rows=(6, 5), columns=(3, 3), hidden=(), pooling=("mean", "sum"), join="product")
    params = {k: v for k, v in init(rng, shape, np.float64).items()}
    inputs = inputs_of(0, (6, 5))
    small, small_shape = balance(params, shape)
    turned = balance_slack(params, small, (None, None))[1]
    # a pooled row is a mix of at most 4 rows whose leverage is 1 or less, so each logit's bound is 16 times that of a row at most
    assert np.abs(forward(small, inputs, small_shape)[0] - forward(params, inputs, shape)[0]).max() <= 16 * (turned + 100 * U64)


# ---- shared rows ----


@given(SEEDS)
def test_the_shared_row_is_the_best_there_is_and_others_keep_their_bits(seed):
    rng = np.random.default_rng(seed)
    table = hard_matrix(seed)
    uses = rng.integers(0, 6, len(table))
    below = int(rng.integers(0, 7))
    small, code = shared_rows(table, uses, below)
    rare = uses < below
    assert small.dtype == table.dtype and code.dtype == np.int64 and len(small) == (~rare).sum() + rare.any()
    assert np.array_equal(small[code[~rare]], table[~rare])
    if not rare.any():
        assert np.array_equal(small, table)
        return
    assert (code[rare] == len(small) - 1).all() and (np.diff(code[~rare]) == 1).all()
    n = [Fraction(int(v)) for v in uses[rare]]
    n = n if any(n) else [Fraction(1)] * len(n)
    for column, got in zip(table[rare].T, small[-1]):
        x = [Fraction(float(v)) for v in column]
        mean = sum(a * b for a, b in zip(n, x)) / sum(n)
        # shares, differences and their sum each round within gamma_{N + 3} of sum |n (x - x_0)|, then once to the dtype
        slack = (len(x) + 5) * U64 * 2 * max(abs(float(v)) for v in x) + unit(table.dtype) * abs(float(mean))
        assert abs(float(Fraction(float(got)) - mean)) <= slack
        within = sum(a * (b - mean) ** 2 for a, b in zip(n, x))
        lost = sum(a * (b - Fraction(float(got))) ** 2 for a, b in zip(n, x))
        assert within <= lost <= within + sum(n) * Fraction(slack) ** 2  # exact: within-group variance + n (got - mean)^2


def test_one_rare_row_and_equal_rows_keep_their_bits():
    table = np.float32([[0.1, 0.7], [0.3, 1 / 3], [0.1, 0.7]])
    small, code = shared_rows(table, [1, 9, 2], 5)
    assert np.array_equal(small, table[[1, 0]]) and code.tolist() == [1, 0, 1]
    small, code = shared_rows(table, [7, 9, 2], 5)
    assert np.array_equal(small[code], table)
    for first in np.random.default_rng(0).standard_normal(20):  # sum of n x / sum of n would round
        assert shared_rows(np.full((3, 1), first), [1, 3, 7], 9)[0].tolist() == [[first]]
    assert np.array_equal(shared_rows(table, [0, 0, 0], 1)[0], table.astype(float).mean(axis=0, keepdims=True).astype(np.float32))
    assert shared_rows(np.ones((2, 1)), [1e308, 1e308], np.inf)[0].tolist() == [[1.0]]


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_bags_are_coded_anew_by_their_codes_alone(pooling):
    rng = np.random.default_rng(5)
    table = rng.standard_normal((7, 3))
    bag = bag_from_lists([[0, 1, 1], [], [6, 2, 0, 5], [3]])
    small, code = shared_rows(table, np.bincount(bag.codes, minlength=7), 2)
    again = Bag(code[bag.codes], bag.offsets)
    assert np.array_equal(embedding_bag(small, again, pooling), embedding_bag(small[code], bag, pooling))
    field = Field("bought", len(small), "user", again, pooling)
    assert len(field.values) == 4 and field.size < 7


# ---- refusals ----


def test_refusals():
    params, shape = mlp(0)
    dot, dot_shape = dot_model(1, d=2)
    nan = np.array([[np.nan]])
    for call, words in (
        (lambda: low_rank(np.ones(3), 1), "matrix"),
        (lambda: low_rank(np.ones((0, 3)), 1), "matrix"),
        (lambda: low_rank(np.ones((2, 3)), 0), "rank of 1"),
        (lambda: low_rank(nan, 1), "finite"),
        (lambda: low_rank(np.ones((2, 3)), 1, [1, -1]), "0 or more"),
        (lambda: low_rank(np.ones((2, 3)), 1, [1, 1, 1]), "one finite weight"),
        (lambda: fold(dot, dot_shape), "concat"),
        (lambda: narrow(dot, dot_shape, [1, 1]), "concat"),
        (lambda: fold({**params, "w0": params["w0"][1:]}, shape), "must agree"),
        (lambda: narrow(params, shape, [1]), "for each field"),
        (lambda: narrow(params, shape, [1, 1], [None]), "for each field"),
        (lambda: narrow(params, shape, [1, 0]), "rank of 1"),
        (lambda: balance(params, shape), "narrow"),
        (lambda: balance(dot, Architecture((3, 3), (2, 2), (4,), join="product")), "hidden=\\(\\)"),
        (lambda: balance(dot, Architecture((3, 3), (2, 2), (), 2, join="product")), "one logit"),
        (lambda: balance(dot, Architecture((3, 3, 3), (2, 2, 2), (), join="product")), "two fields"),
        (lambda: balance(dot, dot_shape, 0), "rank 0"),
        (lambda: balance({**dot, "w0": np.ones((3, 1))}, dot_shape), "D columns"),
        (lambda: balance({**dot, "table0": dot["table0"] * 0 + 1e99, "table1": dot["table1"] * 0 + 1e120}, dot_shape), "1e200"),
        (lambda: balance({**dot, "table0": dot["table0"] * np.inf}, dot_shape), "finite"),
        (lambda: balance(dot, dot_shape, row_weights=([1.0], None)), "one finite weight"),
        (lambda: shared_rows(np.ones(3), [1, 1, 1], 2), "matrix"),
        (lambda: shared_rows(np.ones((3, 1)), [1, 1], 2), "one finite weight"),
        (lambda: shared_rows(np.ones((2, 1)), [1, -1], 2), "0 or more"),
        (lambda: shared_rows(np.ones((2, 1)), [1, 1], np.nan), "below is nan"),
        (lambda: shared_rows(nan, [1], 2), "finite"),
    ):
        with pytest.raises(ValueError, match=words), np.errstate(all="ignore"):
            call()
