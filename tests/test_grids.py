"""Grids: the default rule against exact fractions, its bound, its laws, and what each named rule does at the edges."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tensors

from tinycompress.conventions import GridRule, get, names
from tinycompress.grid_rules import choose_grid, grid_for
from tinycompress.grids import Grid, asymmetric_grid, code_range, divide_width, symmetric_grid, value_range
from tinycompress.ranges import code_ends, fit_range
from tinycompress.row_groups import group_rows, ungroup_rows

BITS = st.sampled_from([2, 3, 4, 5, 7, 8, 10, 16])
RULES = [name for name in names() if isinstance(get(name), GridRule)]


# ---- the oracle: rounding to float32 by its definition, then the formulas as they stand in the docstrings ----


def half_even(v: Fraction) -> int:
    floor = v.numerator // v.denominator
    rest = v - floor
    return floor + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and floor % 2 == 1))


def fl32(v: Fraction) -> Fraction:
    """The nearest multiple of 2^(e - 23), 2^e <= |v| < 2^(e + 1), e at least -126; ties to even. No largest value."""
    if v == 0:
        return v
    e = max(abs(v).numerator.bit_length() - abs(v).denominator.bit_length() - 1, -126)
    while abs(v) >= Fraction(2) ** (e + 1):
        e += 1
    step = Fraction(2) ** (e - 23)
    return half_even(v / step) * step


def test_the_oracle_rounds_as_float32_does():
    for value in (1 / 3, 1e-40, 1.5e-45, 0.7e-45, 16777217.0, 2**-150.0, 3.4e38, -0.1, 2.0**-149 * 2.5):
        with np.errstate(under="ignore"):
            assert fl32(Fraction(value)) == Fraction(float(np.float32(value))), value


def exact_symmetric(x, bits):
    qmax = 2 ** (bits - 1) - 1
    s = fl32(max((abs(Fraction(float(v))) for v in x), default=Fraction(0)) / qmax)
    return s or Fraction(1)


def exact_asymmetric(x, bits, signed):
    qmin, qmax = code_range(bits, signed)
    values = [Fraction(float(v)) for v in x] + [Fraction(0)]
    lo, hi = min(values), max(values)
    s = fl32(fl32(hi - lo) / (qmax - qmin))
    if s == 0:
        return Fraction(1), 0
    return s, min(max(half_even(fl32(qmin - fl32(lo / s))), qmin), qmax)


@given(tensors(), BITS)
def test_symmetric_grid_is_its_formula(x, bits):
    assert Fraction(float(symmetric_grid(x, bits).scale)) == exact_symmetric(x, bits)


@given(tensors(), BITS, st.booleans())
def test_asymmetric_grid_is_its_formula(x, bits, signed):
    grid = asymmetric_grid(x, bits, signed=signed)
    assert (Fraction(float(grid.scale)), int(grid.zero_point)) == exact_asymmetric(x, bits, signed)


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_zero_points_that_are_ties_go_to_the_even_code(bits):
    n = 2**bits - 1
    for k in range(min(n - 1, 40)):
        lo, hi = -(k + 0.5), n - (k + 0.5)  # s = 1: qmin - lo = qmin + k + 1/2
        grid = asymmetric_grid([lo, hi], bits, signed=False)
        assert (float(grid.scale), int(grid.zero_point)) == (1.0, k + k % 2)


def test_the_zero_point_is_rounded_after_the_subtraction():
    grid = asymmetric_grid([-0.50000006, 65534.5], 16)  # s = 1, and fl32(-32768 + 0.50000006) = -32767.5, a tie
    assert (float(grid.scale), int(grid.zero_point)) == (1.0, -32768)


# ---- the bound ----


def nearest_value(v, grid):
    s, z = Fraction(float(grid.scale)), int(grid.zero_point)
    q = min(max(half_even(v / s) + z, grid.qmin), grid.qmax)
    return (q - z) * s


@given(tensors(), BITS, st.sampled_from(["symmetric", "full", "asymmetric", "unsigned"]))
def test_no_point_lies_outside_the_stated_bound(x, bits, kind):
    if kind in ("symmetric", "full"):
        grid = symmetric_grid(x, bits, narrow=kind == "symmetric")
    else:
        grid = asymmetric_grid(x, bits, signed=kind == "asymmetric")
    s, n = Fraction(float(grid.scale)), 2**bits - 1
    assert 0 < s < 2**128 and grid.qmin <= grid.zero_point <= grid.qmax
    bound = s / 2 + s * n * Fraction(2) ** -21 + n * Fraction(2) ** -149
    for v in map(Fraction, x.astype(float).tolist()):
        assert abs(v - nearest_value(v, grid)) <= bound


def test_the_bound_is_reached_by_half_a_step():
    grid = asymmetric_grid(
        [-0.5, 254.5], signed=False
    )  # the tie moves the grid by half a step, so its lower end is clipped by that
    assert (float(grid.scale), int(grid.zero_point), float(grid.low)) == (1.0, 0, 0.0)


# ---- laws ----


@given(tensors(huge=1e30), BITS, st.integers(-8, 8))
def test_a_power_of_two_scales_the_scale_and_nothing_else(x, bits, k):
    x = np.where(np.abs(x) < 1e-20, np.float32(0), x)  # no subnormal anywhere
    for lay in (symmetric_grid, asymmetric_grid):
        a, b = lay(x, bits), lay(x * np.float32(2.0**k), bits)
        assert (b.scale == a.scale * np.float32(2.0**k) or not x.any()) and a.zero_point == b.zero_point


@given(tensors(), BITS, st.randoms(use_true_random=False))
def test_order_and_sign_do_not_matter(x, bits, random):
    shuffled = np.array(random.sample(x.tolist(), len(x)), np.float32)
    assert symmetric_grid(x, bits) == symmetric_grid(-shuffled, bits)
    assert asymmetric_grid(x, bits) == asymmetric_grid(shuffled, bits)


@given(tensors(min_size=1, max_size=6), tensors(min_size=1, max_size=6), st.integers(0, 2))
def test_a_slice_gets_the_grid_it_would_get_alone(a, b, axis):
    n = min(len(a), len(b))
    rows = np.stack([a[:n], b[:n]])
    x = np.moveaxis(rows[:, :, None], 0, axis)  # the two rows lie along `axis`
    for lay in (symmetric_grid, asymmetric_grid):
        grid, alone = lay(x, axis=axis), [lay(row) for row in rows]
        assert grid == lay(x, axis=axis - 3) or grid.axis == axis
        assert grid.scale.tolist() == [float(g.scale) for g in alone] and grid.zero_point.tolist() == [
            int(g.zero_point) for g in alone
        ]
        scale, zero_point = grid.along(3)
        assert scale.shape == zero_point.shape == tuple(2 if i == axis else 1 for i in range(3))


@given(tensors(), BITS, st.booleans())
def test_the_default_of_choose_grid_is_the_plain_rule(x, bits, signed):
    lo, hi = value_range(x)
    assert choose_grid(lo, hi, bits, signed) == asymmetric_grid(x, bits, signed=signed)
    assert choose_grid(lo, hi, bits, symmetric=True) == symmetric_grid(x, bits)
    assert choose_grid(lo, hi, bits, symmetric=True, narrow=False) == symmetric_grid(x, bits, narrow=False)


def test_unsigned_symmetric_codes_have_zero_in_the_middle():
    grid = choose_grid(-1.0, 2.0, 8, signed=False, symmetric=True)
    assert (grid.scale, grid.zero_point, grid.qmin, grid.qmax) == (np.float32(2 / 127), 128, 0, 255)


@given(tensors(max_size=30), st.integers(1, 9))
def test_groups_hold_the_values_and_never_widen_a_range(x, size):
    x = x[: len(x) // 3 * 3].reshape(3, -1)
    if x.shape[1] == 0:
        return
    groups = group_rows(x, size)
    assert np.array_equal(ungroup_rows(groups, x.shape), x)
    per_row = groups.reshape(3, -1, size)
    for row, cut in zip(x, per_row, strict=True):
        for i, group in enumerate(cut):
            values = row[i * size : (i + 1) * size]
            assert (group.min(), group.max()) == (values.min(), values.max())


def test_groups_say_what_is_wrong():
    with pytest.raises(ValueError, match="size is 0"):
        group_rows([[1.0]], 0)
    with pytest.raises(ValueError, match="do not make up"):
        ungroup_rows(np.zeros((3, 2)), (2, 5))


# ---- Grid ----


def test_grid_holds_what_it_is_told():
    grid = Grid(np.array([0.5, 2.0], np.float32), [1, -2], -8, 7, axis=1)
    assert grid.dtype == np.int8 and grid.low.tolist() == [-4.5, -12.0] and grid.high.tolist() == [3.0, 18.0]
    assert grid == Grid(np.array([0.5, 2.0], np.float32), [1, -2], -8, 7, axis=1) != Grid([0.5, 2.0], [1, -2], -8, 7, axis=1)
    assert Grid(0.5, 0, 0, 15) != Grid(0.5, 0, 0, 14) and Grid(0.5, 0, 0, 15) != 0.5
    with pytest.raises(ValueError, match="read-only"):
        grid.scale[0] = 3.0
    ends = ((0, 255), (0, 256), (-1, 127), (-129, 0), (-1, 255), (0, 2**16), (-(2**31), 0))
    kinds = [np.uint8, np.uint16, np.int8, np.int16, np.int16, np.uint32, np.int32]
    assert [Grid(1.0, 0, a, b).dtype for a, b in ends] == kinds
    assert Grid(1.0, 0, 0, 2**40).dtype == np.int64
    assert Grid(np.ones((4, 1, 1)), 0, 0, 15).along(3)[0].shape == (4, 1, 1)  # any shape that broadcasts
    assert Grid([0.5], 0, 0, 15).zero_point.dtype == np.int64 and Grid(0.5, 1.25, 0, 15).zero_point == 1.25


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        ((0.0, 0, 0, 15), "not finite and above zero"),
        ((-1.0, 0, 0, 15), "not finite and above zero"),
        ((np.nan, 0, 0, 15), "not finite and above zero"),
        ((np.inf, 0, 0, 15), "not finite and above zero"),
        ((1.0, 16, 0, 15), "has no code; widen"),
        ((1.0, np.nan, 0, 15), "is not finite"),
        ((1.0, 0, 15, 0), "not below"),
        (([1.0, 2.0], 0, 0, 15), "need the axis"),
        ((1.0, 0, 0, 15, 0), "need the axis"),
        ((np.ones((2, 2)), 0, 0, 15, 0), "need the axis"),
    ],
)
def test_grid_refuses(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        Grid(*arguments)


def test_bad_input_is_named():
    for bad in ([np.nan], [np.inf], [1.0, -np.inf], [1e300]):
        with pytest.raises(ValueError, match="in float32"):
            symmetric_grid(bad)
        with pytest.raises(ValueError, match="in float32"):
            asymmetric_grid(bad)
    lo, hi = fit_range(-1.0, 2.0, 2, True, "aimet.MinMaxEncodingAnalyzer", symmetric=True)
    assert (float(lo), float(hi)) == (-2.0, 1.0)  # with four codes, the upper end may clip
    for bits in (1, 17):
        with pytest.raises(ValueError, match=f"bits is {bits}"):
            symmetric_grid([1.0], bits)
    with pytest.raises(ValueError, match="axis is 1"):
        symmetric_grid([1.0], axis=1)
    with pytest.raises(ValueError, match="x has 1 dimensions"):
        Grid([1.0, 2.0], 0, 0, 15, axis=1).along(1)
    with pytest.raises(ValueError, match="lo 2.0 is above hi 1.0"):
        choose_grid(2.0, 1.0)
    for lo, hi in ((np.nan, 1.0), (0.0, np.nan), (-np.inf, 0.0)):
        with pytest.raises(ValueError, match="the range is"):
            choose_grid(lo, hi)
    with pytest.raises(TypeError, match="no_such_field"):
        choose_grid(0.0, 1.0, no_such_field=1)
    with pytest.raises(ValueError, match="symmetric_scale is 'half'"):
        choose_grid(0.0, 1.0, symmetric_scale="half")
    with pytest.raises(ValueError, match="is not a number"):
        choose_grid(0.0, 0.0, degenerate="none")
    with pytest.raises(ValueError, match="is not a number"):
        choose_grid(0.0, 1e-45, 8, False, "gptq.Quantizer")


def test_huge_widths_do_not_overflow():
    for n in (3, 255, 65535):
        lo, hi = np.float32(-3e38), np.float32(3e38)
        assert Fraction(float(divide_width(lo, hi, n))) == fl32(fl32(Fraction(float(hi)) - Fraction(float(lo))) / n)


# ---- the named rules ----


@pytest.mark.parametrize("name", RULES)
@given(tensors(min_size=1, huge=1e30), st.sampled_from([4, 8, 16]), st.booleans(), st.booleans())
@settings(max_examples=30)
def test_named_rules_answer_with_a_usable_grid(name, x, bits, signed, symmetric):
    """A scale above zero and a zero point among the codes (or Grid would be unchecked), and all of the range covered."""
    rule = replace(get(name), symmetric=symmetric or get(name).symmetric)
    lo, hi = (float(end) for end in fit_range(*value_range(x), bits, signed, rule))
    if rule.undefined_zero == "refuse" and hi - lo < 2.0 ** (bits - 149) and rule.degenerate == "unit_range":
        return  # not flat, yet its width divides to zero: refused, see test_bad_input_is_named
    grid = grid_for(x, bits, signed, rule)
    if grid.unchecked:  # a width that divides to zero, and a rule that takes what comes
        assert rule.degenerate in ("none", "one_if_flat", "unit_width") and hi - lo < 2.0 ** (bits - 149)
    elif rule.widen is True and not rule.symmetric and hi - lo > 1e-30:
        half = 0.51 * float(grid.scale)  # half a step for the zero point, and the rounding of s and z
        assert float(grid.low) <= lo + half and float(grid.high) >= hi - half


@pytest.mark.parametrize("name", RULES)
def test_a_name_is_only_values(name):
    assert choose_grid(-1.0, 2.0, convention=name, symmetric=None, narrow=None) == choose_grid(-1.0, 2.0, convention=name)
    own = replace(get(name), provenance=GridRule().provenance)
    for lo, hi in ((-1.0, 2.0), (0.5, 2.0), (-2.0, -0.5)):
        assert choose_grid(lo, hi, convention=own) == choose_grid(lo, hi, convention=name)


def test_codes_of_the_rules():
    ort = get("onnxruntime.compute_scale_zp")
    assert code_ends(8, True, replace(ort, symmetric=True)) == (-127, 127)
    assert code_ends(4, True, replace(ort, symmetric=True)) == (-8, 7)
    assert code_ends(8, True, replace(ort, reduce_range=True)) == (-64, 64)
    assert code_ends(4, True, replace(ort, reduce_range=True)) == (-4, 3)
    assert code_ends(8, False, replace(ort, reduce_range=True)) == (0, 127)
    torch = get("torch.MinMaxObserver")
    assert code_ends(8, True, replace(torch, reduce_range=True)) == (-64, 63)
    assert code_ends(8, True, replace(torch, symmetric=True)) == (-128, 127)
    assert code_ends(8, False, GridRule(narrow=True)) == (1, 255)
    assert code_ends(8, False, GridRule(), qmax=100) == (0, 100)


def test_answers_to_nothing():
    """All zeros: each library has its own idea, and none of them gives NaN."""
    answers = {
        "torch.MinMaxObserver": (np.float32(1.1920929e-7), -128),
        "onnxruntime.compute_scale_zp": (1.0, 0),
        "onnx.reference.DynamicQuantizeLinear": (np.float32(1 / 255), -128),
        "onnxruntime.DynamicQuantizeLinear": (1.0, -128),
        "fbgemm.ChooseQuantizationParams": (np.float32(0.1), 127),
        "compressed_tensors.calculate_qparams": (np.float32(1.1920929e-7), 0),
        "gptq.Quantizer": (np.float32(2 / 255), -1),
    }
    for name, (scale, zero_point) in answers.items():
        grid = choose_grid(0.0, 0.0, convention=name)
        assert (grid.scale, grid.zero_point) == (scale, zero_point), name


def test_nan_and_infinity_by_rule():
    grid = choose_grid(np.nan, np.nan, 8, True, "torch.MinMaxObserver")
    assert np.isnan(grid.scale) and grid.zero_point == 127 and grid.unchecked  # int32 wraps: qint8 ends at the top
    assert choose_grid(np.nan, np.nan, 8, False, "torch.MinMaxObserver").zero_point == 0
    assert choose_grid(-np.inf, 1.0, 8, True, "torch.MinMaxObserver") == Grid(np.float32(np.inf), 127, -128, 127, unchecked=True)
    assert choose_grid(-np.inf, np.inf, 8, False, "torch._choose_qparams_per_tensor").zero_point == -(2**31)
    ignoring = grid_for([np.nan, -1.0], 8, False, "onnxruntime.DynamicQuantizeLinear")
    assert (ignoring.scale, ignoring.zero_point) == (np.float32(1 / 255), 255)
    assert grid_for([np.nan, -1.0], 8, False, "onnx.reference.DynamicQuantizeLinear").zero_point == 255
    assert choose_grid(0.0, np.inf, convention="aimet.MinMaxEncodingAnalyzer").high > 3.4e38
    with pytest.raises(ValueError, match="remove NaN"):
        choose_grid(np.nan, 1.0, convention="torch._choose_qparams_per_tensor")


def test_zero_points_tell_the_rules_apart():
    lo, hi = -0.50000006, 65534.5  # s = 1: torch rounds lo / s, others the float32 sum with qmin, which is a tie
    names = ("torch.MinMaxObserver", "onnx.reference.DynamicQuantizeLinear", "tf.fake_quant.Nudge")
    assert [int(choose_grid(lo, hi, 16, convention=name).zero_point) for name in names] == [-32767, -32768, -32768]
    lo, hi = -25.625, 25.625  # 127.5 with the float64 scale, below it with the float32 one
    assert choose_grid(lo, hi, 8, False, "onnxruntime.compute_scale_zp").zero_point == 128
    assert choose_grid(lo, hi, 8, False, "onnxruntime.compute_scale_zp", zero_scale="stored").zero_point == 127
    tiny = choose_grid(-1e-10, 1e-10, convention="compressed_tensors.calculate_qparams")
    assert tiny.scale == np.float32(2e-10) / np.float32(255)  # below its least scale, which only stands in for 0


def test_one_sided_ranges_by_rule():
    fbgemm = choose_grid(0.5, 2.0, convention="fbgemm.ChooseQuantizationParams", symmetric=True)
    assert (fbgemm.scale, fbgemm.zero_point) == (np.float32(2 / 255), -128)  # one-sided: not symmetric after all
    torch, fbgemm = ("torch._choose_qparams_per_tensor", "fbgemm.ChooseQuantizationParams")
    zeros = [
        int(choose_grid(-16.25, 9.25, qmin=-128, qmax=127, convention=name, stored="float32").zero_point)
        for name in (torch, fbgemm)
    ]
    assert zeros == [34, 35]  # errors compared with - and with +: the same tie is seen from opposite ends
    power = choose_grid(-1e-10, 1e-10, 8, False, fbgemm, power_of_two=True)  # 1 / 2^40, but 1 << 40 is 1 << 8 on x86
    assert power.scale == 2.0**-8
    awq = choose_grid(0.5, 1.2, 4, False, "awq.pseudo_quantize_tensor")
    assert awq.zero_point == 0 and awq.high < 0.71  # not widened, z clamped: what lies above saturates
    gptq = choose_grid(0.5, 1.2, 4, False, "gptq.Quantizer", symmetric=True)
    assert gptq.zero_point == 8 and gptq.high < 0.57
    tf = choose_grid(0.5, 2.0, 8, False, "tf.fake_quant.Nudge")
    assert (float(tf.low), float(tf.high)) == (0.0, 1.5)  # the range is shifted, not widened
    shifted = choose_grid(-127.5, 127.5, 8, False, "tf.fake_quant.Nudge")
    assert shifted.zero_point == 128  # 127.5 rounded away from zero
    assert [int(choose_grid(-k - 0.5, 254.5 - k, 8, False, "tf.fake_quant.Nudge").zero_point) for k in range(4)] == [1, 2, 3, 4]
    assert choose_grid(0.5, 2.0, 8, False, "tf.fake_quant.Nudge", narrow=True).qmin == 1
    floats = choose_grid(0.5, 2.0, 8, False, "torch.per_channel_affine_float_qparams")
    assert floats.zero_point == np.float32(-0.5) / np.float32(1.5 / 255) and not floats.unchecked
    assert choose_grid(3.0, 3.0, 8, False, "torch.per_channel_affine_float_qparams").scale == 1.0


def test_negative_scale_where_the_peak_is_positive():
    name = "neural_compressor.qdq_weight_sym"
    grid = choose_grid([-1.0, -3.0], [2.0, -0.1], 4, True, name, symmetric_scale="peak_at_qmin")
    assert grid.scale.tolist() == [-0.25, 0.375] and grid.unchecked
    assert (grid.scale * -8).tolist() == [2.0, -3.0]  # the larger end is exactly the lowest code


def test_ranges_per_channel_and_per_block():
    lo, hi = np.array([-1.0, 0.0, 0.5]), np.array([2.0, 0.0, 2.0])
    grid = choose_grid(lo, hi, 8, False, "torch.MinMaxObserver")
    assert grid.axis == 0 and grid.scale.shape == (3,)
    for i in range(3):
        one = choose_grid(lo[i], hi[i], 8, False, "torch.MinMaxObserver")
        assert (grid.scale[i], grid.zero_point[i]) == (one.scale, one.zero_point)
    assert choose_grid(lo, hi, axis=-1).axis == -1
    assert choose_grid(lo.reshape(3, 1), hi.reshape(3, 1)).along(2)[0].shape == (3, 1)
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert grid_for(x, axis=1).scale.shape == (3,)


@pytest.mark.parametrize("x", [[-1, 3], np.int8([[-128, 127], [0, 5]]), np.uint16([7]), [[True, False]], np.zeros((0, 2), int)])
@pytest.mark.parametrize("axis", [None, 0])
def test_whole_numbers_have_the_grid_of_the_same_floats(x, axis):
    floats = np.asarray(x, np.float32)
    assert all((a == b).all() and a.dtype == np.float32 for a, b in zip(value_range(x, axis), value_range(floats, axis)))
    for make in (symmetric_grid, asymmetric_grid):
        assert (make(x, axis=axis).scale == make(floats, axis=axis).scale).all()
