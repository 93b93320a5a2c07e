"""Each rounding rule against exact fractions, at ties, one ulp beside them, and where floats end; saturation; fused sums."""
import math

import numpy as np
import pytest
import quantization_oracle as oracle
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import rounding
from tinycompress.fused import add_to_odd, fused_multiply_add
from tinycompress.rounding import ROUNDINGS, hold, saturate, stochastic
from tinycompress.summation import float32_lanes

HARD = [0.0, 0.5, 1.5, 2.5, 3.5, 0.25, 0.75, 1e-45, 1e-38, 8388607.5, 8388608.0, 8388609.0, 16777216.0, 1e10, 3e38, 127.5, 128.5]


def beside(values, dtype):
    """The values and both float neighbours of each, with both signs."""
    with np.errstate(all="ignore"):
        x = np.array(values, np.float64).astype(dtype)
        x = np.concatenate([x, np.nextafter(x, dtype(np.inf)), np.nextafter(x, dtype(-np.inf))])
    return np.concatenate([x, -x])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROUNDINGS)
def test_against_fractions(name, dtype):
    halves = np.random.default_rng(0).integers(0, 2**24, 200) / 2
    x = beside([*HARD, *halves], dtype)
    r = ROUNDINGS[name](x)
    exact = [float(oracle.rounded(oracle.exact(v), name, dtype.__name__)) for v in x]
    assert r.dtype == dtype and r.tolist() == exact


@given(st.lists(st.floats(width=32), max_size=20))
def test_against_fractions_anywhere(values):
    x = np.array(values, np.float32)
    for name, rule in ROUNDINGS.items():
        exact = [float(oracle.rounded(oracle.exact(v), name, "float32")) for v in x]
        np.testing.assert_array_equal(rule(x), np.array(exact, np.float32))


@pytest.mark.parametrize("name", ROUNDINGS)
def test_keeps_what_has_no_fraction(name):
    x = np.array([np.inf, -np.inf, np.nan, 2.0**24, -7.0], np.float32)
    np.testing.assert_array_equal(ROUNDINGS[name](x), x)


@pytest.mark.parametrize("name", [n for n in ROUNDINGS if n != "half_up_by_adding"])
def test_keeps_the_sign_of_zero(name):
    r = ROUNDINGS[name](np.array([-0.0, 0.0, -0.25, 0.25, -0.5], np.float32))
    zero = r == 0
    assert (np.signbit(r) == [True, False, True, False, True])[zero].all()


@pytest.mark.parametrize("name", ROUNDINGS)
def test_in_place_and_read_only(name):
    x = np.linspace(-3, 3, 25, dtype=np.float32)
    expected = ROUNDINGS[name](x)
    frozen = x.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(ROUNDINGS[name](frozen), expected)
    np.testing.assert_array_equal(ROUNDINGS[name](x.tolist()), expected)
    assert ROUNDINGS[name](x, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_ties_tell_the_rules_apart():
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert rounding.half_even(x).tolist() == [-2, -2, 0, 0, 2, 2]
    assert rounding.half_away(x).tolist() == [-3, -2, -1, 1, 2, 3]
    assert rounding.half_up(x).tolist() == [-2, -1, 0, 1, 2, 3]
    assert rounding.half_down(x).tolist() == [-3, -2, -1, 0, 1, 2]
    assert rounding.half_even_above_zero(x).tolist() == [-2, -1, 0, 0, 2, 2]


def test_stochastic_rounds_up_as_often_as_the_fraction_says():
    x = np.repeat(np.array([-2.75, -0.25, 0.125, 3.5], np.float32), 40_000)
    r = stochastic(x, np.random.default_rng(0))
    assert r.dtype == np.float32 and set((r - np.floor(x)).tolist()) == {0.0, 1.0}
    error = (r.astype(float) - x).reshape(4, -1).mean(axis=1)
    fraction = (x - np.floor(x)).reshape(4, -1)[:, 0].astype(float)
    # a mean of n draws of variance f (1 - f) lies within 5 standard deviations but for one seed in a million; this one is fixed
    assert (np.abs(error) < 5 * np.sqrt(fraction * (1 - fraction) / 40_000)).all()


def test_stochastic_repeats_with_its_generator_and_leaves_integers():
    x = np.array([0.5, 7.0, -3.0, np.inf, np.nan, -0.0])
    a, b = (stochastic(x, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a[1:], x[1:])
    assert np.signbit(a[5])


def test_stochastic_leaves_integers_whatever_is_drawn():
    class Smallest:
        def random(self, shape):
            return np.zeros(shape)  # the one draw in 2^53 at which u < 0 and u <= 0 part

    assert stochastic([7.0, -3.0, 0.5], Smallest()).tolist() == [7, -3, 1]


def test_saturate_clips_before_it_casts():
    x = np.array([-np.inf, -1e30, -129, -128, 127, 128, 3e9, np.inf], np.float32)
    assert saturate(x, -128, 127, np.int8).tolist() == [-128, -128, -128, -128, 127, 127, 127, 127]
    assert saturate(x, 0, 65535, np.uint16).tolist() == [0, 0, 0, 0, 127, 128, 65535, 65535]


def test_saturate_reaches_the_ends_of_int32():
    x = np.array([3e9, 2147483520.0, -3e9, np.inf], np.float32)
    assert saturate(x, -(2**31), 2**31 - 1, np.int32).tolist() == [2**31 - 1, 2147483520, -(2**31), 2**31 - 1]


def test_saturate_integers():
    assert saturate(np.array([300, -300, 5], np.int32), -128, 127, np.int8).tolist() == [127, -128, 5]
    q = saturate(np.int8([-3, 7]), 0, 255, np.uint8)
    assert q.tolist() == [0, 7] and q.dtype == np.uint8
    assert saturate(np.float32([1, 9]), 3, 3, np.int8).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("policy", "dtype", "code"),
    [("qmin", np.int8, -128), ("qmax", np.int8, 127), ("zero", np.int8, 0), ("cast", np.int8, 0), ("cast", np.int32, -(2**31))],
)
def test_nan_by_policy(policy, dtype, code):
    ends = np.iinfo(dtype)
    assert saturate(np.float32([1, np.nan, 2]), ends.min, ends.max, dtype, policy).tolist() == [1, code, 2]


def test_nan_becomes_the_code_nearest_to_zero():
    assert saturate(np.float32([np.nan]), 3, 9, np.int8, "zero").tolist() == [3]


def test_refusals():
    with pytest.raises(ValueError, match="NaN"):
        saturate(np.float32([np.nan]), -128, 127, np.int8)
    with pytest.raises(ValueError, match="a value is NaN"):
        hold(np.float32([np.nan]), -128, 127)
    with pytest.raises(ValueError, match="does not fit"):
        saturate(np.float32([1]), -128, 255, np.int8)
    with pytest.raises(ValueError, match="does not fit"):
        saturate(np.float32([1]), 5, 3, np.int8)
    with pytest.raises(ValueError, match="'keep'"):
        saturate(np.float32([1]), -128, 127, np.int8, "keep")
    for qmin, qmax in ((-(2**60), 2**60), (0, 2**53 + 1), (-(2**53) - 1, 0)):
        with pytest.raises(ValueError, match="beyond which"):
            hold(np.float64([1]), qmin, qmax)
    with pytest.raises(ValueError, match="use 'raise'"):
        hold(np.float32([np.nan]), 0, 1, "qmean")


def test_hold_uses_the_buffer_it_is_given():
    x = np.float32([1000, 2])
    assert hold(x, 0, 255, out=x) is x and x.tolist() == [255, 2]
    for y in (np.float32([1, 2]), np.float32([0, 2]), np.float32([1, 255])):
        assert hold(y, 0, 255) is y
    assert hold(np.float32([]), 0, 255).size == 0
    assert hold([-300.0, 2.0], -128, 127).tolist() == [-128, 2]


def test_hold_keeps_the_ends_exact():
    for qmin, qmax in ((0, 2**32 - 1), (-(2**25) - 1, 0), (-1, 2**24 + 1)):
        assert hold(np.float32([-1e30, 1e30]), qmin, qmax).tolist() == [qmin, qmax]  # float32 rounds one of each pair
    assert hold(np.float64([1e300]), 0, 2**53).tolist() == [2**53]
    at_most = hold(np.float32([1e30]), 0, 2**23)
    assert at_most.tolist() == [2**23] and at_most.dtype == np.float32  # which counts so far


def test_a_cast_nan_has_the_low_bits_of_the_smallest_int32():
    for qmin, code in ((-(2**31), -(2**31)), (-(2**31) + 1, 0), (-(2**30), 0)):
        assert hold(np.float64([np.nan]), qmin, 2**30, "cast").tolist() == [code]


def fused_exactly(a, b, c, dtype):
    return oracle.rn(oracle.add(oracle.multiply(oracle.exact(a), oracle.exact(b)), oracle.exact(c)), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_rounds_once(dtype):
    rng = np.random.default_rng(3)
    bits = np.finfo(dtype).nmant + 1
    a, b = (np.ldexp(rng.integers(1, 2**bits, 3000).astype(np.float64), rng.integers(-40, 5, 3000)).astype(dtype) for _ in "ab")
    with np.errstate(all="ignore"):
        cancelling = -(a.astype(np.float64) * b) * (1 + rng.integers(-2, 3, 3000) * 2.0 ** -rng.integers(20, 53, 3000))
    c = np.where(rng.random(3000) < 0.5, cancelling, rng.standard_normal(3000) * 2.0 ** rng.integers(-80, 80, 3000)).astype(dtype)
    exact = [float(fused_exactly(*v, dtype.__name__)) for v in zip(a, b, c, strict=True)]
    assert fused_multiply_add(a, b, c).tolist() == exact


def test_fused_where_two_roundings_part():
    """The product is a tie of float32, and c, far below, decides it: rounding to float64 first loses c."""
    a = np.float32([1 + 2.0**-12, 1 + 2.0**-12, 1 + 2.0**-12])
    c = np.float32([2.0**-90, -(2.0**-90), 0])
    twice = (a.astype(np.float64) * a + c).astype(np.float32)
    once = fused_multiply_add(a, a, c)
    assert len(set(twice.tolist())) == 1
    assert once.tolist() == [float(fused_exactly(x, x, z, "float32")) for x, z in zip(a, c, strict=True)]
    assert once[0] > once[1]


def test_fused_at_the_ends_of_float32():
    a = np.float32([1e-45, 3e-45, 1e-38, 3e38, 3e38, np.inf, np.nan, 2.0**-75])
    b = np.float32([0.5, 0.5, 0.25, 2, -2, 1, 1, 2.0**-75])
    c = np.float32([1e-45, 0, -1e-45, 1, 1, -np.inf, 0, 2.0**-149])
    exact = [fused_exactly(*v, "float32") for v in zip(a, b, c, strict=True)]
    np.testing.assert_array_equal(fused_multiply_add(a, b, c), np.array([float(v) for v in exact], np.float32))


def test_fused_where_two_roundings_part_below_the_normal_numbers():
    """(1 + e)(1 - e + e^2) = 1 + e^3: a subnormal tie and a hair, which float64 loses beside c."""
    e = 2.0**-12
    a, b, c = np.float32((1 + e) * 2.0**-75), np.float32((1 - e + e * e) * 2.0**-75), np.float32(2.0**-127)
    with np.errstate(under="ignore"):
        twice = np.float32(float(a) * float(b) + float(c))
    assert float(fused_multiply_add(a, b, c)) == float(fused_exactly(a, b, c, "float32")) == float(twice) + 2.0**-149


def test_fused_where_two_roundings_part_in_float64():
    """1 + 2^-53 is a tie; the e^3 beside it, far below, decides."""
    e = 2.0**-26
    once = fused_multiply_add((1 + e) * 2.0**-53, 1 - e + e * e, 1.0)
    assert float(once) == float(fused_exactly((1 + e) * 2.0**-53, 1 - e + e * e, 1.0, "float64")) == 1 + 2.0**-52


def test_fused_shapes():
    a = np.ones((2, 3), np.float32)
    assert fused_multiply_add(a, np.float32(2), np.ones((2, 1), np.float32)).tolist() == [[3] * 3] * 2
    assert fused_multiply_add(np.float32(2), np.float32(3), np.float32(4)).shape == ()
    assert fused_multiply_add(a[:0], np.float32(2), np.float32(1)).shape == (0, 3)


@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_to_odd(a, b):
    with np.errstate(all="ignore"):
        total = float(add_to_odd(np.float64(a), np.float64(b)))
    exact = oracle.exact(a) + oracle.exact(b)
    if oracle.exact(total) != exact:
        assert np.float64(total).view(np.int64) & 1
        below, above = np.nextafter(total, -math.inf), np.nextafter(total, math.inf)
        assert oracle.exact(below) < exact < oracle.exact(above)


def in_the_kernels_order(v):
    """One number after the other in plain loops: 8 lanes, 4 strands, blocks of blocks."""

    def add(numbers):
        total = np.float32(0)
        for number in numbers:
            total = total + number
        return total

    def strand(numbers):
        step = 2 ** max(4, max(len(numbers) - 1, 0).bit_length() // 4)
        levels = []
        for _ in range(3):
            blocks = [numbers[i : i + step] for i in range(0, len(numbers) - step + 1, step)]
            levels.append(add(numbers[len(blocks) * step :]))
            numbers = [add(block) for block in blocks]
        return add([*levels, add(numbers)])

    def lane(numbers):
        whole = len(numbers) // 4 * 4
        strands = [strand(numbers[i:whole:4]) for i in range(4)]
        strands[0] = add([strands[0], *numbers[whole:]])
        return add(strands)

    whole = len(v) // 8 * 8
    return lane(v) if not whole else add([*v[whole:], *(lane(v[i:whole:8]) for i in range(8))])


@pytest.mark.parametrize("n", [0, 1, 3, 4, 7, 8, 9, 15, 33, 64, 100, 513, 2100])
def test_float32_lanes(n):
    v = np.random.default_rng(n).standard_normal((3, n)).astype(np.float32)
    expected = [in_the_kernels_order(list(row)) for row in v]
    assert float32_lanes(v).tolist() == [float(e) for e in expected]
    assert [float(float32_lanes(row)) for row in v] == [float(e) for e in expected]
    assert float32_lanes(v[:1]).tolist() == [float(expected[0])]  # one row must not be added in pairs
