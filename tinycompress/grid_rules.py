"""From a range to a scale and a zero point, by any library's rule.

Everyone divides the width of a range by a number of steps; nobody agrees on the rest: what the range is when all values are
positive or equal, which number of steps, in which precision, and how the zero point is rounded. Each choice is a field of
`conventions.GridRule`; this file is the arithmetic of those fields, after `ranges` has settled the range and the codes.

Letters     lo, hi the ends of a range; n = qmax - qmin steps; s scale; z zero_point; absmax = max(|lo|, |hi|); fl() rounds to the
            rule's arithmetic, float32 or float64
Not here: the grid itself (grids), the range (ranges), rounding values to codes (quantization).
Read next: terms, quantization, calibration.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import GridRule
from tinycompress.grids import Array, Grid, divide_width, value_range
from tinycompress.ranges import changed_rule, code_ends, fit_range, is_mirrored
from tinycompress.rounding import ROUNDINGS

OWN = GridRule()


def choose_grid(
    lo: npt.ArrayLike, hi: npt.ArrayLike, bits: int = 8, signed: bool = True, convention: GridRule | str = OWN,
    *, axis: int | None = None, qmin: int | None = None, qmax: int | None = None, **changes: Any,
) -> Grid:  # fmt: skip
    """Return the grid that a convention lays over the range [lo, hi].

    Equation    s = fl(fl(hi - lo) / n), or symmetric: absmax over the steps of GridRule.symmetric_scale      (1)
                z = clip(half_even(fl(qmin - fl(lo / s))), qmin, qmax), or symmetric: the middle code         (2)
    Shapes      lo, hi () or (n,) or any equal shapes -> scale and zero point the same; for (n,) they lie along `axis`,
                0 unless given; other shapes broadcast to x as they are
    Bound       as for symmetric_grid and asymmetric_grid, whose rule is the default
    Limits      (1) is 0 or infinite for flat, tiny or huge ranges: GridRule.degenerate and .infinite say what then
    Convention  lo and hi go through fit_range first. `changes` replace fields of the rule: symmetric=True, narrow=False,
                reduce_range=True, floor=2**-12, ... (None: as the rule has it); qmin and qmax replace the codes that bits and
                signed would give. A rule that answers with a zero, negative, infinite or NaN scale gives an unchecked Grid
    Raises      ValueError as fit_range does, or if z is 0 / 0 and the rule does not say what becomes of it
    Source      conventions.toml, kind grid_rule: each library's own

    >>> grid = choose_grid(-1.0, 2.0, signed=False, convention="torch.MinMaxObserver")
    >>> float(grid.scale), int(grid.zero_point)
    (0.0117647061124444, 85)
    >>> choose_grid(-1.0, 2.0, convention="onnxruntime.compute_scale_zp", symmetric=True).scale == np.float32(2 / 127)
    np.True_
    """
    rule = changed_rule(convention, changes)
    qmin, qmax = code_ends(bits, signed, rule, qmin, qmax)
    low, high = fit_range(lo, hi, bits, signed, rule, qmin=qmin, qmax=qmax)
    with np.errstate(all="ignore"):  # on purpose: each rule says what becomes of 0 / 0, overflow and underflow
        scale = _divide(low, high, qmin, qmax, rule)
        scale, low, high = _floor(scale, low, high, qmax - qmin, rule)
        tiny = (scale < rule.floor) & (rule.degenerate == "one_below_floor")
        scale = np.where(tiny, scale.dtype.type(1), scale)
        stored = scale.astype(rule.stored)
        zero_point = _zero_point(low, high, stored if rule.zero_scale == "stored" else scale, qmin, qmax, rule)
        zero_point = np.where(tiny, np.clip(0, qmin, qmax), zero_point)
        if rule.degenerate == "replace_zero":
            stored = np.where(stored == 0, stored.dtype.type(rule.floor), stored)
    usual = np.isfinite(stored) & (stored > 0) & np.isfinite(zero_point)
    usual &= (zero_point >= qmin) & (zero_point <= qmax) | (rule.zero_point == "fraction")
    return Grid(stored, zero_point, qmin, qmax, axis if axis is not None or stored.ndim != 1 else 0, unchecked=not usual.all())


def grid_for(
    x: npt.ArrayLike, bits: int = 8, signed: bool = True, convention: GridRule | str = OWN,
    *, axis: int | None = None, qmin: int | None = None, qmax: int | None = None, **changes: Any,
) -> Grid:  # fmt: skip
    """Return the grid that a convention lays over the values of x, or over each slice of `axis`.

    Equation    choose_grid(smallest value, largest value)
    Shapes      x any -> scale and zero_point (), or (n,)
    Convention  a rule that ignores NaN does so here, among the values
    Raises      ValueError as choose_grid does
    Source      conventions.toml, kind grid_rule

    >>> grid = grid_for([float("nan"), 1.0], signed=False, convention="onnxruntime.DynamicQuantizeLinear")
    >>> grid.scale == np.float32(1 / 255)
    np.True_
    """
    rule = changed_rule(convention, changes)
    lo, hi = value_range(x, axis, ignore_nan=rule.nan == "ignore")
    return choose_grid(lo, hi, bits, signed, rule, axis=axis, qmin=qmin, qmax=qmax)


def _divide(lo: Array, hi: Array, qmin: int, qmax: int, rule: GridRule) -> Array:
    """The scale of (1), in the rule's arithmetic."""
    kind = np.dtype("float64" if rule.arithmetic == "float64" else "float32").type
    n, low, high, least = kind(qmax - qmin), lo.astype(kind), hi.astype(kind), kind(rule.floor)
    absmax, width = np.maximum(np.abs(low), np.abs(high)), high - low
    if rule.degenerate == "floor_width":
        absmax, width = np.maximum(absmax, least), np.maximum(width, least)
    if rule.degenerate == "unit_width":
        absmax, width = np.where(absmax == 0, kind(1), absmax), np.where(width == 0, kind(1), width)
    scale = divide_width(lo, hi, qmax - qmin) if rule.arithmetic == "float32_unbounded" else width / n
    if rule.symmetric and rule.symmetric_scale in SYMMETRIC:
        z = kind(_middle(qmin, qmax, rule))
        symmetric = SYMMETRIC[rule.symmetric_scale](absmax, low, high, kind(qmin), kind(qmax), z)
        scale = np.where(is_mirrored(lo, hi, rule), symmetric, scale)
    rounded_first = rule.stored == "float32" and rule.zero_scale == "stored"
    return np.asarray(scale.astype(np.float32) if rounded_first else scale)


SYMMETRIC: dict[str, Any] = {  # the ways to be symmetric that divide a magnitude; the others mirror the range, in ranges
    "qmax": lambda absmax, lo, hi, qmin, qmax, z: absmax / (qmax - z),
    "half_range": lambda absmax, lo, hi, qmin, qmax, z: absmax / ((qmax - qmin) / qmax.dtype.type(2)),
    "minus_qmin": lambda absmax, lo, hi, qmin, qmax, z: absmax / (z - qmin),
    "no_clipping": lambda absmax, lo, hi, qmin, qmax, z: np.where(lo / qmin > hi / qmax, lo / qmin, hi / qmax),
    "peak_at_qmin": lambda absmax, lo, hi, qmin, qmax, z: np.where(np.abs(hi) > np.abs(lo), -absmax, absmax) / (z - qmin),
}


def _floor(scale: Array, lo: Array, hi: Array, n: int, rule: GridRule) -> tuple[Array, Array, Array]:
    """The scale kept away from 0, and the range where it had to grow with it."""
    kind = scale.dtype.type
    least = kind(np.float32(rule.floor))
    if rule.degenerate in ("floor_scale", "stretch_range"):
        scale = np.maximum(scale, least)
    if rule.degenerate == "one_at_floor":
        scale = np.where(scale > least, scale, kind(1))
    if rule.degenerate == "one_if_flat":
        scale = np.where(lo == hi, kind(1), scale)
    if rule.degenerate == "amplify":
        short = scale.astype(np.float32)
        scale = np.where((short == 0) | np.isinf(np.float32(1) / short), kind(0.1), scale)
    if rule.power_of_two:
        scale = _power_of_two(scale)
    if rule.degenerate == "amplify":
        small, gain = scale < least, np.float32(rule.floor) / scale.astype(np.float32)
        all_of_it = np.float32(rule.floor) * np.float32(n)
        low, high = np.where(hi == 0, -all_of_it, lo * gain), np.where(lo == 0, all_of_it, hi * gain)
        lo, hi = np.where(small & (lo != 0), low, lo), np.where(small & ((hi != 0) | (lo == 0)), high, hi)
        scale = np.where(small, least, scale)
    return scale, lo, hi


def _power_of_two(scale: Array) -> Array:
    """1 / 2^floor(log2(1 / s)) below 1, 2^ceil(log2 s) from 1 up."""
    wide = scale.astype(np.float64)
    above = np.ceil(np.log2(wide).astype(np.float32))  # subtle: in float32 an s one ulp above 2^18 still has log2 = 18
    shift = np.where(wide < 1, np.floor(np.log2(1 / wide)), above).astype(np.int64)
    # subtle: 1 << shift is an int32, whose shift count x86 takes modulo 32: 2^40 becomes 2^8, and 2^31 is negative
    power = (np.int64(1) << (shift % 32)).astype(np.int32).astype(np.float64)
    return np.asarray(np.where(wide < 1, 1 / power, power).astype(scale.dtype))


def _middle(qmin: int, qmax: int, rule: GridRule) -> int:
    if rule.middle == "zero":
        return 0
    if rule.middle == "half_even":
        return int(np.rint((qmin + qmax) / 2))
    if rule.middle == "half_up":
        return int((qmin + qmax + 1) / 2)
    whole = {(0, 255): 128, (0, 65535): 32768}
    return 0 if qmin < 0 else whole.get((qmin, qmax), (qmin + qmax) // 2)


def _zero_point(lo: Array, hi: Array, scale: Array, qmin: int, qmax: int, rule: GridRule) -> Array:
    """The zero point of (2): integers, or fractions where the rule does not round."""
    kind = np.dtype("float64" if rule.arithmetic == "float64" else "float32").type
    half = ROUNDINGS[rule.zero_rounding]
    below, above = lo.astype(kind) / scale.astype(kind), hi.astype(kind) / scale.astype(kind)
    if rule.zero_point == "fraction":
        return np.asarray(-below)
    from_lo, from_hi = kind(qmin) - below, kind(qmax) - above
    if rule.zero_point == "round_quotient":
        z = kind(qmin) - half(below)
    elif rule.zero_point == "round_sum":
        z = half(from_lo)
    else:
        sign = 1 if rule.zero_point == "smaller_sum" else -1
        error_lo, error_hi = abs(qmin) + sign * np.abs(below), abs(qmax) + sign * np.abs(above)
        z = half(np.where(error_lo < error_hi, from_lo, from_hi))
    z = np.where(is_mirrored(lo, hi, rule), kind(_middle(qmin, qmax, rule)), z)
    undefined = {"qmin": qmin, "qmax": qmax, "zero": 0, "int32_min": -(2**31), "int32_wrap": qmax if qmin < 0 else qmin}
    if np.isnan(z).any() and rule.undefined_zero not in undefined:
        raise ValueError(f"the zero point of [{lo}, {hi}] with scale {scale} is not a number; give a range of some width")
    return np.asarray(np.where(np.isnan(z), undefined.get(rule.undefined_zero, 0), np.clip(z, qmin, qmax)).astype(np.int64))
