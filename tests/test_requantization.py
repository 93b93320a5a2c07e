"""Requantization: every arithmetic, rounding and order against big integers and fractions, and what tells the libraries apart."""

import itertools
from fractions import Fraction

import integer_oracle as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import conventions, integer
from tinycompress.conventions import Requantization
from tinycompress.fixed_point import (
    FixedPoint,
    choose_requantization_multiplier,
    multiply_fixed_point,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_shift,
    saturating_rounding_doubling_high_mul,
    saturating_rounding_mul_with_shift,
)  # fmt: skip
from tinycompress.requantization import code_dtype, combine_scales, reciprocal_twice, requantize

INT32 = st.one_of(
    st.sampled_from([-(2**31), 2**31 - 1, 0, 1, -1, 3, -3, 2**24 + 1, -(2**24) - 1]), st.integers(-(2**31), 2**31 - 1)
)
FRACTIONS = st.sampled_from(
    [0.5, 0.25, 0.125, 0.75, 1.0, 1 / 3, 0.1, 1.5, 2.0, 3.0, 1e-4, 2.0**-32, 2.0**-33, 1 - 2.0**-25, 1 - 2.0**-33]
    + [0.5 + 2.0**-32, 0.75 + 2.0**-32]  # halfway between two mantissas
)
POSITIVE = st.one_of(FRACTIONS, st.floats(1e-9, 100.0))
RULES = [
    Requantization(arithmetic=a, rounding=r, zero_point=z, scales=s)
    for a, r, z, s in itertools.product(
        ("float32", "float64", "fixed_double", "fixed_single", "fraction_8"),
        oracle.ROUND,
        ("after", "before"),
        ("float32", "float64"),
    )
]
PRESETS = [name for name in conventions.names() if isinstance(conventions.get(name), Requantization)]


def sums_near_ties(m, z):
    """Sums whose product with m is at, or one beside, a half: where the rules part."""
    near = [round((k + Fraction(1, 2)) / Fraction(m)) + d for k in (-130, -2, -1, 0, 1, 2, 3, 126) for d in (-1, 0, 1)]
    return [acc for acc in {*near, 0, 1, -1, z, 2**31 - 1, -(2**31)} if -(2**31) <= acc < 2**31]


@given(st.sampled_from(RULES), POSITIVE, st.integers(-128, 127))
def test_every_rule_is_its_formula(rule, m, z):
    acc = sums_near_ties(m, z)
    got = requantize(acc, m, z, -128, 127, rule)
    want = [oracle.requantize(a, Fraction(m), z, -128, 127, rule) for a in acc]
    assert got.dtype == np.int8 and got.tolist() == want


@given(INT32, st.floats(-1e3, 1e3, width=32), st.integers(0, 255))
def test_the_default_takes_multipliers_of_any_size_and_sign(acc, m, z):
    assert requantize(acc, m, z, 0, 255).tolist() == oracle.requantize(acc, Fraction(m), z, 0, 255, Requantization())


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_their_formula(name):
    rng, rule = np.random.default_rng(0), conventions.get(name)
    for m in (0.5, 0.25, float(np.float32(0.0123)), 1.5, float(np.float32(1 / 3))):
        acc = rng.integers(-600, 600, 64)
        want = [oracle.requantize(int(a), Fraction(m), 3, -128, 127, rule) for a in acc]
        assert requantize(acc, m, 3, -128, 127, name).tolist() == want


@pytest.mark.parametrize(
    "name, zero_point_0, zero_point_1",
    [
        ("fbgemm.linear", [0, 2, 2, 4], [1, 3, 3, 5]),
        ("qnnpack.linear", [0, 2, 2, 4], [1, 3, 3, 5]),
        ("onednn.linear", [0, 2, 2, 4], [2, 2, 4, 6]),
        ("onnxruntime.QLinearMatMul", [0, 2, 2, 4], [1, 3, 3, 5]),
        ("onnx.reference.QLinearMatMul", [0, 2, 2, 4], [2, 2, 4, 6]),
        ("litert.xnnpack.FULLY_CONNECTED", [0, 2, 2, 4], [1, 3, 3, 5]),
        ("litert.builtin.FULLY_CONNECTED", [1, 2, 3, 5], [2, 3, 4, 6]),
        ("litert.reference.FULLY_CONNECTED", [1, 2, 3, 5], [2, 3, 4, 6]),
    ],
)
def test_one_network_eight_libraries(name, zero_point_0, zero_point_1):
    """Sums 1, 3, 5, 9 times one half."""
    assert requantize([1, 3, 5, 9], 0.5, 0, 0, 255, name).tolist() == zero_point_0
    assert requantize([1, 3, 5, 9], 0.5, 1, 0, 255, name).tolist() == zero_point_1


def test_below_zero_the_two_half_ups_of_litert_part():
    acc = [-1, -3, -5, -9]
    assert requantize(acc, 0.5, 0, -128, 127, "litert.builtin.FULLY_CONNECTED").tolist() == [0, -1, -2, -4]
    assert requantize(acc, 0.5, 0, -128, 127, "litert.reference.FULLY_CONNECTED").tolist() == [-1, -2, -3, -5]


def test_one_convention_depends_on_the_position():
    """The same code, 16 times and once more: -1/2 goes up in the block and away from zero behind it."""
    assert requantize(np.full(17, -2), 0.25, 0, -128, 127, "litert.builtin.REQUANTIZE").tolist() == [0] * 16 + [-1]


def test_conversions_that_overflow_end_at_the_wrong_side():
    assert requantize([64770, -64770, 1], 1e7, 7, 0, 255, "fbgemm.linear").tolist() == [0, 0, 255]
    assert requantize([64770, -64770, 1], 1e7, 7, 0, 255, "onnxruntime.QLinearMatMul").tolist() == [255, 0, 255]
    assert requantize([2**30, 2**30 - 64], 2.0, 7, 0, 255, "fbgemm.linear").tolist() == [
        0,
        255,
    ]  # 2^31 is the first that does not fit


def test_ranges_wider_than_float32_is_exact():
    ends = -(2**31), 2**31 - 1
    assert requantize([2**24, -(2**31)], 1.0, 1, *ends).tolist() == [2**24 + 1, -(2**31) + 1]
    assert requantize([0], 1.0, 2**30 + 1, *ends).tolist() == [2**30 + 1]


def test_multipliers_per_column():
    acc = np.array([[1, 3, 5], [-1, -3, -5]])
    m, z = np.array([0.5, 0.25, 1.0]), np.array([0, 1, 2])
    for rule in (Requantization(), "gemmlowp", "litert.xnnpack.REQUANTIZE", "onnx.reference.QLinearMatMul"):
        columns = [requantize(acc[:, k], m[k], z[k], -128, 127, rule) for k in range(3)]
        assert np.array_equal(requantize(acc, m, z, -128, 127, rule), np.stack(columns, 1))


def test_shapes_and_dtypes():
    assert requantize(3, 0.5, 0, 0, 255).shape == () and requantize(np.zeros((0, 4), int), 0.5, 0, 0, 255).shape == (0, 4)
    assert (
        requantize([3], 0.5, 0, -(2**15), 2**15 - 1).dtype == np.int16
        and requantize([3], 1.0, 0, -(2**31), 2**31 - 1).dtype == np.int32
    )
    strided = np.arange(24).reshape(4, 6)[::2, ::3]
    assert np.array_equal(requantize(strided, 0.5, 0, 0, 255), requantize(strided.copy(), 0.5, 0, 0, 255))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([2**31], 0.5, 0, 0, 255), "beyond int32"),
        (([1.0], 0.5, 0, 0, 255, "gemmlowp"), "float64"),
        (([float("nan"), 1.0], 0.5, 0, 0, 255), "1 of 2 sums"),
        (([1], float("nan"), 0, 0, 255), "finite"),
        (([1], 1e39, 0, 0, 255), "finite"),
        (([1], 0.5, 0, 5, 5), "two codes"),
        (([1], [0.5, 0.5], 0, 0, 255), "broadcast"),
        (([1], -0.5, 0, 0, 255, "gemmlowp"), "fixed-point"),
        (([1], 2.0**30, 0, 0, 255, "gemmlowp"), "fixed-point"),
        (([1], FixedPoint(2**30, 0), 0, 0, 255), "real number"),
        (([1], 0.5, 0, 0, 255, "fbgemm.linearr"), "fbgemm.linear"),
        (([1], 0.5, 0, 0, 255, "fbgemm.rowwise8"), "needs a Requantization"),
    ],
)
def test_refusals_say_both_values(arguments, words):
    with pytest.raises(ValueError, match=words):
        requantize(*arguments)


def test_sums_may_hold_a_float_bias():
    """FBGEMM's example: sums 1, 3, 5, 9 and biases 0.5, 0.5, 0.25, -0.5 in units of s_x s_w, times one half."""
    assert requantize(np.float32([1.5, 3.5, 5.25, 8.5]), 0.5, 0, 0, 255, "fbgemm.linear").tolist() == [1, 2, 3, 4]


def test_a_fixed_point_multiplier_can_be_given():
    acc = np.arange(-50, 50)
    assert np.array_equal(
        requantize(acc, quantize_multiplier(0.3), 1, -128, 127, "gemmlowp"), requantize(acc, 0.3, 1, -128, 127, "gemmlowp")
    )


@given(st.integers(-(2**62), 2**62), st.integers(0, 62))
def test_rounding_shift(v, shift):
    for rule, rounding in oracle.ROUND.items():
        assert int(rounding_shift(v, shift, rule)) == rounding(Fraction(v, 2**shift))
    assert int(rounding_shift(v, shift, "half_down")) == -oracle.half_up(Fraction(-v, 2**shift))


@given(INT32, INT32)
def test_the_doubling_high_product(a, b):
    want = min(oracle.half_up(Fraction(a * b, 2**31)), 2**31 - 1)
    assert int(saturating_rounding_doubling_high_mul(a, b)) == want


@given(INT32, st.integers(0, 31))
def test_division_by_a_power_of_two(x, exponent):
    assert int(rounding_divide_by_pot(x, exponent)) == oracle.half_away(Fraction(x, 2**exponent))


@given(POSITIVE)
def test_fixed_point_multipliers(m):
    mantissa, shift = quantize_multiplier(m)
    assert (mantissa, shift) == oracle.fixed(Fraction(m))
    value = Fraction(mantissa) * Fraction(2) ** (shift - 31)
    assert abs(value - Fraction(m)) <= Fraction(m) / 2**31 or m < 2.0**-32


@given(INT32, POSITIVE)
def test_multiplication_once_is_within_its_bound(x, m):
    fixed = quantize_multiplier(m)
    once = int(multiply_fixed_point(x, fixed, 1, "half_up"))
    exact = x * Fraction(m)
    assert abs(once - exact) <= Fraction(1, 2) + abs(exact) / 2**31 or fixed.mantissa == 0


def test_two_roundings_round_what_is_no_tie():
    assert (
        int(multiply_fixed_point(1, quantize_multiplier(0.25))) == 1
        and int(multiply_fixed_point(1, quantize_multiplier(0.25), 1)) == 0
    )


@given(st.floats(2.0**-32, 2.0**30), st.integers(8, 32))
def test_fbgemm_multipliers(m, precision):
    multiplier, shift = choose_requantization_multiplier(m, precision)
    held = Fraction(float(np.float32(m)))
    assert 2 ** (precision - 2) <= multiplier < 2 ** (precision - 1)
    # right_shift is that of 31-bit multipliers whatever the precision; the value is multiplier / 2^(right_shift - 32 + precision)
    assert abs(Fraction(multiplier) / Fraction(2) ** (shift - 32 + precision) - held) <= held / 2 ** (precision - 1)


@given(INT32, INT32, st.integers(1, 62))
def test_fbgemm_shifts_half_up(a, b, shift):
    assert int(saturating_rounding_mul_with_shift(a, b, shift)) == oracle.half_up(Fraction(a * b, 2**shift))


@pytest.mark.parametrize("m", [0.0, -1.0, float("nan"), float("inf"), 1e39, 2.0**-40])
def test_fbgemm_multipliers_that_do_not_exist(m):
    with pytest.raises(ValueError, match="right shift"):
        choose_requantization_multiplier(m)


def test_multipliers_that_do_not_exist():
    for m in (-0.1, float("nan"), float("inf"), 2.0**30):
        with pytest.raises(ValueError, match="fixed-point"):
            quantize_multiplier(m)
    with pytest.raises(ValueError, match="once or twice"):
        multiply_fixed_point(1, FixedPoint(2**30, 0), 3)
    with pytest.raises(ValueError, match="rounding"):
        rounding_shift(1, 1, "nearest")
    with pytest.raises(ValueError, match="shifted"):
        rounding_shift(1, 63)
    with pytest.raises(ValueError, match="int32"):
        rounding_divide_by_pot(2**31, 1)


def test_fbgemm_multipliers_that_round_up_to_the_next_power_of_two():
    below = float(np.nextafter(np.float32(1), np.float32(0)))  # 1 - 2^-24, and 8 bits hold 7
    assert choose_requantization_multiplier(below, 8) == choose_requantization_multiplier(1.0, 8) == (64, 30)


def test_codes_that_no_dtype_holds_are_refused():
    with pytest.raises(ValueError, match="at most 63 bits"):
        code_dtype(-1, 2**63)


@given(st.floats(2.0**-20, 2.0**20, width=32), st.floats(2.0**-20, 2.0**20, width=32), st.floats(2.0**-20, 2.0**20, width=32))
def test_combined_scales(s_x, s_w, s_y):
    fl, x, w, y = oracle.to_float, Fraction(s_x), Fraction(s_w), Fraction(s_y)
    want = {
        "float32": fl(fl(x * w) / y),
        "float32_reciprocal": fl(fl(x * w) * fl(1 / y)),
        "float32_product": oracle.double(fl(x * w) / y),
        "float64": oracle.double(oracle.double(x * w) / y),
    }
    for scales, value in want.items():
        assert Fraction(float(combine_scales(s_x, s_w, s_y, Requantization(scales=scales)))) == value
    assert Fraction(float(reciprocal_twice(np.float32(s_x)))) == fl(1 / fl(1 / x))


def test_scales_per_channel_can_have_another_precision():
    rule = conventions.get("litert.builtin.FULLY_CONNECTED")
    s_w = np.float32([0.03, 0.07])
    assert np.array_equal(combine_scales(0.1, s_w, 0.3, rule), combine_scales(0.1, s_w, 0.3, Requantization(scales="float64")))
    assert combine_scales(0.1, s_w[0], 0.3, rule) == combine_scales(0.1, s_w[0], 0.3, Requantization(scales="float32_product"))


@pytest.mark.parametrize(
    "scales", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, float("nan")), (1e30, 1e30, 1e-30), (float("inf"), 1.0, 1.0)]
)
def test_scales_that_are_none(scales):
    with pytest.raises(ValueError, match="positive"):
        combine_scales(*scales)


def test_the_names_of_the_design_are_here():
    assert integer.requantize is requantize and integer.quantize_multiplier is quantize_multiplier
