"""H of each row: against loops over the examples, second differences of the loss, and a shift solved for by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import Bag, bag_from_lists
from tinycompress.recommender import Architecture, init
from tinycompress.row_curvature import floored, table_curvature

WIDE = np.longdouble


def gamma(k):
    """The relative error of k roundings (Higham 2002, lemma 3.1)."""
    return k * 2.0**-53 / (1 - k * 2.0**-53)


def case(seed, outputs=(1, 3), joins=("concat", "product"), bags=True):
    """A model in float64 and some examples; the field asked for holds codes or bags, with repetitions and empty ones."""
    rng = np.random.default_rng(seed)
    fields, b = int(rng.integers(1, 4)), int(rng.integers(1, 12))
    join = str(rng.choice(joins))
    columns = tuple(map(int, rng.integers(1, 4, fields))) if join == "concat" else (int(rng.integers(1, 4)),) * fields
    shape = Architecture(
        rows=tuple(map(int, rng.integers(2, 5, fields))), columns=columns, hidden=[(), (3,), (4, 2)][rng.integers(3)],
        outputs=int(rng.choice(outputs)), pooling=tuple(map(str, rng.choice(["sum", "mean"], fields))), join=join,
    )  # fmt: skip
    params = {k: 2 * rng.standard_normal(p.shape) / p.shape[0] ** 0.5 for k, p in init(rng, shape, np.float64).items()}
    inputs = [
        bag_from_lists(rng.integers(0, v, rng.integers(0, 5)).tolist() for _ in range(b)) if bags and rng.random() < 0.5
        else rng.integers(0, v, b) for v in shape.rows
    ]  # fmt: skip
    return params, inputs, shape, int(rng.integers(fields))


def shares(x, n, v, pooling):
    """c of each row in example n."""
    if not isinstance(x, Bag):
        return np.eye(v)[x[n]]
    codes = x.codes[x.offsets[n] : x.offsets[n + 1]]
    return np.bincount(codes, minlength=v) / (max(len(codes), 1) if pooling == "mean" else 1)


def example(params, inputs, shape, field, n):
    """Logits (C,), their jacobian by what stands in the field's place (C, D), which relus pass, and the shares of the rows."""
    c = [shares(x, n, v, shape.pool(f)) for f, (x, v) in enumerate(zip(inputs, shape.rows))]
    parts = [c_f @ params[f"table{f}"] for f, c_f in enumerate(c)]
    d = shape.columns[field]
    if shape.join == "concat":
        h, place = np.concatenate(parts), sum(shape.columns[:field])
        j = np.eye(len(h))[:, place : place + d]
    else:
        h, j = np.prod(parts, axis=0), np.diag(np.prod([np.ones(d), *parts[:field], *parts[field + 1 :]], axis=0))
    passed, last = (), len(shape.hidden)
    for layer in range(last + 1):
        h, j = h @ params[f"w{layer}"] + params[f"b{layer}"], params[f"w{layer}"].T @ j
        if layer < last:
            passed += tuple(h > 0)
            h, j = np.maximum(h, 0), j * (h > 0)[:, None]
    return h, j, passed, c[field]


def curvature(z):
    """The second derivative of a loss by its logits: p (1 - p), or diag p - p p^T."""
    if len(z) == 1:
        p = 1 / (1 + np.exp(-z))
        return (p * (1 - p))[None]
    p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
    return np.diag(p) - np.outer(p, p)


def by_hand(params, inputs, shape, field):
    """(1) as a loop: H, and a bound on the sum of its terms."""
    v, d = shape.rows[field], shape.columns[field]
    h, size = np.zeros((v, d, d)), np.zeros((v, d, d))
    for n in range(len(inputs[field])):
        z, j, _, c = example(params, inputs, shape, field, n)
        h += (c**2)[:, None, None] * (j.T @ curvature(z) @ j)
        size += (c**2)[:, None, None] * (np.abs(j).T @ np.abs(curvature(z)) @ np.abs(j))
    return h, size


def loss(found, labels):
    """The sum of the losses of these examples: log sum exp less the label's logit; one logit is one of two, the other 0."""
    total = WIDE(0)
    for (z, *_), y in zip(found, labels):
        z = z if len(z) > 1 else np.array([0, z[0]])
        total += z.max() + np.log(np.exp(z - z.max()).sum()) - z[y]
    return total


# A float64 model's logits and jacobians are each some 50 roundings of numbers whose terms cancel; so entries are compared with
# 1e-12 of the largest sum of terms there can be, which leaves four digits for cancellation and none for a wrong formula.
SLACK = 1e-12


@given(st.integers(0, 10**6))
def test_a_loop_over_the_examples(seed):
    """Codes and bags, sum and mean, repeated codes and empty bags, both joins, one logit and classes, any depth."""
    params, inputs, shape, field = case(seed)
    expected, size = by_hand(params, inputs, shape, field)
    h = table_curvature(params, inputs, shape, field)
    assert (np.abs(h - expected) <= SLACK * (1 + size.max())).all() and (h == h.swapaxes(1, 2)).all()
    unused = sum(shares(inputs[field], n, shape.rows[field], "sum") for n in range(len(inputs[field]))) == 0
    assert not h[unused].any(), "a row that no example uses"


@given(st.integers(0, 10**6))
def test_the_second_derivative_of_the_summed_loss(seed):
    """Along v, (f(h v) - 2 f(0) + f(-h v)) / h^2 misses f_vv by at most h^2 / 12 max f_vvvv, and by the rounding of f over h^2.

    An entry H_ab is the difference of those along a + b and a - b, over 4. The fourth derivative of log sum exp is a fourth cumulant
    of jacobians that differ by at most R = 4 max |c j|: at most 3/16 R^4 (a variance is at most R^2 / 4). Labels do not matter, as
    logits are linear in the row. The sums before the first relu are too, so that one which passes at both ends of a line passes
    on all of it; then so are the next ones. Where the ends differ there is a kink between: such cases are left out.
    """
    params, inputs, shape, field = case(seed)
    rng, step, name, count = np.random.default_rng(seed), WIDE(1e-4), f"table{field}", len(inputs[field])
    labels = rng.integers(0, max(shape.outputs, 2), count)
    v, (a, b) = int(rng.integers(shape.rows[field])), rng.integers(0, shape.columns[field], 2)
    corners, passed, sizes = [], set(), 0.0
    for sign in ((1, 1), (-1, -1), (1, -1), (-1, 1)):
        table = params[name].astype(WIDE)
        table[v, a] += step * sign[0]
        table[v, b] += step * sign[1]
        moved = {k: p.astype(WIDE) for k, p in params.items()} | {name: table}
        found = [example(moved, inputs, shape, field, n) for n in range(count)]
        corners.append(loss(found, labels))
        passed.add(tuple(f[2] for f in found))
        sizes = max(sizes, sum(4 + np.abs(f[0]).max() for f in found))
    if len(passed) > 1:
        return
    h = table_curvature(params, inputs, shape, field)
    measured = float((corners[0] + corners[1] - corners[2] - corners[3]) / (4 * step**2))
    fourth = sum(3 / 16 * (4 * np.abs(f[3][v] * f[1]).max()) ** 4 for f in found)
    rounding = 1000 * float(np.finfo(WIDE).eps) * sizes / step**2  # of four sums, some 50 roundings each of terms 5 times as large
    bound = step**2 / 24 * fourth + rounding + SLACK * (1 + by_hand(params, inputs, shape, field)[1].max())
    assert bound < 1e-2 * (1 + fourth), "the bound says something"
    assert abs(measured - h[v, a, b]) <= bound


@given(st.integers(0, 10**6))
def test_positive_semidefinite_with_and_without_a_shift(seed):
    """Its errors are SLACK of the terms, D of them in a row; eigenvalues move by no more."""
    params, inputs, shape, field = case(seed, outputs=(1,), bags=False)
    slack = SLACK * (1 + by_hand(params, inputs, shape, field)[1].max()) * shape.columns[field]
    for free in (False, True):
        assert np.linalg.eigvalsh(table_curvature(params, inputs, shape, field, shift_free=free)).min() >= -slack


@given(st.integers(0, 10**6))
def test_shift_free_is_the_least_over_a_shift(seed):
    """d^T H d for random d: no shift of all logits of a row does better, and the mean of j . d does as well."""
    params, inputs, shape, field = case(seed, outputs=(1,), bags=False)
    free, size = table_curvature(params, inputs, shape, field, shift_free=True), by_hand(params, inputs, shape, field)[1].max()
    rng, v = np.random.default_rng(seed), int(inputs[field][0])
    found = [example(params, inputs, shape, field, n)[:2] for n in np.flatnonzero(inputs[field] == v)]
    k, j = np.array([curvature(z)[0, 0] for z, _ in found]), np.concatenate([j for _, j in found])
    d = rng.standard_normal(j.shape[1])
    slack = SLACK * (1 + size) * (1 + np.abs(d).sum()) ** 2
    least = (k @ (j @ d)) / k.sum()
    values = [k @ (j @ d - shift) ** 2 for shift in (least, *(least + rng.standard_normal(20)), 0.0)]
    assert all(d @ free[v] @ d <= value + slack for value in values) and d @ free[v] @ d >= values[0] - slack
    if len(k) == 1:
        assert np.abs(free[v]).max() <= slack, "a list of one: nothing to rank"
    bias = table_curvature(params, inputs, shape, field) - free
    assert np.linalg.eigvalsh(bias).min() >= -slack, "what is left out was there"


@given(st.integers(0, 10**6))
def test_how_many_at_a_time_says_nothing(seed):
    """Up to the order of a sum of B terms, each of them the same for every block up to its own few roundings."""
    params, inputs, shape, field = case(seed)
    size = by_hand(params, inputs, shape, field)[1].max()
    free = shape.outputs == 1 and not isinstance(inputs[field], Bag) and bool(seed % 2)
    whole = table_curvature(params, inputs, shape, field, free)
    for block in (1, 2, 5):
        assert np.abs(table_curvature(params, inputs, shape, field, free, block) - whole).max() <= SLACK * (1 + size)


def test_rows_of_one_bag_together_are_what_is_left_out():
    """Logit = sum of a bag: 1/2 d^T H d is the rise as one row moves; as two move, the product of both is missing."""
    params = {"table0": np.zeros((2, 1)), "w0": np.ones((1, 1)), "b0": np.zeros(1)}
    shape = Architecture(rows=(2,), columns=(1,), hidden=())
    assert table_curvature(params, [bag_from_lists([[0, 1, 1], []])], shape, 0).tolist() == [[[0.25]], [[1.0]]]
    mean = replace(shape, pooling=("mean",))
    third = table_curvature(params, [bag_from_lists([[0, 1, 1], [1]])], mean, 0)
    assert (np.abs(third[:, 0, 0] - [1 / 36, 1 / 9 + 1 / 4]) <= gamma(6)).all()


def test_no_examples_no_codes_and_logits_that_are_sure():
    params = {"table0": np.ones((2, 1)), "table1": np.ones((2, 1)), "w0": np.ones((2, 1)), "b0": np.full(1, 800.0)}
    shape = Architecture(rows=(2, 2), columns=(1, 1), hidden=())
    nothing = [np.zeros(0, int), bag_from_lists([])]
    empty = [np.array([0, 1]), bag_from_lists([[], []])]
    for free in (False, True):
        assert not table_curvature(params, nothing, shape, 0, free).any()
        assert not table_curvature(params, empty, shape, 0, free).any(), "p = 1: the loss is flat"
    assert not table_curvature({**params, "b0": np.zeros(1)}, empty, shape, 1).any()
    single = {k: p.astype(np.float32) for k, p in params.items()}
    assert table_curvature(single, empty, shape, 0).dtype == np.float64


@given(st.integers(0, 10**6))
def test_floored_adds_the_mean_in_every_direction(seed):
    rng = np.random.default_rng(seed)
    v, d, share = rng.integers(1, 5), rng.integers(1, 4), float(rng.choice([0.01, 0.5]))
    x = rng.standard_normal((v, 2, d)) * (rng.random(v) < 0.7)[:, None, None]
    h = x.swapaxes(1, 2) @ x
    mean = np.einsum("vii->", h) / (v * d)
    added = floored(h, share)
    expected = h + (share * mean if h.any() else 1) * np.eye(d)
    assert np.abs(added - expected).max() <= gamma(v * d + 4) * (h.max() + mean + 1)
    assert np.linalg.eigvalsh(added).min() >= (share * mean if h.any() else 1) - 1e-13 * (h.max() + 1)
    assert (floored(h) == floored(h, 0.02)).all() and (floored(np.zeros_like(h)) == np.eye(d)).all()


GOOD = ({"table0": np.ones((2, 1)), "table1": np.ones((2, 1)), "w0": np.ones((2, 1)), "b0": np.zeros(1)},
        [np.array([0, 1]), bag_from_lists([[0], [1]])], Architecture(rows=(2, 2), columns=(1, 1), hidden=()))  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda: table_curvature(*GOOD, 2),
        lambda: table_curvature(*GOOD, -1),
        lambda: table_curvature(*GOOD, 0, block=0),
        lambda: table_curvature(*GOOD, 0, block=-5),
        lambda: table_curvature(GOOD[0], GOOD[1][:1], GOOD[2], 0),
        lambda: table_curvature(GOOD[0], [*GOOD[1], np.array([0, 1])], GOOD[2], 2),
        lambda: table_curvature(GOOD[0], [np.array([0, 1, 1]), GOOD[1][1]], GOOD[2], 0),
        lambda: table_curvature(GOOD[0], [np.array([0, 1]), np.array([0])], GOOD[2], 0),
        lambda: table_curvature(GOOD[0], [np.array([0, 2]), GOOD[1][1]], GOOD[2], 0),
        lambda: table_curvature(GOOD[0], [np.array([0, -1]), GOOD[1][1]], GOOD[2], 0),
        lambda: table_curvature(*GOOD, 1, shift_free=True),
        lambda: table_curvature({**GOOD[0], "w0": np.ones((2, 3)), "b0": np.zeros(3)}, GOOD[1], replace(GOOD[2], outputs=3), 0, True),
        lambda: floored(np.ones((2, 2))),
        lambda: floored(np.ones((2, 2, 1))),
        lambda: floored(np.ones((2, 1, 1)), share=0),
        lambda: floored(np.ones((2, 1, 1)), share=np.nan),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()
