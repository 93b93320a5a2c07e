"""Product codes: parts are problems of their own, errors never rise, look-up equals the product, residuals add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.product_quantization import (
    ProductCode,
    k_means_rows,
    lookup_scores,
    nearest_rows,
    product_bits,
    product_quantize,
    reconstruct,
    residual_quantize,
)

shapes = st.tuples(st.integers(1, 30), st.sampled_from([1, 2, 4]), st.integers(1, 3), st.integers(1, 6), st.integers(0, 10**6))


def draw(shape):
    rows, parts, width, centres, seed = shape
    rng = np.random.default_rng(seed)
    kind = seed % 3  # free, tied, one row an outlier
    x = rng.standard_normal((rows, parts * width)) if kind != 1 else rng.integers(0, 2, (rows, parts * width)).astype(float)
    x[0] *= 1e3 if kind == 2 else 1
    return x, parts, centres, rng


def squared(x, y, w=1.0):
    return float((w * ((x - y) ** 2).sum(axis=1)).sum())


@given(shapes)
def test_the_nearest_centre(shape):
    x, _, n, rng = draw(shape)
    centres = np.concatenate([rng.standard_normal((n, x.shape[1])), x[:1]])
    distance = ((x[:, None] - centres) ** 2).sum(axis=2)
    assert (nearest_rows(x, centres) == distance.argmin(axis=1)).all() or (
        distance[np.arange(len(x)), nearest_rows(x, centres)] <= distance.min(axis=1) * (1 + x.shape[1] * 2.0**-51)
    ).all()


@given(shapes)
@settings(max_examples=40)
def test_rounds_never_raise_the_error(shape):
    """One round moves centres to means and rows to their nearest: what rounding adds is at most D N ulps of the error."""
    x, _, n, _ = draw(shape)
    w, last = np.arange(len(x)) % 3 + 0.5, np.inf
    for rounds in range(4):
        centres, codes = k_means_rows(x, n, np.random.default_rng(1), w, rounds)
        now = squared(x, centres[codes], w)
        assert now <= last + x.size * 2.0**-52 * (squared(x, 0 * x, w) + n)
        last = now


def test_centres_are_weighted_means_where_it_stops():
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((300, 3)), rng.random(300)
    centres, codes = k_means_rows(x, 7, rng, w, rounds=1000)
    for a in range(7):
        mine = codes == a
        assert np.abs(np.average(x[mine], axis=0, weights=w[mine]) - centres[a]).max() < 300 * 2.0**-52 * 8
    assert (codes == nearest_rows(x, centres)).all()


@given(shapes)
@settings(max_examples=30)
def test_each_part_is_a_problem_of_its_own(shape):
    x, parts, n, _ = draw(shape)
    code = product_quantize(x, parts, n, np.random.default_rng(3))
    width = x.shape[1] // parts
    rng = np.random.default_rng(3)
    for s in range(parts):
        part = slice(s * width, (s + 1) * width)
        centres, codes = k_means_rows(x[:, part], n, rng)
        assert (code.centres[s] == centres).all() and (code.codes[:, s] == codes).all()
        assert (reconstruct(code)[:, part] == centres[codes]).all()


def test_as_many_centres_as_rows_lose_nothing():
    x = np.float32([[1, 2, 3, 4], [1, 2, 0, 0], [5, 6, 3, 4]])
    for parts, n in ((1, 3), (2, 2), (4, 3)):
        assert (reconstruct(product_quantize(x, parts, n, np.random.default_rng(0))) == x).all()
    rare = np.float64([[0, 0]] * 99 + [[5, 7]])
    found = reconstruct(product_quantize(rare, 1, 2, np.random.default_rng(0), rounds=0))
    assert (found == rare).all(), "a row at distance 0 is never drawn"
    many = product_quantize(x, 2, 300, np.random.default_rng(0))
    assert many.codes.dtype == np.uint16 and (reconstruct(many) == x).all() and many.centres.dtype == np.float32


@given(shapes)
def test_look_up_is_the_inner_product(shape):
    """Both are sums of the same D products in another order: each is within gamma_D |u| |x^| of the truth."""
    x, parts, n, rng = draw(shape)
    code = product_quantize(x, parts, n, rng)
    u, y = rng.standard_normal((3, x.shape[1])), reconstruct(code)
    bound = 2 * x.shape[1] * 2.0**-53 / (1 - x.shape[1] * 2.0**-53) * (np.abs(u) @ np.abs(y).T)
    assert (np.abs(lookup_scores(u, code) - u @ y.T) <= bound).all()


@given(shapes)
@settings(max_examples=30)
def test_residuals_add_up_and_never_lose(shape):
    x, parts, n, rng = draw(shape)
    codes = residual_quantize(x, parts, n, 3, rng)
    last, total = squared(x, 0 * x), np.zeros_like(x)
    for code in codes:
        total = total + reconstruct(code)
        now = squared(x, total)
        assert now <= last + x.size * 2.0**-50 * (squared(x, 0 * x) + 1)
        last = now
    u = np.ones((1, x.shape[1]))
    assert np.abs(sum(lookup_scores(u, c) for c in codes) - u @ total.T).max() <= 1e-9 * np.abs(x).sum()


def test_parts_beat_single_columns_where_columns_go_together():
    """Columns in equal pairs: at equal bits a pair with 16 centres has what 2 columns with 4 levels each have not."""
    rng = np.random.default_rng(4)
    x = np.repeat(rng.standard_normal((500, 2)), 2, axis=1)
    paired, single = product_quantize(x, 2, 16, rng), product_quantize(x, 4, 4, rng)
    assert product_bits(paired, 0) == product_bits(single, 0) == 500 * 8
    assert squared(x, reconstruct(paired)) < squared(x, reconstruct(single)) / 4


@pytest.mark.parametrize(
    "call",
    [
        lambda r: product_quantize(np.ones((3, 4)), 3, 2, r), lambda r: product_quantize(np.ones(3), 1, 2, r),
        lambda r: k_means_rows(np.ones((0, 2)), 2, r), lambda r: k_means_rows([[np.inf]], 1, r),
        lambda r: k_means_rows([[1.0]], 0, r), lambda r: k_means_rows([[1.0]], 1, r, [-1.0]),
        lambda r: residual_quantize(np.ones((2, 2)), 1, 1, 0, r),
        lambda r: lookup_scores(np.ones((1, 3)), ProductCode(np.ones((2, 1, 1)), np.zeros((1, 2), int))),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call(np.random.default_rng(0))
