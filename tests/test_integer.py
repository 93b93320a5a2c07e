"""Exact integer products, layers, dynamic quantization and whole networks, against big integers in pure Python."""

import tracemalloc
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.conventions import Addition, DynamicLinear, Requantization
from tinycompress.dynamic import dynamic_linear, dynamic_quantize
from tinycompress.grids import Grid, asymmetric_grid
from tinycompress.integer import integer_matmul, to_int32
from tinycompress.integer_layers import change_grid, quantize_bias, quantized_add, quantized_linear, quantized_mul
from tinycompress.integer_network import build_network, code_bound, run_fake_quantized, run_integers
from tinycompress.quantization import dequantize, quantize

EIGHT = (np.int8, np.uint8)
LIMITS = {(np.int8, np.int8): 1024, (np.int8, np.uint8): 514, (np.uint8, np.int8): 514, (np.uint8, np.uint8): 258}


def codes(rng, dtype, shape):
    """Random codes, half of them at the ends of the dtype: the largest products there are."""
    info = np.iinfo(dtype)
    free = rng.integers(info.min, info.max + 1, shape)
    return np.where(rng.random(shape) < 0.5, rng.choice([info.min, info.max], shape), free).astype(dtype)


@given(
    st.sampled_from(EIGHT), st.sampled_from(EIGHT), st.sampled_from([-1, 0, 1, 7]), st.integers(1, 2), st.integers(0, 2**32 - 1)
)
def test_products_around_the_limits_are_exact(a_type, b_type, beside, times, seed):
    rng = np.random.default_rng(seed)
    K = LIMITS[a_type, b_type] * times + beside
    a, b = codes(rng, a_type, (2, K)), codes(rng, b_type, (K, 2))
    z_a, z_b = int(rng.choice(a[0])), int(rng.choice(b[:, 0]))
    want = oracle.matmul(a.tolist(), b.tolist(), z_a, z_b)
    assert integer_matmul(a, b, z_a, z_b).tolist() == want and integer_matmul(a, b).tolist() == oracle.matmul(
        a.tolist(), b.tolist()
    )


@pytest.mark.parametrize("a_type, b_type", LIMITS)
def test_the_limits_are_the_derived_ones(a_type, b_type):
    """At the limit the largest sum is at most 2^24, the last integer before float32 has gaps; one term more passes it."""
    largest = max(-int(np.iinfo(a_type).min), np.iinfo(a_type).max) * max(-int(np.iinfo(b_type).min), np.iinfo(b_type).max)
    assert LIMITS[a_type, b_type] == 2**24 // largest
    assert LIMITS[a_type, b_type] * largest <= 2**24 < (LIMITS[a_type, b_type] + 1) * largest


def peak(f, *arguments):
    """The answer, and the bytes that NumPy allocated for it at most at one time."""
    tracemalloc.start()
    try:
        return f(*arguments), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_sums_are_32_bits_wide_as_long_as_all_terms_fit():
    """Eight products of at most 128 (128 + 2,097,023) are 2^31 - 2^10; a zero point further they may be 2^31."""
    a, b = np.full((1000, 8), -128, np.int8), np.full((8, 1000), -128, np.int8)
    y, used = peak(integer_matmul, a, b, 0, 2_097_023)
    assert (y == 2**31 - 2**10).all() and y.dtype == np.int32
    assert used <= 1.05 * (4 + 4) * y.size  # float32 products beside their int32 copy
    assert (integer_matmul(a, b, 0, 2_097_024, "saturate") == 2**31 - 1).all()
    with pytest.raises(ValueError, match=str(2**31)):
        integer_matmul(a, b, 0, 2_097_024)


def test_long_products_take_the_memory_of_a_block():
    a = np.full((4, 2**20), -1, np.int8)
    y, used = peak(integer_matmul, a, a.T)
    assert (y == 2**20).all() and used <= 2**20  # a copy of the codes alone would be four times this


def test_beyond_the_limit_one_float32_product_is_wrong():
    """What the blocks are for: 1,025 products of -128 by -128 and one of 1 by 1."""
    a = np.full((1, 1026), -128, np.int8)
    a[0, -1] = 1
    exact = 1025 * 2**14 + 1
    assert int((a.astype(np.float32) @ a.T.astype(np.float32))[0, 0]) != exact
    assert int(integer_matmul(a, a.T)[0, 0]) == exact


def test_beyond_the_limit_one_float64_product_is_wrong():
    """2^23 products of -2^15 by -2^15 are 2^53, after which float64 skips the odd numbers; and one product of 1 by 1."""
    a = np.full((1, 2**23 + 1), -(2**15), np.int16)
    a[0, -1] = 1
    assert integer_matmul(a, a.T, overflow="wrap").tolist() == [[1]]


@pytest.mark.parametrize("K", [0, 1, 300, 5000])
@pytest.mark.parametrize("a_type, b_type", [(np.int16, np.int8), (np.uint8, np.uint16), (np.int16, np.int16)])
def test_sixteen_bits(a_type, b_type, K):
    rng = np.random.default_rng(K)
    a, b = codes(rng, a_type, (2, K)), codes(rng, b_type, (K, 3))
    want = np.array(oracle.matmul(a.tolist(), b.T.tolist() and [list(r) for r in b.tolist()], 5, -3), object).reshape(2, -1)
    if K == 0:
        assert integer_matmul(a, b, 5, -3).tolist() == [[0] * 3] * 2
        return
    wrapped = [[oracle.wrap32(int(v)) for v in row] for row in want]
    assert integer_matmul(a, b, 5, -3, overflow="wrap").tolist() == wrapped
    clipped = [[min(max(int(v), -(2**31)), 2**31 - 1) for v in row] for row in want]
    assert integer_matmul(a, b, 5, -3, overflow="saturate").tolist() == clipped


def test_zero_points_per_row_and_column():
    rng = np.random.default_rng(0)
    a, b = codes(rng, np.uint8, (3, 40)), codes(rng, np.int8, (40, 5))
    z_a, z_b = rng.integers(0, 256, 3), rng.integers(-128, 128, 5)
    want = (a.astype(int) - z_a[:, None]) @ (b.astype(int) - z_b)
    assert np.array_equal(integer_matmul(a, b, z_a, z_b), want)
    assert np.array_equal(integer_matmul(a, b, [0, 7, 0]), (a.astype(int) - [[0], [7], [0]]) @ b.astype(int))
    batch = np.stack([a, a[::-1]])
    assert np.array_equal(integer_matmul(batch, b, 7, z_b)[1], integer_matmul(a[::-1], b, 7, z_b))
    each = integer_matmul(batch, b, np.stack([z_a, z_b[:3]]), z_b)
    assert np.array_equal(each[0], want) and np.array_equal(each[1], integer_matmul(a[::-1], b, z_b[:3], z_b))
    assert np.array_equal(integer_matmul(a[0], b, 3, z_b), integer_matmul(a[:1], b, 3, z_b)[0])


def test_sums_that_int32_cannot_hold():
    a = np.full((1, 40_000), 255, np.uint8)
    exact = 255 * 255 * 40_000
    with pytest.raises(ValueError, match=str(exact)):
        integer_matmul(a, a.T)
    assert (
        integer_matmul(a, a.T, overflow="wrap")[0, 0] == exact - 2**32
        and integer_matmul(a, a.T, overflow="saturate")[0, 0] == 2**31 - 1
    )
    assert to_int32([-(2**31), 2**31 - 1]).tolist() == [-(2**31), 2**31 - 1]
    for beyond in (-(2**31) - 1, 2**31):
        with pytest.raises(ValueError, match=str(beyond)):
            to_int32([beyond])
    with pytest.raises(ValueError, match=str(-(2**31) - 1)):
        to_int32([-(2**31) - 1, 0])
    with pytest.raises(ValueError, match="'clip'"):
        to_int32([1], "clip")
    assert to_int32(np.uint32([2**32 - 1]), "saturate").tolist() == [2**31 - 1]
    assert to_int32(np.float64([2.0**32 + 5, -(2.0**31) - 1]), "wrap").tolist() == [5, 2**31 - 1]  # whole, from a float product
    huge = integer_matmul([[1]], [[1]], a_zero=2**20, b_zero=2**20, overflow="saturate")
    assert huge.tolist() == [[2**31 - 1]]
    lowest = np.full((1, 2**17), -128, np.int8)  # the sum is 2^31 itself, one more than int32 holds
    assert integer_matmul(lowest, lowest.T, overflow="saturate").tolist() == [[2**31 - 1]]
    # each sum of (2) fits, their difference does not; and |-128| is no int8
    raised = integer_matmul(a, np.full((40_000, 1), 127, np.int8), b_zero=np.int8([-128]), overflow="saturate")
    assert raised.tolist() == [[2**31 - 1]]
    assert integer_matmul(np.full((1, 40_000), 127, np.int8), a.T, np.int8([-128]), 0, "saturate").tolist() == [[2**31 - 1]]


def test_shapes_strides_and_what_is_left_alone():
    rng = np.random.default_rng(1)
    a, b = codes(rng, np.int8, (6, 8)), codes(rng, np.int8, (8, 10))
    a.flags.writeable = b.flags.writeable = False
    before = a.copy(), b.copy()
    assert np.array_equal(
        integer_matmul(a[::2, ::-1], b[:, ::3], 1, 2), (a[::2, ::-1].astype(int) - 1) @ (b[:, ::3].astype(int) - 2)
    )
    assert np.array_equal(integer_matmul(b.T, a.T, 1, 2), ((a.astype(int) - 2) @ (b.astype(int) - 1)).T)
    assert np.array_equal(a, before[0]) and np.array_equal(b, before[1])
    for shape in ((0, 8), (0, 0)):
        assert integer_matmul(np.zeros(shape, np.int8), np.zeros((shape[1], 2), np.int8), 1, 1).shape == (shape[0], 2)
    assert integer_matmul(a, np.zeros((8, 0), np.int8)).shape == (6, 0)
    assert integer_matmul(np.zeros((2, 0), np.int64), np.zeros((0, 1), np.int64)).tolist() == [[0], [0]]
    assert integer_matmul([[-(2**15)]], [[2**15 - 1]]).tolist() == [[-(2**30) + 2**15]]  # wide arrays, codes of 16 bits
    assert integer_matmul([[2**16 - 1]], [[-128]]).tolist() == [[-(2**23) + 128]]
    assert (
        integer_matmul(a, b).dtype == np.int32
        and integer_matmul(a.tolist(), b.tolist()).tolist() == integer_matmul(a, b).tolist()
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([[1.0]], [[1]]), "^a is float64"),
        (([[1]], [[1.0]]), "^b is float64"),
        ((1, [[1]]), r"a has shape \(\)"),
        (([[True]], [[1]]), "bool"),
        (([[2**17]], [[1]]), "131072"),
        (([[-1, 2**15]], [[1], [1]]), "32768"),
        (([[1, 2]], [[1]]), r"\(1, 2\)"),
        (([[1]], [1]), r"\(1,\)"),
        (([[1]], [[1]], [0, 0]), "zero points"),
        (([[1]], [[1]], 0, [0, 0]), "zero points"),
        (([[1]], [[1]], 0.5), r"^a_zero is \[0.5\]"),
        (([[1]], [[1]], 0, [2.5]), r"^b_zero is \[2.5\]"),
        (([[1]], [[1]], 0, 0, "clip"), "overflow"),
    ],
)
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        integer_matmul(*arguments)


# ---- layers ----


def one(scale, zero_point=0, low=0, high=255, axis=None):
    return Grid(np.float32(scale), zero_point, low, high, axis)


def test_a_layer_is_its_formula():
    rng = np.random.default_rng(2)
    x, w = codes(rng, np.uint8, (4, 9)), codes(rng, np.int8, (9, 3))
    s_w, bias = np.float32([0.02, 0.03, 0.005]), np.float32([0.7, -1.3, 0.0])
    x_grid, y_grid = one(0.1, 17), one(0.21, 100)
    w_grid = Grid(s_w, np.array([0, 3, -2]), -128, 127, 1)
    got = quantized_linear(x, x_grid, w, w_grid, bias, y_grid)
    for i, o in np.ndindex(4, 3):
        acc = sum((int(x[i, k]) - 17) * (int(w[k, o]) - [0, 3, -2][o]) for k in range(9))
        step = Fraction(float(np.float32(0.1))) * Fraction(float(s_w[o]))
        acc += oracle.half_even(oracle.double(Fraction(float(bias[o])) / oracle.double(step)))
        m = oracle.to_float(oracle.to_float(step) / Fraction(float(np.float32(0.21))))
        assert got[i, o] == oracle.requantize(acc, m, 100, 0, 255, Requantization())


@given(st.integers(0, 2**32 - 1))
def test_a_layer_is_within_its_bound(seed):
    rng = np.random.default_rng(seed)
    x, w, bias = codes(rng, np.uint8, (3, 20)), codes(rng, np.int8, (20, 4)), rng.normal(size=4).astype(np.float32)
    s_x, s_w, s_y = np.float32(rng.uniform(0.01, 0.1, 3))
    grids = one(s_x, int(rng.integers(0, 256))), one(s_w, 0, -128, 127), one(s_y * 20, 128)
    q = quantized_linear(x, grids[0], w, grids[1], bias, grids[2]).astype(float) - 128
    y = ((x - grids[0].zero_point) * np.float64(s_x)) @ (w * np.float64(s_w)) + bias
    v = y / np.float64(s_y * 20)
    m = float(s_x) * float(s_w) / float(s_y * 20)
    free = (q > -128) & (q < 127)
    assert (np.abs(q - v) <= 0.5 + m / 2 + 2.0**-22 * np.abs(v) + 1e-12)[free].all()


def test_bias_rules_part_where_the_measured_libraries_do():
    x, w, bias = np.uint8([[1, 3, 5]]), np.int8([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]), np.float32([0.5, 0.5, 0.25, -0.5])
    answers = {"fbgemm": [1, 2, 3, 4], "onednn": [1, 2, 3, 4], "qnnpack": [0, 2, 2, 4]}
    for name, y in answers.items():
        assert quantized_linear(x, one(1), w, one(1, 0, -128, 127), bias, one(2), name + ".linear").tolist() == [y]


def test_integer_biases_are_added_to_the_sums():
    x, w = np.uint8([[10, 20]]), np.int8([[1, 2], [3, 4]])
    grids = one(0.5), one(0.25, 0, -128, 127), one(1.0)
    assert np.array_equal(
        quantized_linear(x, grids[0], w, grids[1], np.int32([8, -8]), grids[2]),
        quantized_linear(x, grids[0], w, grids[1], [1.0, -1.0], grids[2]),
    )
    with pytest.raises(ValueError, match="int32"):
        quantized_linear(x, grids[0], w, grids[1], np.int64([2**31 - 1, 0]), grids[2])
    assert quantize_bias([1e30, -1e30], 1.0, 1.0).tolist() == [2**31 - 1, -(2**31)]
    with pytest.raises(ValueError, match="float"):
        quantize_bias([1.0], 1.0, 1.0, "fbgemm.linear")


def test_grids_that_do_not_fit_a_layer():
    x, w = np.uint8([[1, 2]]), np.int8([[1, 2], [3, 4]])
    rows = Grid(np.ones(2, np.float32), np.zeros(2, int), -128, 127, 0)
    with pytest.raises(ValueError, match="axis"):
        quantized_linear(x, one(1), w, rows, None, one(1))


def test_change_of_grid_product_and_sum_are_their_formulas():
    a = np.arange(-128, 128).astype(np.int8)
    b, grids = a[::-1].copy(), [Grid(np.float32(s), z, -128, 127) for s, z in ((0.3, -5), (0.07, 9), (0.11, 3))]
    s_a, s_b, s_y = (Fraction(float(g.scale)) for g in grids)
    fl = oracle.to_float
    moved, product, total = (
        change_grid(a, grids[0], grids[2]),
        quantized_mul(a, *grids[:1], b, *grids[1:]),
        quantized_add(a, grids[0], b, *grids[1:]),
    )
    for k, (p, r) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        assert moved[k] == oracle.requantize(p + 5, fl(s_a / s_y), 3, -128, 127, Requantization())
        assert product[k] == oracle.requantize((p + 5) * (r - 9), fl(fl(s_a * s_b) / s_y), 3, -128, 127, Requantization())
        v = fl(fl((p + 5) * fl(s_a / s_y)) + fl((r - 9) * fl(s_b / s_y)))
        assert total[k] == min(max(oracle.half_even(v) + 3, -128), 127)


def test_fixed_point_sums_are_their_formulas():
    rng = np.random.default_rng(3)
    a, b = codes(rng, np.int8, 300), codes(rng, np.int8, 300)
    grids = [Grid(np.float32(s), z, -128, 127) for s, z in ((0.13, -5), (0.07, 9), (0.11, 3))]
    s_a, s_b, s_y = (Fraction(float(g.scale)) for g in grids)
    largest, once = 2 * max(s_a, s_b), Requantization(scales="float64", arithmetic="fixed_double", rounding="half_away")
    fixed, shared = (
        quantized_add(a, grids[0], b, *grids[1:], "litert.reference.ADD"),
        quantized_add(a, grids[0], b, *grids[1:], "litert.xnnpack.ADD"),
    )
    for k in range(300):
        p, r = int(a[k]) + 5, int(b[k]) - 9
        terms = [
            oracle.requantize(q << 20, oracle.double(s / largest), 0, -(2**31), 2**31, once) for q, s in ((p, s_a), (r, s_b))
        ]
        assert fixed[k] == oracle.requantize(sum(terms), oracle.double(largest / (2**20 * s_y)), 3, -128, 127, once)
        ratios = [oracle.to_float(s / s_y) for s in (s_a, s_b)]
        shift = next(n for n in range(60) if max(ratios) * 2**n >= 2**20)
        value = p * oracle.half_even(ratios[0] * 2**shift) + r * oracle.half_even(ratios[1] * 2**shift)
        assert shared[k] == min(max(oracle.half_up(Fraction(value, 2**shift)) + 3, -128), 127)


def test_sums_of_vector_kernels_are_their_formulas():
    """Two whole blocks of 64 and two entries left over, which torch rounds otherwise."""
    rng, fl = np.random.default_rng(5), oracle.to_float
    a, b = codes(rng, np.uint8, 130), codes(rng, np.uint8, 130)
    grids = [Grid(np.float32(s), z, 0, 255) for s, z in ((0.13, 7), (0.07, 201), (0.19, 128))]
    s_a, s_b, s_y = (Fraction(float(g.scale)) for g in grids)
    fused = quantized_add(a, grids[0], b, *grids[1:], "onnxruntime.QLinearAdd")
    torch = quantized_add(a, grids[0], b, *grids[1:], "torch.quantized.add")
    r_a, r_b = fl(s_a / s_y), fl(s_b / s_y)
    constant = fl(128 - fl(r_a * 7 + fl(r_b * 201)))
    for k, (p, r) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        assert fused[k] == min(max(oracle.half_even(fl(p * r_a + fl(r * r_b + constant))), 0), 255)
        if k < 128:
            v = fl(fl(fl(p * s_a - fl(s_a * 7)) + fl(r * s_b - fl(s_b * 201))) * fl(1 / s_y))
            q = oracle.half_even(v) + 128
        else:
            q = oracle.half_even(fl(fl(fl(fl((p - 7) * s_a) + fl((r - 201) * s_b)) * fl(1 / s_y)) + 128))
        assert torch[k] == min(max(q, 0), 255)


def test_sums_broadcast_and_refuse_floats():
    assert quantized_add(np.uint8([[1], [2]]), one(1), np.uint8([3, 4]), one(1), one(1)).tolist() == [[4, 5], [5, 6]]
    with pytest.raises(ValueError, match="integers"):
        quantized_add([1.5], one(1), [1], one(1), one(1))
    with pytest.raises(ValueError, match="Addition"):
        quantized_add([1], one(1), [1], one(1), one(1), "onnxruntime.QLinearMul")
    assert Addition().arithmetic == "ratios"


# ---- dynamic ----


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0]))
def test_dynamic_outputs_are_within_their_bound(seed, axis):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(4, 12)) * 10.0 ** rng.integers(-3, 3)).astype(np.float32)
    w, bias = codes(rng, np.int8, (12, 3)), rng.normal(size=3).astype(np.float32)
    grid = Grid(np.float32([0.01, 0.02, 0.03]), np.zeros(3, int), -128, 127, 1)
    y = dynamic_linear(x, w, grid, bias, axis=axis).astype(float)
    q, x_grid = dynamic_quantize(x, axis=axis)
    s, z = (x_grid.scale[:, None], x_grid.zero_point[:, None]) if axis == 0 else (x_grid.scale, x_grid.zero_point)
    real_w = w * grid.scale.astype(float)
    # exact but for four roundings: of acc, of s_x s_w, of their product, of the sum with the bias
    exact = ((q - z) * np.asarray(s, float)) @ real_w + bias
    size = np.abs(exact) + np.abs(bias)
    assert (np.abs(y - exact) <= 2.0**-22 * size).all()
    half = np.broadcast_to(np.asarray(s, float), x.shape) * (0.5 + 255 * 2.0**-21)  # the bound of dynamic_quantize
    assert (np.abs(exact - (x.astype(float) @ real_w + bias)) <= half @ np.abs(real_w) + 1e-12).all()


@given(
    st.lists(st.floats(-4, 4, width=32), max_size=6),
    st.sampled_from([-1.5, -0.5, 0.5, 1.5, 126.5, 127.5]),
    st.sampled_from(["fbgemm.linear_dynamic", "onnxruntime.DynamicQuantizeMatMul", DynamicLinear()]),
)
def test_dynamic_codes_are_half_a_step_off_at_the_ends_too(inside, end, rule):
    x = np.float32([*inside, end, end + 255 if end < 0 else end - 255])  # where s = 1, z lies on a tie
    q, grid = dynamic_quantize(x, rule)
    s, z = Fraction(float(grid.scale)), int(grid.zero_point)
    worst = max(abs(Fraction(float(v)) - (int(c) - z) * s) for v, c in zip(x, q, strict=True))
    assert worst <= s / 2 + s * 255 * Fraction(2) ** -21


def test_one_tie_changes_the_output_of_dynamic_quantization():
    x, w = np.float32([[-1.0, 0.5, 2.0]]), np.int8([[10, 100], [20, -100], [-30, 50]])
    grid = Grid(0.01, 0, -128, 127)
    torch, ort = (dynamic_linear(x, w, grid, None, n)[0] for n in ("fbgemm.linear_dynamic", "onnxruntime.DynamicQuantizeMatMul"))
    assert dynamic_quantize(x, "fbgemm.linear_dynamic")[0].tolist() == [[0, 128, 255]]
    assert dynamic_quantize(x, "onnxruntime.DynamicQuantizeMatMul")[0].tolist() == [[0, 127, 255]]
    assert abs(float(torch[1] - ort[1])) > 0.01


def test_a_dynamic_output_may_meet_one_scale_after_the_other():
    x, w = np.float32([[-1.0, 0.5, 2.0]]), np.int8([[10, 100], [20, -100], [-30, 50]])
    grid = Grid(np.float32([0.3, 0.7]), np.zeros(2, int), -128, 127, 1)
    rule, fl = DynamicLinear(output="one_by_one"), oracle.to_float
    y = dynamic_linear(x, w, grid, np.float32([0.1, -0.2]), rule)
    q, x_grid = dynamic_quantize(x, rule)
    for o in (0, 1):
        acc = sum((int(q[0, k]) - int(x_grid.zero_point)) * int(w[k, o]) for k in range(3))
        s_x, s_w = (fl(1 / fl(1 / Fraction(float(s)))) for s in (x_grid.scale, grid.scale[o]))
        assert float(y[0, o]) == fl(fl(fl(acc * s_x) * s_w) + Fraction(float(np.float32([0.1, -0.2][o]))))


def test_reduced_ranges_are_followed_or_ignored():
    x = np.float32([[-1.0, 0.5, 2.0]])
    reduced = dynamic_quantize(x, "fbgemm.linear_dynamic", reduce_range=True)[1]
    assert reduced.scale == pytest.approx(3 / 127, abs=1e-9) and (reduced.qmin, reduced.qmax) == (0, 255)
    assert dynamic_quantize(x, "qnnpack.linear_dynamic", reduce_range=True)[1] == dynamic_quantize(x, "qnnpack.linear_dynamic")[1]


def test_dynamic_weights_can_have_zero_points():
    x, w = np.float32([[-1.0, 0.5, 2.0]]), np.int8([[10, 100], [20, -100], [-30, 50]])
    shifted = Grid(np.float32([0.01, 0.02]), np.array([3, -5]), -128, 127, 1)
    plain = Grid(np.float32([0.01, 0.02]), np.array([0, 0]), -128, 127, 1)
    moved = np.int16(w) + np.int16([3, -5])
    assert np.array_equal(dynamic_linear(x, moved, shifted), dynamic_linear(x, w, plain))


def test_dynamic_edges():
    grid = Grid(0.5, 0, -128, 127)
    assert dynamic_linear(np.zeros((2, 3), np.float32), np.ones((3, 2), np.int8), grid, [1.0, 2.0]).tolist() == [[1.0, 2.0]] * 2
    assert dynamic_linear(np.zeros((0, 3), np.float32), np.ones((3, 2), np.int8), grid).shape == (0, 2)
    with pytest.raises(ValueError, match="NaN"):
        dynamic_linear(np.float32([[np.nan, 1, 2]]), np.ones((3, 2), np.int8), grid)
    with pytest.raises(ValueError, match="axis"):
        dynamic_linear(np.ones((2, 3), np.float32), np.ones((3, 2), np.int8), grid, axis=1)
    outlier = np.float32([[1, 2, 3], [1e4, 2, 3]])
    assert np.array_equal(dynamic_quantize(outlier, axis=0)[0][0], dynamic_quantize(outlier[:1])[0][0])
    assert DynamicLinear().grid == ""


# ---- a whole network ----


def trained(rng, sizes):
    params = {}
    for k, (i, o) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        params[f"w{k}"] = (rng.normal(size=(i, o)) / np.sqrt(i)).astype(np.float32)
        params[f"b{k}"] = (rng.normal(size=o) * 0.1).astype(np.float32)
    return params


def quantized_network(rng, sizes, rows, per_output=True, bits=8):
    params, x = trained(rng, sizes), rng.normal(size=(rows, sizes[0])).astype(np.float32)
    h, y_grids = x, []
    for k in range(len(sizes) - 1):
        h = h @ params[f"w{k}"] + params[f"b{k}"]
        h = np.maximum(h, 0) if k < len(sizes) - 2 else h
        y_grids.append(asymmetric_grid(h, signed=bool(k % 2)))
    x_grid = asymmetric_grid(x, signed=False)
    return params, build_network(params, x_grid, y_grids, bits, per_output), quantize(x, x_grid), h


def big_integer_network(network, x):
    """The network in Python integers and fractions: no NumPy arithmetic, no float."""
    rows, grid = x.tolist(), network.x_grid
    for layer in network.layers:
        fl, z_x, y = oracle.to_float, int(grid.zero_point), layer.y_grid
        s_w = [Fraction(float(s)) for s in np.broadcast_to(layer.w_grid.scale, layer.w.shape[1])]
        m = [fl(fl(Fraction(float(grid.scale)) * s) / Fraction(float(y.scale))) for s in s_w]
        sums = oracle.matmul(rows, layer.w.tolist(), z_x, 0)
        rows = [
            [
                oracle.requantize(acc + int(b), m_o, int(y.zero_point), y.qmin, y.qmax, Requantization())
                for acc, b, m_o in zip(row, layer.b, m)
            ]
            for row in sums
        ]
        grid = y
    return rows


@pytest.mark.parametrize("per_output", [True, False])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_network_equals_big_integers_exactly(per_output, bits):
    rng = np.random.default_rng(5)
    _, network, x, _ = quantized_network(rng, (12, 10, 6, 2), 6, per_output, bits)
    assert run_integers(network, x).tolist() == big_integer_network(network, x)


@pytest.mark.parametrize("seed", range(5))
def test_a_network_stays_within_the_bound_of_its_float_twin(seed):
    rng = np.random.default_rng(seed)
    params, network, x, real = quantized_network(rng, (40, 32, 16, 1), 500)
    twin, bounds = run_fake_quantized(network, params, x), code_bound(network)
    for depth in range(1, 4):
        cut = type(network)(network.x_grid, network.layers[:depth])
        difference = np.abs(run_integers(cut, x).astype(int) - twin[depth - 1])
        assert (difference <= bounds[depth - 1]).all()
    # the bound is for the worst input; on these, nearly all codes agree, and the network still computes what it was built for
    assert (difference == 0).mean() > 0.95 and difference.max() <= 1
    grid = network.layers[-1].y_grid
    assert np.corrcoef(dequantize(run_integers(network, x), grid)[:, 0], real[:, 0])[0, 1] > 0.99


def test_hidden_layers_clip_at_zero():
    rng = np.random.default_rng(8)
    _, network, x, _ = quantized_network(rng, (6, 8, 3), 50)
    hidden = run_integers(type(network)(network.x_grid, network.layers[:1]), x)
    assert hidden.min() == network.layers[0].y_grid.zero_point
    params = {"w0": -np.eye(2), "b0": np.zeros(2), "w1": np.eye(2), "b1": np.zeros(2)}
    middle = Grid(0.5, 100, 0, 255)  # codes below 100 stand for negative numbers, which ReLU does not let through
    assert run_integers(build_network(params, middle, [middle, middle]), np.uint8([[110, 90]])).tolist() == [[100, 110]]


def test_the_bound_is_reached():
    """A bias of 1.4 steps becomes 1, so the first layer's code is 1 and not 2, and the next layer makes 115 of it."""
    params = {"w0": np.full((1, 1), 127.0), "b0": np.array([1.4]), "w1": np.full((1, 1), 127.0), "b1": np.zeros(1)}
    grid = Grid(0.9, 0, -(2**15), 2**15 - 1)
    network = build_network(params, Grid(1.0, 0, -128, 127), [grid, Grid(1.0, 0, -(2**15), 2**15 - 1)])
    twin = run_fake_quantized(network, params, np.int8([[0]]))
    ours = run_integers(network, np.int8([[0]]))
    bound = code_bound(network)
    assert [int(twin[0][0, 0]), bound[0].tolist(), bound[1].tolist()] == [2, [1], [115]]
    assert abs(int(ours[0, 0]) - int(twin[1][0, 0])) == 115


def test_networks_that_do_not_fit():
    rng = np.random.default_rng(9)
    params, grid = trained(rng, (4, 3, 2)), one(1)
    for grids in ([grid], [grid] * 3):
        with pytest.raises(ValueError, match="one each"):
            build_network(params, grid, grids)
    with pytest.raises(ValueError, match="one rounding"):
        code_bound(build_network(params, grid, [grid, grid]), "gemmlowp")


def test_a_product_needs_little_more_than_its_operands_in_float32():
    a, b = np.ones((2000, 512), np.int8), np.ones((512, 256), np.int8)
    integer_matmul(a, b)
    tracemalloc.start()
    integer_matmul(a, b, 1, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    floats, sums = 4 * (a.size + b.size), 4 * 2000 * 256
    assert peak <= floats + 3 * sums + 2**20


@pytest.mark.parametrize(
    "zeros", [{"a_zero": 0.5}, {"b_zero": [1, 2.25]}, {"a_zero": float("nan")}, {"a_zero": np.inf}, {"b_zero": [0, -np.inf]}]
)
def test_a_zero_point_that_is_no_code_is_refused(zeros):
    with pytest.raises(ValueError, match="a zero point is a code"):
        integer_matmul(np.int8([[1, 2]]), np.int8([[1, 2], [3, 4]]), **zeros)


@pytest.mark.parametrize("overflow", ["raise", "wrap", "saturate"])
@pytest.mark.parametrize(
    "K, a_zero, b_zero",
    [
        (4, np.int32(-(2**31)), np.int32(-(2**31))),  # 2^64, which wraps to 0
        (3, np.int32(-(2**31)), np.int32(-(2**31))),  # 3 2^62, which wraps below zero
        (1, -(2**63), 0),  # its magnitude is no int64
        (1, 2**63, 0),
        (0, np.uint64(2**64 - 1), 0),
        (1, 0, [2**70]),
        (1, 1e300, 0),
    ],
)
def test_zero_points_whose_sums_int64_cannot_hold_are_refused(K, a_zero, b_zero, overflow):
    a, b = max(abs(int(z)) for z in np.ravel(a_zero)), max(abs(int(z)) for z in np.ravel(b_zero))
    words = rf"\|a_zero\| up to {a} and \|b_zero\| up to {b} sums of {K} terms .* give zero points within the range of the codes"
    with pytest.raises(ValueError, match=words):
        integer_matmul(np.zeros((1, K), np.int8), np.zeros((K, 1), np.int8), a_zero, b_zero, overflow)


@pytest.mark.parametrize("K", [1, 3])
def test_the_largest_zero_points_that_int64_holds_are_exact(K):
    """The magnitude of (2), K (128 + |a_zero|) (128 + |b_zero|), is the last below 2^63, and one more is refused."""
    b_zero = 2**31
    a_zero = (2**63 - 1) // (K * (128 + b_zero)) - 128
    a, b = np.full((1, K), -128, np.int8), np.full((K, 1), -128, np.int8)
    for sign in (1, -1):
        want = oracle.matmul(a.tolist(), b.tolist(), sign * a_zero, b_zero)[0][0]
        wrapped = (want + 2**31) % 2**32 - 2**31
        assert abs(want) > 2**62 and integer_matmul(a, b, sign * a_zero, b_zero, "wrap").tolist() == [[wrapped]]
        assert integer_matmul(a, b, sign * a_zero, b_zero, "saturate").tolist() == [[2**31 - 1 if want > 0 else -(2**31)]]
        with pytest.raises(ValueError, match="int64"):
            integer_matmul(a, b, sign * (a_zero + 1), b_zero)
