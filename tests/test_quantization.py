"""Laws of quantize, dequantize, fake_quantize and its gradient; shapes, strides, refusals, blocks, memory."""
import tracemalloc

import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import conventions, quantization
from tinycompress.conventions import Elementwise
from tinycompress.grids import Grid, asymmetric_grid, code_range, symmetric_grid
from tinycompress.quantization import (
    Quantized,
    code_values,
    dequantize,
    fake_quantize,
    fake_quantize_backward,
    nearest_codes,
    quantize,
)

finite = strategies.grids_with_values(finite=True)
ordinary = strategies.grids_with_values(finite=True, bits=range(2, 9), scales=[1.0, 0.5, 0.1, 0.3, 1e-3, 7.0])
PRESETS = [n for n in conventions.names() if isinstance(conventions.get(n), Elementwise)]


@given(finite)
def test_agrees_with_the_two_lines(drawn):
    grid, x = drawn
    with np.errstate(all="ignore"):
        s, z = np.float32(grid.scale), int(grid.zero_point)
        q = nearest_codes(x, s, z, grid.qmin, grid.qmax)
        y = code_values(q, s, np.float32(z))
    assert quantize(x, grid).tolist() == q.tolist()
    np.testing.assert_array_equal(dequantize(quantize(x, grid), grid), y)
    np.testing.assert_array_equal(fake_quantize(x, grid), y)


# ---- laws ----


@given(strategies.grids_with_values())
def test_codes_stay_in_range_and_in_the_smallest_dtype(drawn):
    grid, x = drawn
    q = quantize(x, grid)
    assert q.shape == x.shape and q.dtype == grid.dtype
    assert q.dtype.itemsize == (1 if -129 < grid.qmin and grid.qmax < 256 - 128 * (grid.qmin < 0) else 2)
    assert q.size == 0 or (grid.qmin <= q.min() and q.max() <= grid.qmax)


@given(ordinary)
def test_idempotent(drawn):
    grid, x = drawn
    y = fake_quantize(x, grid)
    np.testing.assert_array_equal(fake_quantize(y, grid), y)


@pytest.mark.parametrize("name", PRESETS)
def test_idempotent_under_every_preset_that_rounds_to_nearest(name):
    rule = conventions.get(name)
    directed = rule.rounding in ("floor", "ceil", "toward_zero")
    for zero_point in (0, 5) if name not in ("tensorrt.Quantize",) else (0,):
        grid = Grid(0.37, zero_point, -128, 127)
        x = np.random.default_rng(0).uniform(-60, 60, 200).astype(np.float32)
        y = fake_quantize(x, grid, name)
        assert directed or np.array_equal(fake_quantize(y, grid, name), y)


@given(strategies.grids_with_values())
def test_monotone(drawn):
    grid, x = drawn
    q = quantize(np.sort(x.ravel()), grid)
    assert (np.diff(q.astype(np.int64)) >= 0).all()


@pytest.mark.parametrize("name", PRESETS)
def test_monotone_under_every_preset(name):
    x = np.sort(np.random.default_rng(1).uniform(-200, 200, 500)).astype(np.float32)
    if conventions.get(name).block:  # its tail follows another rule, so only its body is monotone
        x = x[:496]
    assert (np.diff(quantize(x, Grid(0.9, 3, -128, 127), name).astype(int)) >= 0).all()


@given(strategies.scalar_grids())
def test_zero_is_exact(grid):
    x = np.float32([0.0, -0.0])
    assert quantize(x, grid).tolist() == [int(grid.zero_point)] * 2
    y = fake_quantize(x, grid)
    assert y.tolist() == [0, 0] and not np.signbit(y).any()


@pytest.mark.parametrize("name", [n for n in PRESETS if conventions.get(n).origin == "zero"])
def test_zero_is_exact_under_every_preset(name):
    assert not fake_quantize(np.float32([0.0]), Grid(0.3, 3, -128, 127), name).any()


@given(ordinary)
def test_the_error_is_half_a_step(drawn):
    """Derivation: |x / s - r| <= 1/2 + 2^-24 |x / s|, the second term from the rounded quotient; y = fl(r s) adds 2^-24 |y|;
    and the code of x lies within half a step of the range wherever (1) does not clip."""
    grid, x = drawn
    s, y = float(np.float32(grid.scale)), fake_quantize(x, grid).astype(float)
    low, high = ((q - int(grid.zero_point)) * s for q in (grid.qmin, grid.qmax))
    inside = (low - s / 2 < x) & (x < high + s / 2)
    bound = s / 2 + 2.0**-23 * np.maximum(np.abs(x), np.abs(y)).astype(float)
    assert (np.abs(y - x) <= bound)[inside].all()
    clipped = np.where(x < low, low, high)[~inside]
    assert (np.abs(y[~inside] - clipped) <= 2.0**-24 * np.abs(clipped)).all()


@given(st.integers(2, 16), strategies.tensors(min_size=1, huge=1e30))
def test_symmetric_grids_are_odd(bits, x):
    grid = symmetric_grid(x, bits)
    assert quantize(-x, grid).tolist() == (-quantize(x, grid).astype(int)).tolist()
    np.testing.assert_array_equal(fake_quantize(-x, grid), -fake_quantize(x, grid))


@given(ordinary, st.integers(-20, 20))
def test_a_power_of_two_moves_through(drawn, k):
    grid, x = drawn
    x = np.where(np.abs(x) > 1e-20, x, 0)  # else subnormals appear, and rounding depends on the scale
    x = np.clip(x, -1e20, 1e20).astype(np.float32)
    by = np.float32(2.0**k)
    scaled = Grid(np.float32(grid.scale) * by, grid.zero_point, grid.qmin, grid.qmax)
    assert quantize(x * by, scaled).tolist() == quantize(x, grid).tolist()


@given(finite, st.randoms(use_true_random=False))
def test_a_permutation_moves_through(drawn, random):
    grid, x = drawn
    order = list(range(x.size))
    random.shuffle(order)
    assert quantize(x.ravel()[order], grid).tolist() == quantize(x, grid).ravel()[order].tolist()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_answers_in_range_with_and_without_a_zero_point(name):
    rule = conventions.get(name)
    x = np.random.default_rng(2).normal(0, 40, 333).astype(np.float32)
    for grid in (Grid(1.0, 0, -128, 127), Grid(0.25, 100, 0, 255), Grid(np.float64(0.1), -3, -8, 7)):
        q = quantize(x, grid, name)
        assert rule.clamp == "none" or (grid.qmin <= q.min() and q.max() <= grid.qmax)
        assert np.isfinite(fake_quantize(x, grid, name)).all()
        assert set(fake_quantize_backward(np.ones_like(x), x, grid, name).tolist()) <= {0.0, 1.0}


# ---- shapes, strides, axes, groups ----


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("name", ["torch.quantize_per_channel", "onnxruntime.QuantizeLinear", "torch.quantize_per_tensor", None])
def test_an_axis_is_as_many_tensors(axis, name, monkeypatch):
    monkeypatch.setattr(quantization, "BLOCK", 11)  # so that blocks cut every axis
    rng = np.random.default_rng(0)
    shape = [4, 5, 6]
    n = shape[axis]
    x = rng.normal(0, 3, shape).astype(np.float32)
    scale, zero_point = rng.uniform(0.01, 1, n), rng.integers(-8, 8, n)
    grid, rule = Grid(scale, zero_point, -8, 7, axis), name or Elementwise()
    singles = [Grid(s, z, -8, 7) for s, z in zip(scale, zero_point, strict=True)]

    def along(f):
        return np.stack([f(np.take(x, i, axis), g) for i, g in enumerate(singles)], axis)

    np.testing.assert_array_equal(quantize(x, grid, rule), along(lambda v, g: quantize(v, g, rule)))
    np.testing.assert_array_equal(fake_quantize(x, grid, rule), along(lambda v, g: fake_quantize(v, g, rule)))
    np.testing.assert_array_equal(
        fake_quantize_backward(2 * x, x, grid, rule), along(lambda v, g: fake_quantize_backward(2 * v, v, g, rule))
    )
    q = quantize(x, grid, rule)
    np.testing.assert_array_equal(
        dequantize(q, grid, rule), np.stack([dequantize(np.take(q, i, axis), g, rule) for i, g in enumerate(singles)], axis)
    )


def test_groups_are_a_reshape():
    x = np.random.default_rng(0).normal(0, 1, (3, 8)).astype(np.float32)
    scale = np.abs(x).reshape(3, 2, 4).max(axis=2, keepdims=True) / np.float32(7)  # (rows, groups, 1)
    grid = Grid(scale, np.zeros(scale.shape, int), -7, 7)
    q = quantize(x.reshape(3, 2, 4), grid).reshape(3, 8)
    assert np.array_equal(quantize(np.stack([x, x]).reshape(2, 3, 2, 4), grid)[1].reshape(3, 8), q)  # one grid for all of a batch
    for r in range(3):
        for g in range(2):
            part = slice(4 * g, 4 * g + 4)
            assert q[r, part].tolist() == quantize(x[r, part], Grid(scale[r, g, 0], 0, -7, 7)).tolist()


@pytest.mark.parametrize("block", [1, 3, 7, 2**18])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (20,), (0, 5), (5, 0), (4, 5), (5, 1), (2, 3, 4), (3, 1, 17)])
def test_blocks_do_not_show(shape, block, monkeypatch):
    x = np.random.default_rng(0).normal(0, 3, shape).astype(np.float32)
    grid = Grid(0.3, 2, -8, 7)
    expected = [f(x, grid) for f in (quantize, fake_quantize)], fake_quantize_backward(x, x, grid)
    monkeypatch.setattr(quantization, "BLOCK", block)
    for got, want in zip([quantize(x, grid), fake_quantize(x, grid), fake_quantize_backward(x, x, grid)],
                         [*expected[0], expected[1]], strict=True):  # fmt: skip
        assert got.shape == shape and isinstance(got, np.ndarray)
        np.testing.assert_array_equal(got, want)


def test_strided_reversed_transposed_and_read_only_arguments():
    x = np.random.default_rng(0).normal(0, 3, (8, 6)).astype(np.float32)
    grid = Grid(np.linspace(0.1, 0.6, 6), [0] * 6, -8, 7, axis=1)
    flipped = Grid(grid.scale, grid.zero_point, -8, 7, axis=0)
    x.flags.writeable = False
    expected = quantize(x, grid)
    np.testing.assert_array_equal(quantize(x.T, flipped).T, expected)
    np.testing.assert_array_equal(quantize(np.asfortranarray(x), grid), expected)
    np.testing.assert_array_equal(quantize(x[::-2], grid), expected[::-2])
    np.testing.assert_array_equal(quantize(np.repeat(x, 2, axis=0)[::2], grid), expected)
    np.testing.assert_array_equal(fake_quantize_backward(x[::-2], x[::-2], grid), fake_quantize_backward(x, x, grid)[::-2])
    before = x.copy()
    fake_quantize(x, grid, "torch.quantize_per_tensor")
    np.testing.assert_array_equal(x, before)


def test_float64_stays_float64_and_half_precision_and_lists_are_read():
    grid = Grid(0.1, 0, -128, 127)
    x = np.array([0.05, 0.15, 0.25])  # x / s is .5, 1.4999..., 2.5 in float64, and 1.5 for the second in float32
    assert fake_quantize(x, grid).dtype == np.float64
    assert quantize(x, grid).tolist() == [0, 1, 2] and quantize(x.astype(np.float32), grid).tolist() == [0, 2, 2]
    assert quantize([0.05, 0.15, 0.25], grid).tolist() == [0, 1, 2]
    assert quantize(np.float16([0.5, 63.5]), Grid(1.0, 0, -128, 127)).tolist() == [0, 64]
    assert fake_quantize(np.float16([0.5]), grid).dtype == np.float32
    assert fake_quantize_backward(np.float16([1]), np.float16([0.5]), grid).dtype == np.float32
    assert dequantize(np.int8([1]), grid, dtype=np.float64).tolist() == [0.1]


@pytest.mark.parametrize("dtype", [int, np.int8, bool, complex, None])
def test_values_have_a_floating_dtype(dtype):
    """0.1 as an int is 0, and nobody was told; None would be the dtype of the codes."""
    found = np.empty_like(np.int8([1]), dtype).dtype
    with pytest.raises(ValueError, match=f"^dtype is {found}; .* give a floating one, as float32"):
        dequantize(np.int8([1]), Grid(0.1, 0, -128, 127), dtype=dtype)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int32, np.int64])
def test_dequantize_reads_any_integer(kind):
    grid = Grid(0.5, 3, 0, 100)
    assert dequantize(np.array([0, 3, 100], kind), grid).tolist() == [-1.5, 0, 48.5]


def test_wide_codes_subtract_exactly():
    q, grid = np.array([2**31 - 1, -(2**31), 2**24 + 1], np.int32), Grid(1.0, -5, -(2**31), 2**31 - 1)
    assert dequantize(q, grid, dtype=np.float64).tolist() == [2.0**31 + 4, -(2.0**31) + 5, 2.0**24 + 6]
    assert dequantize(q, grid, Elementwise(dequantize="difference_int32"), np.float64).tolist()[0] == -(2.0**31) + 4  # wraps


def test_wide_codes_subtract_before_they_are_rounded():
    q, grid = np.array([2**24 + 1], np.int32), Grid(1.0, 1, -(2**31), 2**31 - 1)
    for wide_or_not in (grid, Grid(1.0, 1, -128, 127)):  # codes may lie outside the range that their grid states
        assert dequantize(np.uint32(q), wide_or_not).tolist() == [2.0**24]
        assert dequantize(q, wide_or_not).tolist() == [2.0**24]  # in float32, 2^24 + 1 would be 2^24 before the difference
    assert dequantize(q, grid, Elementwise(dequantize="difference_float")).tolist() == [2.0**24 - 1]
    assert dequantize(q + 1, Grid(1.0, 2**24 + 1, 0, 2**32 - 1)).tolist() == [1]  # a zero point that float32 does not know


def test_a_vector_cast_meets_what_was_held_below_two_to_the_31():
    x, rule = np.float32([np.nan, np.inf, 3e9, -3e9, -np.inf, 7]), Elementwise(saturation="int32_below_top_first")
    assert quantize(x, Grid(1.0, 5, 0, 255), rule).tolist() == [255, 255, 255, 0, 0, 12]
    for wide_or_not in (x, x.astype(np.float64)):
        assert quantize(wide_or_not, Grid(1.0, 128, 0, 255), rule).tolist() == [0, 0, 0, 0, 0, 135]  # 2147483520 + 128 wraps
        assert quantize(wide_or_not, Grid(1.0, 127, 0, 255), rule).tolist() == [255, 255, 255, 0, 0, 134]  # + 127 does not
    assert quantize(x, Grid(1.0, -5, -128, 127), rule).tolist() == [127, 127, 127, 127, 127, 2]  # -2^31 - 5 wraps


def test_one_number_beyond_int32_is_enough_to_wrap_and_moves_no_other():
    rule = Elementwise(saturation="int32_first")
    for x, z, q in (([3e9, -100], 0, [-128, -100]), ([-3e9, 7], -5, [127, 2]), ([3e9, 7], -5, [127, 2])):
        assert quantize(np.float32(x), Grid(1.0, z, -128, 127), rule).tolist() == q
    inside = Elementwise(saturation="int32_first", zero_point="inside")  # nothing is added behind the cast: nothing wraps
    assert quantize(np.float32([3e9, 2**31, -3e9, 7]), Grid(1.0, 0, -128, 127), inside).tolist() == [-128, -128, -128, 7]


def test_a_float64_quotient_decides_ties_that_float32_makes():
    s, half = np.float32(0.1), np.arange(200) + 0.5
    x = np.float32(half * float(s))
    exact, rounded_first = np.rint(x.astype(np.float64) / np.float64(s)), np.rint(x / s)
    assert (exact != rounded_first).any()
    grid = Grid(s, 0, 0, 255)
    assert np.array_equal(quantize(x, grid, Elementwise(scaling="divide_float64")), exact)
    assert np.array_equal(quantize(x, grid, Elementwise(scaling="divide")), rounded_first)


def test_int64_holds_up_to_two_to_the_63():
    x = np.float32([2.0**62, 9.2e18, 2.0**63, -(2.0**63), -9.3e18])
    y = fake_quantize(x, Grid(1.0, 0, -128, 127), Elementwise(saturation="int64_first"))
    assert y.tolist() == [127, 127, -128, -128, -128]


def test_wide_zero_points_are_added_exactly():
    """2^24 + 1 is the first integer that float32 skips."""
    grid = Grid(1.0, 2**24 + 1, -(2**31), 2**31 - 1)
    for name in (Elementwise(), "onnxruntime.QuantizeLinear", "onnx.reference.QuantizeLinear"):
        assert quantize(np.float32([0, 2, -4]), grid, name).tolist() == [2**24 + 1, 2**24 + 3, 2**24 - 3]


def test_a_fractional_zero_point_keeps_its_fraction_and_the_product_is_rounded_once():
    rng = np.random.default_rng(0)
    s, z, x = np.float32(rng.uniform(0.1, 1, 200)), np.float32(rng.uniform(0, 255, 200)), np.float32(rng.normal(0, 60, (200, 5)))
    y = fake_quantize(x, Grid(s, z, 0, 255, axis=0), "torch.fake_quantize_per_channel_affine")
    wide_s, wide_z = s.astype(float)[:, None], z.astype(float)[:, None]
    codes = np.rint(y / wide_s + wide_z)
    assert np.array_equal(((codes - wide_z) * wide_s).astype(np.float32), y)
    assert not np.array_equal((codes.astype(np.float32) - z[:, None]) * s[:, None], y)


# ---- what no code can hold ----


def test_infinities_saturate_and_nan_is_refused():
    grid = Grid(1.0, 5, -128, 127)
    assert quantize(np.float32([np.inf, -np.inf, 3e38, -3e38]), grid).tolist() == [127, -128, 127, -128]
    for f in (quantize, fake_quantize):
        with pytest.raises(ValueError, match="NaN"):
            f(np.float32([0, np.nan]), grid)


@pytest.mark.parametrize(
    ("policy", "code"), [("qmin", -128), ("qmax", 127), ("zero", 0), ("zero_point", 5), ("cast", 0)]
)
def test_nan_by_policy(policy, code):
    grid, rule = Grid(1.0, 5, -128, 127), Elementwise(nan=policy)
    assert quantize(np.float32([1, np.nan]), grid, rule).tolist() == [6, code]
    assert fake_quantize(np.float32([1, np.nan]), grid, rule).tolist() == [1, code - 5]


def test_nan_may_stay_nan_in_floats_only():
    grid, rule = Grid(1.0, 5, -128, 127), Elementwise(nan="keep")
    assert np.isnan(fake_quantize(np.float32([np.nan]), grid, rule)).all()
    with pytest.raises(ValueError, match="NaN"):
        quantize(np.float32([np.nan]), grid, rule)


def test_the_gradient_stops_at_nan_and_infinity_and_a_masked_infinity_stays_out():
    x, dy = np.float32([np.nan, np.inf, -np.inf, 1]), np.float32([1, np.inf, np.nan, 2])
    assert fake_quantize_backward(dy, x, Grid(1.0, 0, -8, 7)).tolist() == [0, 0, 0, 2]


@pytest.mark.parametrize(
    ("mask", "passed"),
    # x            -8.6   -8.5   -8.4   -8.0    7.0    7.4    7.5    7.6
    [("rounded", [False, True, True, True, True, True, False, False]),
     ("unrounded", [False, False, False, True, True, False, False, False]),
     ("amax", [False, False, False, False, True, False, False, False]),
     ("range", [False, False, False, True, True, False, False, False]),
     ("all", [True] * 8)],
)  # fmt: skip
def test_masks_at_their_edges(mask, passed):
    x = np.float32([-8.6, -8.5, -8.4, -8.0, 7.0, 7.4, 7.5, 7.6])
    dx = fake_quantize_backward(np.ones_like(x), x, Grid(1.0, 0, -8, 7), Elementwise(mask=mask))
    assert (dx != 0).tolist() == passed
    shifted = fake_quantize_backward(np.ones_like(x), x, Grid(1.0, 8, 0, 15), Elementwise(mask=mask))
    assert mask == "amax" or (shifted != 0).tolist() == passed
    halved = fake_quantize_backward(np.ones_like(x), x / 2, Grid(0.5, 0, -8, 7), Elementwise(mask=mask))
    assert (halved != 0).tolist() == passed
    for clamp in ("before_rounding", "input", "none"):  # clipping first must not hide what was clipped
        dx = fake_quantize_backward(np.ones_like(x), x, Grid(1.0, 0, -8, 7), Elementwise(mask=mask, clamp=clamp))
        assert (dx != 0).tolist() == passed


def test_a_range_stated_in_float64_ends_where_it_says():
    """0.7 (7 - 0.5) rounds to float32 as 4.55; the product of 0.7 rounded first is one float32 below, and would shut 4.55 out."""
    end = np.float32(4.55)
    assert np.float32(6.5 * 0.7) == end > np.float32(6.5 * float(np.float32(0.7)))
    rule = Elementwise(zero_point="inside", mask="range")
    assert fake_quantize_backward([end], [end], Grid(0.7, 0.5, -8, 7), rule).tolist() == [end]


def test_a_whole_zero_point_waits_where_a_fractional_one_is_fused():
    """Ties go to even before an odd zero point is added; fused in, it would turn 0.5 into 1.5, and that into 2."""
    grid = Grid(np.float32([1.0]), np.array([1]), -8, 7, axis=0)
    assert quantize(np.float32([0.5, 1.5]), grid, "torch.fake_quantize_per_channel_affine").tolist() == [1, 3]


def test_a_scale_of_zero_is_what_the_arithmetic_says_where_a_grid_allows_it():
    grid = Grid(0.0, 5, 0, 255, unchecked=True)
    assert quantize(np.float32([0, 1, -1]), grid, "onnxruntime.QuantizeLinear").tolist() == [0, 255, 0]
    with pytest.raises(ValueError, match="NaN"):
        quantize(np.float32([0]), grid)
    assert quantize(np.float32([1, -1]), grid, Elementwise(mask="range")).tolist() == [255, 0]
    # a range without width, clipped first: every x becomes its one value
    assert quantize(np.float32([0, 1, -1]), grid, Elementwise(clamp="input")).tolist() == [5, 5, 5]


def test_a_negative_scale_is_legal_where_a_grid_allows_it():
    grid = Grid(-0.25, 0, -8, 7, unchecked=True)
    assert quantize(np.float32([-1, 2, 0.375]), grid).tolist() == [4, -8, -2]


# ---- particular axes of a convention ----


def test_stochastic_rounding_needs_a_generator_and_a_mask_that_repeats():
    x, grid, rule = np.full(4000, 0.3, np.float32), Grid(1.0, 1, -8, 7), Elementwise(rounding="stochastic", mask="unrounded")
    q = quantize(x, grid, rule, rng=np.random.default_rng(0))
    assert set(q.tolist()) == {1, 2} and abs(q.mean() - 1.3) < 5 * (0.21 / 4000) ** 0.5  # 5 standard deviations of the mean
    assert fake_quantize_backward(x, x, grid, rule).tolist() == x.tolist()
    with pytest.raises(ValueError, match="rng"):
        quantize(x, grid, rule)
    with pytest.raises(ValueError, match="unrounded"):
        fake_quantize_backward(x, x, grid, Elementwise(rounding="stochastic"))


def test_the_sign_of_zero_where_codes_are_floats():
    x, grid = np.float32([-0.3, 0.3]), Grid(1.0, 0, -8, 7)
    for order in ("after", "inside"):
        kept = fake_quantize(x, grid, Elementwise(zero_sign="kept", zero_point=order))
        assert np.signbit(kept).tolist() == [True, False]
        assert not np.signbit(fake_quantize(x, grid, Elementwise(zero_point=order))).any()
    assert not np.signbit(fake_quantize(x, Grid(1.0, 3, -8, 7), Elementwise(zero_sign="kept"))).any()
    for way in ("parts", "fma", "difference_float", "difference_int32", "from_range_start"):
        assert not np.signbit(fake_quantize(x, grid, Elementwise(dequantize=way))).any()


def test_without_a_clamp_codes_pass_the_range():
    x, grid, rule = np.float32([300, -1e30]), Grid(1.0, 0, -128, 127), Elementwise(clamp="none")
    assert quantize(x, grid, rule).tolist() == [300, -(2**31)]
    assert quantize(np.float32([3e9]), grid, rule).tolist() == [2**31 - 1]  # the ends of int32, where codes end
    assert fake_quantize(np.float64([3e9]), grid, rule).tolist() == [2**31 - 1]
    assert quantize(np.float32([np.nan, 300]), grid, Elementwise(clamp="none", nan="zero")).tolist() == [0, 300]
    assert fake_quantize(x, grid, rule).tolist() == [300, -(2.0**31)]
    assert fake_quantize(x, grid, Elementwise(clamp="none", nan="keep")).tolist() == x.tolist()


def test_another_kernel_serves_wide_codes():
    x = np.float32([0.5, 1.5, 2.5])
    assert quantize(x, Grid(1.0, 0, -128, 127), "litert.xnnpack.QUANTIZE").tolist() == [0, 2, 2]
    for grid in (Grid(1.0, 0, -32768, 32767), Grid(1.0, 0, 0, 256)):  # 256 is one code more than 8 bits can tell apart
        assert quantize(x, grid, "litert.xnnpack.QUANTIZE").tolist() == [1, 2, 3]


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 35])
def test_a_tail_follows_its_own_rule(n):
    x, grid = np.full(n, 2.5, np.float32), Grid(1.0, 0, -128, 127)
    body = n - n % 8
    assert quantize(x, grid, "litert.builtin.QUANTIZE").tolist() == [2] * body + [3] * (n - body)
    if n:
        with pytest.raises(ValueError, match="one scale"):
            quantize(x, Grid([1.0] * n, [0] * n, -128, 127, axis=0), "litert.builtin.QUANTIZE")


def test_no_preset_wraps_but_those_that_say_so():
    x = np.float32([3e9, -3e9, 1e30, -1e30, np.inf, -np.inf])
    for name in PRESETS:
        rule = conventions.get(name)
        if rule.saturation == "saturate" and rule.clamp != "none":
            q = quantize(x, Grid(1.0, -5, -128, 127), name)
            assert q.tolist() == [127, -128] * 3, name


# ---- refusals ----


def test_refusals_name_both_values_and_the_remedy():
    x, grid = np.ones((2, 3), np.float32), Grid([1.0] * 4, [0] * 4, -8, 7, axis=1)
    with pytest.raises(ValueError, match=r"\(1, 4\).*\(2, 3\)"):
        quantize(x, grid)
    with pytest.raises(ValueError, match="2 dimensions"):
        quantize(x, Grid([1.0] * 4, [0] * 4, -8, 7, axis=2))
    for z in (2.5, np.float64([1.0, 2.5, 3.0])):
        with pytest.raises(ValueError, match="fractional"):
            quantize(x, Grid(np.ones(np.shape(z)), z, -8, 7, axis=1 if np.ndim(z) else None))
    with pytest.raises(ValueError, match="integers"):
        dequantize(x, Grid(1.0, 0, -8, 7))
    with pytest.raises(ValueError, match="shape"):
        fake_quantize_backward(x[0], x, Grid(1.0, 0, -8, 7))
    with pytest.raises(ValueError, match="its own x"):  # one x for three gradients would broadcast
        fake_quantize_backward(np.ones(3, np.float32), np.float32([1]), Grid(1.0, 0, -8, 7))
    with pytest.raises(ValueError, match="Elementwise"):
        quantize(x, Grid(1.0, 0, -8, 7), conventions.LearnedScale())
    with pytest.raises(ValueError, match="nearest"):
        quantize(x, Grid(1.0, 0, -8, 7), "torch.quantise_per_tensor")
    with pytest.raises(ValueError, match="reciprocal"):
        Elementwise(zero_point="inside_fma")
    with pytest.raises(ValueError, match="use one of"):
        Elementwise(rounding="nearest")


def test_quantized_checks_its_codes():
    grid = Grid(0.5, 0, -8, 7)
    assert Quantized(np.int8([-8, 7]), grid, 4).bits == Quantized(np.uint8([0, 15]), Grid(0.5, 8, 0, 15), 4).bits == 4
    with pytest.raises(ValueError, match="integers"):
        Quantized(np.float32([1]), grid, 4)
    with pytest.raises(ValueError, match="do not fit 3 bits"):
        Quantized(np.int8([1]), grid, 3)
    with pytest.raises(ValueError, match="do not fit 4 bits"):
        Quantized(np.int8([1]), Grid(0.5, 0, -8, 8), 4)  # one code more than 4 bits can tell apart


# ---- memory ----


@pytest.mark.parametrize(
    "name", [None, "torch.quantize_per_tensor", "litert.reference.QUANTIZE", "onnx.reference.QuantizeLinear"]
)
def test_memory_is_the_answer_and_a_few_blocks(name):
    """The required bound: input + output + 16 MiB. NumPy reports its buffers to tracemalloc, so the peak is exact."""
    x, grid, rule = np.zeros(10**7, np.float32), Grid(0.1, 3, -128, 127), name or Elementwise()
    x[::1000] = 1e3
    tracemalloc.start()
    try:
        for f, output in ((quantize, x.size), (fake_quantize, 4 * x.size)):
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            f(x, grid, rule)
            assert tracemalloc.get_traced_memory()[1] - before <= output + 16 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "rule",
    [Elementwise(), Elementwise(zero_point="inside"), Elementwise(zero_point="inside", mask="unrounded")],
    ids=["after", "inside", "unrounded"],
)
def test_the_default_operations_share_one_block(rule):
    """Beside the answer 1 MiB of work, clipping included; the mask of a gradient is three blocks of booleans more."""
    x, grid = np.zeros(10**6, np.float32), Grid(0.1, 3, -128, 127)
    x[::1000] = 1e3
    calls = ((quantize, (x,), x.size, 0), (fake_quantize, (x,), 4 * x.size, 0), (fake_quantize_backward, (x, x), 4 * x.size, 3))
    tracemalloc.start()
    try:
        for f, arrays, output, masks in calls:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            f(*arrays, grid, rule)
            assert tracemalloc.get_traced_memory()[1] - before <= output + 2**20 + masks * 2**18 + 2**16, f.__name__
    finally:
        tracemalloc.stop()


def test_asymmetric_codes_of_real_shapes_round_trip():
    x = np.random.default_rng(0).normal(1, 2, (50, 8)).astype(np.float32)
    grid = asymmetric_grid(x, 8, axis=0)
    y = dequantize(quantize(x, grid), grid)
    np.testing.assert_array_equal(y, fake_quantize(x, grid))
    # half a step, the ulps of quotient and product, and (asymmetric_grid) at most 2^-21 of the range beyond an end
    assert (np.abs(y - x) <= grid.scale[:, None] * (0.5 + 255 * 2.0**-21) + np.spacing(np.abs(x).max())).all()


@given(st.integers(2, 16), st.booleans(), st.integers(-24, 4), st.floats(1, 2, width=16), st.data())
def test_half_precision_is_one_rounding_of_the_exact_value(bits, signed, exponent, factor, data):
    """(q - z) s has 17 + 11 bits at the most, exact in float64; float16 itself counts to 2^11 only."""
    qmin, qmax = code_range(bits, signed)
    z = data.draw(st.integers(qmin, qmax))
    q = np.array(data.draw(st.lists(st.integers(qmin, qmax), min_size=1, max_size=20)), np.int32)
    with np.errstate(over="ignore", under="ignore"):
        s = np.float16(np.ldexp(factor, exponent))
        wanted = ((q.astype(np.float64) - z) * np.float64(s)).astype(np.float16)
    assert dequantize(q, Grid(np.float32(s), z, qmin, qmax), dtype=np.float16).tobytes() == (wanted + np.float16(0)).tobytes()


def test_a_zero_point_far_below_is_exact_too():
    """float32 counts to 2^24; these codes reach further on one side only."""
    low = -(2**25)
    assert dequantize(np.int32([low + 2, low]), Grid(1.0, low + 1, low, 0)).tolist() == [1, -1]
