"""Which codes, and which range: what a rule makes of the smallest and the largest value before anything is divided.

A range may be widened to hold zero, mirrored about it, stretched when it is too short, or left alone; the codes may leave
out the lowest one, or half of all. NaN and infinities are settled here too. Each choice is a field of GridRule.

Letters     lo, hi the ends of a range; n = qmax - qmin steps
Not here: scale and zero point (grid_rules), ranges that leave outliers out (calibration). Read next: grid_rules.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import GridRule, resolve
from tinycompress.grids import Array, code_range

OWN = GridRule()


def fit_range(
    lo: npt.ArrayLike, hi: npt.ArrayLike, bits: int = 8, signed: bool = True, convention: GridRule | str = OWN,
    *, qmin: int | None = None, qmax: int | None = None, **changes: Any,
) -> tuple[Array, Array]:  # fmt: skip
    """Return the range that a convention divides into steps in place of [lo, hi].

    Equation    widened:   lo = min(lo, 0), hi = max(hi, 0)                                                   (1)
                stretched: hi + n e, or symmetric: lo - ceil(n/2) e, hi + floor(n/2) e, e the least scale     (2)
                mirrored:  lo = -max(|lo|, hi), hi = max(|lo|, hi)                                            (3)
                           lo = -d u, hi = d floor(n/2), d = max(hi / floor(n/2), -lo / u), u steps below 0   (4)
    Shapes      lo, hi of equal shapes -> two of that shape, float32
    Convention  which of these: GridRule.widen, .degenerate, .symmetric_scale. (3) and (4) are for rules that mirror the range;
                others are symmetric by how they divide, and see only (1) here
    Raises      ValueError if lo is above hi, or the rule refuses what was observed, or bits is outside 2 ... 16
    Source      conventions.toml, kind grid_rule: each library's own

    >>> lo, hi = fit_range(0.5, 2.0, convention="aimet.MinMaxEncodingAnalyzer", symmetric=True)
    >>> float(lo), float(hi)
    (-2.0157480239868164, 2.0)
    """
    rule = changed_rule(convention, changes)
    qmin, qmax = code_ends(bits, signed, rule, qmin, qmax)
    low, high = observe_ends(lo, hi, rule)
    n, half = qmax - qmin, (qmax - qmin) // 2
    with np.errstate(all="ignore"):  # on purpose: each rule says what becomes of overflow and underflow
        mirrored = is_mirrored(low, high, rule)
        low = np.minimum(low, np.float32(0)) if rule.widen else low  # (1)
        high = np.maximum(high, np.float32(0)) if rule.widen is True else high
        high = np.maximum(high, low + np.float32(rule.min_real_range)) if rule.min_real_range else high
        if rule.degenerate == "unit_range":
            flat = (low == 0) & (high == 0)
            low, high = np.where(flat, np.float32(-1), low), np.where(flat, np.float32(1), high)
        if rule.degenerate == "stretch_range":
            least = np.float32(rule.floor)
            more = np.where((high - low) / np.float32(n) < least, least, np.float32(0))
            below, above = (n - half, half) if rule.symmetric else (0, n)
            low, high = low - np.float32(below) * more, high + np.float32(above) * more
        if rule.symmetric_scale == "mirror_negative":
            peak = np.maximum(np.abs(low), high)
            low, high = np.where(mirrored & (low < 0), -peak, low), np.where(mirrored, peak, high)  # (3)
        if rule.symmetric_scale in ("range_over_steps", "range_over_steps_and_one"):
            one = rule.symmetric_scale == "range_over_steps_and_one"
            up, down = half + 1 if one else n - half, half + (n == 3 and not one)
            step = np.maximum(high / np.float32(down), -low / np.float32(up))
            low, high = np.where(mirrored, np.float32(-up) * step, low), np.where(mirrored, np.float32(half) * step, high)  # (4)
        if rule.infinite == "largest":
            largest = np.finfo(np.float32).max
            low, high = np.clip(low, -largest, largest), np.clip(high, -largest, largest)
    return np.asarray(low), np.asarray(high)


def changed_rule(convention: GridRule | str, changes: dict[str, Any]) -> GridRule:
    """Return the rule of that name, or the record itself, with some fields changed; None leaves a field as it is.

    Shapes      takes no arrays
    Raises      ValueError if there is no such rule or option, TypeError if there is no such field
    Source      this package

    >>> changed_rule("torch.MinMaxObserver", {"symmetric": True, "floor": None}).symmetric_scale
    'half_range'
    """
    return replace(resolve(convention, GridRule), **{field: value for field, value in changes.items() if value is not None})


def code_ends(bits: int, signed: bool, rule: GridRule, qmin: int | None = None, qmax: int | None = None) -> tuple[int, int]:
    """Return the smallest and the largest code that a rule uses; qmin or qmax, where given, is taken as it is.

    Shapes      takes no arrays
    Raises      ValueError if bits is outside 2 ... 16 and qmin or qmax is missing
    Source      conventions.toml, kind grid_rule

    >>> code_ends(8, True, GridRule(reduce_range=True)), code_ends(8, True, GridRule(symmetric=True))
    ((-64, 63), (-127, 127))
    """
    if qmin is not None and qmax is not None:
        return qmin, qmax
    low, high = code_range(bits, signed)
    wide = signed and bits >= 8
    if rule.reduce_range:
        low, high = low // 2, high // 2 + (wide and rule.reduced_top == "minus_qmin_from_8_bits")
    else:
        unused = {"symmetric": signed and rule.symmetric, "symmetric_from_8_bits": wide and rule.symmetric}
        low += unused.get(str(rule.narrow), bool(rule.narrow))
    return low if qmin is None else qmin, high if qmax is None else qmax


def observe_ends(lo: npt.ArrayLike, hi: npt.ArrayLike, rule: GridRule) -> tuple[Array, Array]:
    """Return lo and hi as float32 arrays of one shape, with NaN and infinities treated as the rule says.

    Shapes      lo, hi of shapes that broadcast -> two of the common shape
    Raises      ValueError if lo is above hi, or the rule refuses NaN or an infinity and there is one
    Source      conventions.toml, kind grid_rule

    >>> observe_ends(float("nan"), 2.0, GridRule(nan="ignore"))
    (array(0., dtype=float32), array(2., dtype=float32))
    """
    with np.errstate(over="ignore", under="ignore"):
        low, high = np.broadcast_arrays(*(np.asarray(end).astype(np.float32) for end in (lo, hi)))
    if rule.nan == "ignore":
        low, high = np.where(np.isnan(low), np.float32(0), low), np.where(np.isnan(high), np.float32(0), high)
    if rule.nan == "refuse" and (np.isnan(low) | np.isnan(high)).any():
        raise ValueError(f"the range is [{low}, {high}]; remove NaN from the data, or follow a rule that says what NaN becomes")
    if rule.infinite == "refuse" and (np.isinf(low) | np.isinf(high)).any():
        raise ValueError(f"the range is [{low}, {high}], infinite in float32; clip the data, or follow a rule that lets it pass")
    if (low > high).any():
        raise ValueError(f"lo {low} is above hi {high}; give the smaller end first")
    return low, high


def is_mirrored(lo: Array, hi: Array, rule: GridRule) -> npt.NDArray[np.bool_]:
    """Return where a rule's symmetric formulas hold: everywhere or nowhere, or only where a range has both signs.

    Shapes      lo, hi of one shape -> bool of that shape
    Source      conventions.toml, kind grid_rule

    >>> is_mirrored(np.array([-1.0, 1.0]), np.array([2.0, 2.0]), GridRule(symmetric=True, one_sided="asymmetric"))
    array([ True, False])
    """
    everywhere = rule.symmetric and rule.one_sided == "symmetric"
    return (lo < 0) & (hi > 0) & rule.symmetric | everywhere
