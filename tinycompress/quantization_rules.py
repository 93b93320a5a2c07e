"""How quantization libraries differ on one number, on a grid, on a learned scale, on a histogram of what was observed.

Each field is an axis, each option a value that some library uses; a library is one point of that space. What an option
does is said beside it, in the source.

Not here: the arithmetic (elementwise, grid_rules, learned_scale, collectors); the points (conventions). Read next: integer_rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinycompress.rule import OWN, Provenance, brief, check_options


@dataclass(frozen=True)
class Elementwise:
    """How a value becomes a code and a code a value, one number at a time; interpreted by elementwise.

    fl() rounds to the dtype of x; v is the number that is rounded, r the rounded number, q the code in [qmin, qmax].
    """

    scale_dtype: Literal["as_x", "float32", "float64"] = "as_x"  # the width s is rounded to, and its reciprocal computed in
    scaling: Literal["divide", "reciprocal", "divide_float64"] = "divide"  # fl(x / s), fl(x fl(1 / s)), x / s in float64
    origin: Literal["zero", "range_start"] = "zero"  # range_start: x is measured from the value of code qmin
    zero_point: Literal[
        "after",  # q = r + z
        "inside",  # v = fl(fl(x / s) + z), q = r: ties fall otherwise where z is odd
        "inside_fma",  # v = fl(x fl(1 / s) + z), product and sum rounded once
        "after_unless_float",  # after where the grid's z is an integer, inside_fma where it is of a floating dtype
    ] = "after"
    nudge: Literal["as_given", "half_even", "half_away"] = "as_given"  # how a z of floating dtype becomes a code, so that 0.0 has
    # one: round(fl(qmin - fl(value of qmin / s))), clipped to the codes; the range shifts with it
    rounding: Literal[
        "half_even", "half_away", "half_up", "half_down", "toward_zero", "floor", "ceil",
        "half_up_by_adding", "half_even_above_zero", "stochastic",
    ] = "half_even"  # fmt: skip
    clamp: Literal["after_rounding", "before_rounding", "input", "none"] = "after_rounding"  # before_rounding: v is clipped, and
    # since the ends are whole the code is the same; input: x is clipped to the values of qmin and qmax; none: codes pass the ends
    saturation: Literal[
        "saturate",  # clipped in floating point, then cast
        "int32_first",  # cast first: what int32 cannot hold is -2^31, as x86 has it; z is added to that and wraps
        "int32_below_top_first",  # the same, but all above 2147483520, and NaN, is held there first
        "int64_first",  # z is added in floating point, then cast: what int64 cannot hold is -2^63
    ] = "saturate"
    nan: Literal["raise", "qmin", "qmax", "zero", "zero_point", "cast", "keep"] = "raise"  # the code of a NaN v; cast: what the
    # cast makes of it, the low bits of -2^31 after saturating, that number itself where the cast comes first; keep: no code,
    # but fake_quantize answers NaN
    zero_sign: Literal["dropped", "kept"] = "dropped"  # kept: codes are floats there, and small negative x answers -0.0
    dequantize: Literal[
        "difference",  # fl((q - z) s)
        "difference_int32",  # q - z wraps in int32, is rounded to the dtype, then multiplied
        "difference_float",  # fl(fl(q) - fl(z)), then multiplied; neither shows in codes of up to 16 bits
        "parts",  # fl(fl(q s) - fl(z s))
        "fma",  # fl(q s - fl(z s)), rounded once
        "from_range_start",  # fl(fl((q - qmin) s) + value of qmin)
        "divide",  # fl((q - z) / fl(1 / s))
    ] = "difference"
    dequantize_scale: Literal["as_x", "float32", "float64"] = "as_x"  # float64: the product too, rounded once at the end
    mask: Literal["rounded", "unrounded", "amax", "range", "all"] = "rounded"  # where the gradient passes: qmin <= r + z <= qmax;
    # the same of v; |x| <= fl(qmax s); between the values of qmin and qmax; everywhere
    wide: str = ""  # the entry that serves codes of more than 8 bits, where the peer has another kernel for them
    block: int = 0  # a vector kernel's width: what follows the last full block, flattened, is computed by the entry `tail`
    tail: str = ""
    provenance: Provenance = OWN

    def __repr__(self) -> str:
        return brief(self)

    def __post_init__(self) -> None:
        check_options(self)
        if self.zero_point in ("inside_fma", "after_unless_float") and self.scaling != "reciprocal":
            raise ValueError(f"{self.zero_point} fuses a product, and scaling is {self.scaling!r}; use 'reciprocal'")


@dataclass(frozen=True)
class GridRule:
    """From a range [lo, hi] to scale s and zero point z of a grid with codes qmin ... qmax, n = qmax - qmin (grid_rules)."""

    symmetric: bool = False  # True: z in the middle of the codes, s from the larger magnitude; False: codes spread from lo to hi
    one_sided: Literal["symmetric", "asymmetric"] = "symmetric"  # a range on one side of zero, when symmetric is asked for
    narrow: Literal[False, True, "symmetric", "symmetric_from_8_bits"] = "symmetric"  # the lowest code unused (signed): when
    reduce_range: bool = False  # one bit fewer, against overflow of int16 sums: floor(qmin / 2) ... floor(qmax / 2)
    reduced_top: Literal["half", "minus_qmin_from_8_bits"] = "half"  # or a signed range as long above zero as below
    widen: Literal[True, False, "below"] = True  # the range holds 0.0, which then has an exact code; below: only lo moves
    min_real_range: float = 0.0  # hi is raised to lo + this, before the range is mirrored
    symmetric_scale: Literal[
        "qmax",  # absmax / (qmax - z): both ends fit, the lowest code is a spare
        "half_range",  # absmax / (n / 2): +absmax lies half a step beyond qmax
        "minus_qmin",  # absmax / (z - qmin): +absmax lies one step beyond qmax
        "no_clipping",  # max(lo / qmin, hi / qmax): the smallest s that clips neither end
        "peak_at_qmin",  # the end of larger magnitude over qmin: negative when that end is hi
        "mirror_negative",  # 2 absmax / n if lo < 0, else hi / n
        "range_over_steps",  # d = max(hi / floor(n/2), -lo / ceil(n/2)); from -d ceil(n/2) to d floor(n/2); n = 3: hi / 2
        "range_over_steps_and_one",  # the same with floor(n/2) + 1 steps below zero, and no exception
    ] = "qmax"
    middle: Literal["half_up", "half_even", "zero", "of_dtype"] = "half_up"  # z when symmetric: (qmin + qmax) / 2 rounded;
    # of_dtype: signed 0; unsigned 128 or 32768 where the codes are all of 8 or 16 bits, else floor((qmin + qmax) / 2)
    arithmetic: Literal["float32", "float32_unbounded", "float64"] = "float32_unbounded"  # unbounded: hi - lo cannot overflow
    stored: Literal["float32", "float64"] = "float32"  # the scale that is returned
    power_of_two: bool = False  # scale 1 / 2^floor(log2(1 / s)), or 2^ceil(log2 s) from 1 up; shift counts wrap at 32 as on x86
    degenerate: Literal[
        "none",  # s may be 0, and what follows is arithmetic with 0
        "one_below_floor",  # s < floor: s = 1, z = 0
        "one_at_floor",  # s <= floor: s = 1, and z is computed with it
        "floor_scale",  # s = max(s, floor)
        "floor_width",  # hi - lo (symmetric: absmax) at least floor
        "replace_zero",  # s = floor where s is 0, after z was computed with 0
        "one_if_flat",  # s = 1 where hi = lo
        "unit_width",  # hi - lo (symmetric: absmax) = 1 where it is 0
        "unit_range",  # [-1, 1] where lo = hi = 0
        "stretch_range",  # s < floor: hi raised by n floor (symmetric: both ends by half of that)
        "amplify",  # s or 1 / s not a normal float32: 0.1; then s < floor: s = floor, and the range grows by floor / s
    ] = "one_below_floor"
    floor: float = 1e-45  # below the smallest subnormal: only s = 0 is degenerate
    zero_point: Literal[
        "round_sum",  # round(qmin - lo / s)
        "round_quotient",  # qmin - round(lo / s)
        "smaller_sum",  # round_sum, from hi and qmax where |qmin| + |lo / s| >= |qmax| + |hi / s|
        "smaller_difference",  # the same with - for +
        "fraction",  # -lo / s, not rounded
    ] = "round_sum"
    zero_scale: Literal["stored", "unrounded"] = "stored"  # the scale that z is computed with, where s is float64 first
    zero_rounding: Literal["half_even", "half_away"] = "half_even"
    undefined_zero: Literal["refuse", "qmin", "qmax", "zero", "int32_min", "int32_wrap"] = "refuse"  # 0 / 0 or inf / inf;
    # int32_min: -2^31, as x86 casts NaN; int32_wrap: from there qmin - (-2^31) wraps and is clamped: qmax if qmin < 0, else qmin
    nan: Literal["refuse", "propagate", "ignore"] = "refuse"  # an observed NaN; ignore: as if it had not been observed
    infinite: Literal["refuse", "propagate", "largest"] = "refuse"  # an infinite end; largest: the largest float32 instead
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class LearnedScale:
    """How a scale that is trained gets its gradient; interpreted by learned_scale."""

    scaling: Literal["divide", "reciprocal"] = "divide"  # as in Elementwise
    clamp: Literal["before_rounding", "after_rounding"] = "before_rounding"  # which also says what counts as clipped:
    # x / s itself outside the range (7.4 of 7 is clipped), or the code it rounds to (7.4 is not)
    at_the_edge: Literal["inside", "clipped"] = "inside"  # x / s exactly at an end; clipped: nothing to x, the end's code to s
    form: Literal["chain", "residual", "fused"] = "chain"  # of the terms that sum to ds, equal but for rounding. chain: dy r and
    # -(dy s) (x / s) / s, as a chain of elementary derivatives leaves them, dx = (dy s) / s too; residual: dy (y - x) / s;
    # fused: the same, with y - x rounded once, and the code that decides what is clipped from x (1 / s) + z rounded once
    sum: Literal["float64", "float32_lanes"] = "float64"  # of float32 terms; lanes: as torch adds them if contiguous
    zero_point_backward: Literal[
        "half_even",  # a fractional z becomes a code as in the forward pass
        "trunc_plus_half_per_tensor",  # trunc(z + 1/2) where one scale serves all of x, half_even where each channel has its own
    ] = "half_even"
    provenance: Provenance = OWN

    def __repr__(self) -> str:
        return brief(self)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class HistogramRule:
    """How values are gathered into bins batch by batch, and where the histogram is then cut (collectors)."""

    bins: int = 2048  # of the first batch
    values: Literal["signed", "absolute"] = "signed"
    first_edges: Literal["minus_to_plus_absmax", "min_to_max", "zero_to_max"] = "minus_to_plus_absmax"
    growth: Literal[
        "bins_at_both_ends",  # as many bins of the old width as the new values need, the same number at both ends
        "bins_at_top",  # the same at the upper end only
        "redistribute",  # the same number of bins over the wider range; each old bin is cut into 16, put where its middle falls
    ] = "bins_at_both_ends"
    arithmetic: Literal["numpy", "torch"] = "numpy"  # whose rounding of the bin index: numpy.histogram's or torch.histc's
    cut: Literal["percentile", "divergence", "walk"] = "percentile"  # the functions of that name in cuts
    percent: float = 99.99  # kept, where the cut is a percentile
    levels: int = 128  # codes, where the cut is a divergence or a walk
    provenance: Provenance = OWN
    def __repr__(self) -> str:
        return brief(self)
    def __post_init__(self) -> None:
        check_options(self)
