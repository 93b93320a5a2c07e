"""How integer kernels differ: from an int32 sum to a code, sums of two tensors, dynamic grids, rows of a table as bytes.

Each field is an axis, each option a value that some library uses; a library is one point of that space. What an option
does is said beside it, in the source.

Not here: the arithmetic (requantization, integer_layers, dynamic, tables); the points (conventions).
Read next: distillation_rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinycompress.rule import OWN, Provenance, brief, check_options


@dataclass(frozen=True)
class Requantization:
    """From an exact int32 sum to a code: the multiplier m = s_x s_w / s_y, its arithmetic, its roundings (requantization)."""

    scales: Literal[
        "float32",  # m = fl32(fl32(s_x s_w) / s_y)
        "float32_reciprocal",  # m = fl32(fl32(s_x s_w) fl32(1 / s_y))
        "float64",  # m = s_x s_w / s_y, both steps in float64
        "float32_product",  # m = fl32(s_x s_w) / s_y, the division in float64
        "one_by_one",  # no m is formed: v = ((acc s_x') s_w' + bias) fl32(1 / s_y'), s' = fl32(1 / fl32(1 / s))
    ] = "float32"
    scales_per_channel: Literal["as_scales", "float64"] = "as_scales"  # where s_w is one scale per output
    arithmetic: Literal[
        "float32",  # v = fl32(fl32(acc) fl32(m)), then `rounding`
        "float64",  # v = acc m in float64, then `rounding`
        "fixed_double",  # half_up(acc mantissa / 2^31), then / 2^-shift with `rounding`: two roundings
        "fixed_single",  # acc mantissa / 2^(31 - shift) with `rounding`
        "fraction_8",  # acc half_even(256 m) / 2^8 with `rounding`
    ] = "float32"
    rounding: Literal["half_even", "half_away", "half_up"] = "half_even"
    tail_rounding: Literal["as_rounding", "half_even", "half_away", "half_up"] = "as_rounding"  # of what is left of the flat
    block: int = 1  # array after whole blocks of this many entries, where vector and scalar code round differently
    zero_point: Literal["after", "before"] = "after"  # added to the rounded v, or to v in its own dtype
    beyond_int32: Literal["saturate", "int32_min"] = "saturate"  # a rounded v that int32 cannot hold; int32_min: x86 conversion
    bias: Literal[
        "int32",  # acc + half_even(b / (s_x s_w)), the quotient in float64
        "int32_reciprocal",  # acc + half_even(fl32(b fl32(1 / fl32(s_x s_w))))
        "float",  # fl32(fl32(acc) + fl32(b / fl32(s_x s_w)))
        "float_reciprocal",  # fl32(fl32(acc) + b fl32(1 / fl32(s_x s_w))), rounded once
        "after_scales",  # see scales = "one_by_one"
    ] = "int32"
    bias_per_channel: Literal["as_bias", "float"] = "as_bias"
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class Addition:
    """How two tensors of codes, each with its own grid, are added into a third grid (integer_layers)."""

    arithmetic: Literal[
        "ratios",  # with r = fl32(s / s_y): v = (a - z_a) r_a + (b - z_b) r_b, each step in float32
        "ratios_fused",  # v = fma(a, r_a, fma(b, r_b, z_y - fma(r_a, z_a, fl32(r_b z_b)))): z_y inside the rounding
        "values",  # v = fl32(fl32((a - z_a) s_a + (b - z_b) s_b) fl32(1 / s_y))
        "fixed",  # both rescaled to 2 max(s_a, s_b) / 2^20 by fixed_double, added, rescaled to s_y
        "shared_shift",  # integer multipliers of `bits` significant bits and one shift for both
    ] = "ratios"
    bits: int = 21  # of the larger multiplier, shared_shift only
    rounding: Literal["half_even", "half_away", "half_up"] = "half_even"
    zero_point: Literal["after", "before"] = "after"
    tail_zero_point: Literal["as_zero_point", "before"] = "as_zero_point"  # of what is left of the flat array after whole
    block: int = 1  # blocks of this many entries
    fma: bool = False  # values: a s_a - fl32(s_a z_a) rounded once, in whole blocks
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class DynamicLinear:
    """Float in, float out, integers between: the activation's grid is chosen from the batch at hand (dynamic)."""

    grid: str = ""  # the grid_rule that turns the range of x into scale and zero point; empty: the default of this package
    elementwise: str = ""  # the rule that turns x into codes; empty: the default of this package
    reduce_range: Literal["follow", "ignore"] = "follow"  # ignore: asking for a grid over 0 ... 127 has no effect
    output: Literal[
        "product",  # y = fl32(fl32(acc) fl32(s_x s_w)) + b
        "product_fma",  # y = fl32(acc fl32(s_x s_w) + b), rounded once
        "one_by_one",  # y = fl32(fl32(fl32(acc) s_x') s_w') + b, s' = fl32(1 / fl32(1 / s))
    ] = "product"
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class RowFormat:
    """Rows of a table as bytes: [codes, low bits first][scale][bias], little-endian; value = code scale + bias (tables)."""

    bits: Literal[8, 4, 2] = 8
    dtype: Literal["float32", "float16"] = "float32"  # of scale and bias
    codes_from: Literal["stored", "unrounded"] = "stored"  # the scale and bias that codes are computed with
    epsilon: float = 0.0  # added to the row's width, in the codes only
    empty_row: Literal["one", "zero"] = "one"  # the scale of a row without width, or whose scale has no finite reciprocal
    clip: bool = True  # codes into [0, 2^bits - 1]; without: the low 8 bits of the rounded number
    lanes: int = 0  # of the vector code that takes the minimum: decides the sign of a zero bias. 0: it is +0.0
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)
