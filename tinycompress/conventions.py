"""The rules on which libraries differ, as frozen records: one class per operation, one field per rule.

A convention is a point in a small product space. The classes below name the axes and their options; the values that
other libraries chose stand in conventions.toml, one entry per outside operation, with the build they were measured on.
Functions that follow a convention take `convention=`: a record, or the name of an entry.

Not here: any arithmetic. A record is only values; the module that does the arithmetic interprets them.
Read next: pruning, quantization, distillation, whose functions take these records.
"""
from __future__ import annotations

import functools
import tomllib
import typing
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, Literal, TypeVar

T = TypeVar("T")


def _check_options(record: Any) -> None:
    """Refuse a value that is not among the options its field declares."""
    for name, hint in typing.get_type_hints(type(record)).items():
        if typing.get_origin(hint) is Literal and getattr(record, name) not in typing.get_args(hint):
            options = ", ".join(map(repr, typing.get_args(hint)))
            raise ValueError(f"{type(record).__name__}.{name} is {getattr(record, name)!r}; use one of {options}")


@dataclass(frozen=True)
class Provenance:
    """Where the values of a record come from: a claim about one build, not about a brand."""

    source: str  # project, file or document that the rule was read in or measured on
    version: str  # of the build that was measured
    hardware: str  # of that measurement
    date: str  # year-month of that measurement
    note: str = ""  # what a reader would trip over, or what no rule reproduces


OWN = Provenance("tinycompress", "0.1", "any", "2026-11", "the default of this package")

# Record classes: each has `provenance` as its last field and `__post_init__ = _check_options`.


@dataclass(frozen=True)
class CountRule:
    """How many entries `sparsity` means, and which of them where magnitudes tie; interpreted by counting."""

    of: Literal["pruned", "kept"] = "pruned"  # the side whose number is rounded: s n, or (1 - s) n
    rounding: Literal["half_even", "floor", "ceil"] = "half_even"
    offset: Literal[-1, 0, 1] = 0  # added to the pruned number: thresholds that are one index off
    base: Literal["n", "n_minus_1"] = "n"
    precision: Literal["float64", "float32"] = "float64"  # of 1 - s and of the product
    relative_to: Literal["total", "remaining"] = "total"  # with an existing mask: n counts all entries, or those still kept
    at_threshold: Literal["exact", "keep_all", "prune_all"] = "exact"  # entries equal to the threshold
    at_threshold_global: Literal["as_local", "exact", "keep_all", "prune_all"] = "as_local"  # when layers are ranked jointly
    ties: Literal["low_index_pruned_first", "high_index_pruned_first", "unspecified"] = "low_index_pruned_first"  # if exact;
    # unspecified: the peer's own order comes from the internals of its selection, here the low index is pruned first
    at_minimum: Literal["as_elsewhere", "shuffle", "shuffle_floor"] = "as_elsewhere"  # when the threshold is the smallest
    # magnitude of all: prune the first k (or floor(s n)) of those minima, in the order of Python's random.Random(42).shuffle
    when_none: Literal["allow", "error"] = "allow"  # the rule prunes nothing
    when_all: Literal["allow", "keep_one", "skip"] = "allow"  # it would leave nothing; skip: then it prunes nothing
    when_beyond: Literal["clip", "error"] = "clip"  # it asks for more than there are
    sparsity_one: Literal["as_elsewhere", "prune_all", "error"] = "as_elsewhere"
    score: Literal["magnitude", "square"] = "magnitude"  # square: w w in the dtype of w, where small numbers underflow and tie
    nan: Literal["error", "largest", "never_kept"] = "error"  # never_kept: ranks above infinity, then fails the comparison
    provenance: Provenance = OWN
    __post_init__ = _check_options


@dataclass(frozen=True)
class NMRule:
    """Which entries of each group of a row are kept; interpreted by patterns."""

    first_number: Literal["kept", "pruned"] = "kept"  # what "2" counts where the outside library writes 2:4
    select: Literal["rank", "best_pattern"] = "rank"  # best_pattern: the first largest float32 sum over all patterns, in the
    # order in which CPython iterates over the set of them
    ties: Literal["low_index_kept", "high_index_kept", "unspecified"] = "low_index_kept"  # unspecified: as for counts; here low
    ragged: Literal["short_group", "zero_pad", "top_pad", "straddle_rows", "error"] = "short_group"  # the last group of a row:
    # short_group keeps min(keep, its length); zero_pad ranks zeros behind it, top_pad something larger than all weights;
    # straddle_rows cuts the flattened array into groups, and needs only its size to be a multiple
    keep_none: Literal["allow", "error"] = "allow"  # keep = 0
    score: Literal["magnitude", "square"] = "magnitude"
    nan: Literal["error", "spreads"] = "error"  # spreads: every sum of the group is NaN, and the first pattern wins
    provenance: Provenance = OWN
    __post_init__ = _check_options


@dataclass(frozen=True)
class ScheduleRule:
    """How a training step becomes the progress and the sparsity of a polynomial schedule; interpreted by schedules."""

    form: Literal["from_final", "from_initial", "share_of_final"] = "from_final"  # with c = (1 - progress)^power:
    # s_f + (s_i - s_f) c;  s_i + (s_f - s_i) (1 - c);  s_f (1 - (1 - s_i) c), where s_i is itself a share of s_f
    progress: Literal["this_step", "next_step"] = "this_step"  # of step t: t - begin, or t + 1 - begin
    span: Literal["to_end", "to_last_update"] = "to_end"  # to_last_update: the last multiple of frequency before end
    update_at: Literal["frequency_from_begin", "frequency_from_zero", "every_step"] = "frequency_from_begin"
    end_included: Literal["yes", "no"] = "yes"  # whether step = end still updates
    before_begin: Literal["initial", "zero"] = "initial"
    empty_span: Literal["error", "nan", "final"] = "error"  # begin = end
    falling: Literal["allow", "stay", "error"] = "allow"  # initial > final; stay: at initial
    final_one: Literal["allow", "error"] = "allow"  # final = 1
    precision: Literal["float64", "float32"] = "float64"
    provenance: Provenance = OWN
    __post_init__ = _check_options


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
    __post_init__ = _check_options


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
    __post_init__ = _check_options


@dataclass(frozen=True)
class Addition:
    """How two tensors of codes, each with its own grid, are added into a third grid (integer_elementwise)."""

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
    __post_init__ = _check_options


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
    __post_init__ = _check_options


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
    __post_init__ = _check_options


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

    def __post_init__(self) -> None:
        _check_options(self)
        if self.zero_point in ("inside_fma", "after_unless_float") and self.scaling != "reciprocal":
            raise ValueError(f"{self.zero_point} fuses a product, and scaling is {self.scaling!r}; use 'reciprocal'")


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

    def __post_init__(self) -> None:
        _check_options(self)


@dataclass(frozen=True)
class SoftTargetRule:
    """What a student pays for differing from its teacher's softened row; interpreted by soft_targets and distillation."""

    divergence: Literal[
        "forward_kl",  # KL(p_t || p_s), p the softmax of logits / T
        "reverse_kl",  # KL(p_s || p_t)
        "jensen_shannon",
        "cross_entropy",  # forward_kl plus the entropy of p_t: the same gradient
        "squared_logits",  # sum of (z_s - z_t)^2 / T^2
        "squared_probabilities",  # sum of (p_s - p_t)^2
        "kl_of_probabilities",  # sum of p_t (log p_t - p_s): a KL whose first argument should have been log p_s; may be negative
    ] = "forward_kl"
    temperature_factor: Literal["squared", "linear", "one"] = "squared"  # T^2, T or 1 times the divergence
    reduction: Literal["batchmean", "mean", "sum"] = "batchmean"  # sum over rows and classes over N, over N C, or over nothing;
    # the hard term of a joint loss is a mean over rows, under "sum" a sum
    alpha: Literal["separate", "on_soft", "on_hard"] = "separate"  # which term the peer's alpha weighs; the other has 1 - alpha
    hard_temperature: Literal["one", "same"] = "one"  # of the term that looks at the labels
    without_hard: Literal["as_elsewhere", "bare"] = "as_elsewhere"  # bare: where the hard weight is 0, the divergence alone is
    # returned, without the factor of T and without its weight
    split: Literal["none", "target_and_rest"] = "none"  # target_and_rest: the labelled class against the others, and the others
    # among themselves, as two divergences with a weight each (decoupled_distillation)
    provenance: Provenance = OWN
    __post_init__ = _check_options


@dataclass(frozen=True)
class RankingRule:
    """How a teacher's list of best items is weighed position by position; interpreted by ranking_distillation, relaxed_ranking."""

    student_rank_from: Literal[0, 1] = 1  # the number of the best place, in the rank estimated for the student
    position_from: Literal[0, 1] = 1  # the same for the place in the teacher's list
    renormalized: bool = False  # the product of static and dynamic weights is divided by its sum
    exponentials: Literal["shifted", "plain"] = "shifted"  # plain: log(sigmoid(x)) and log(sum(exp(x))) as written, which
    # overflow in the dtype of x to inf
    reduction: Literal["batchmean", "sum"] = "batchmean"  # over users
    provenance: Provenance = OWN
    __post_init__ = _check_options


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
    __post_init__ = _check_options


RECORDS: dict[str, type] = {}  # kind in conventions.toml -> class
RECORDS |= {"elementwise": Elementwise, "learned_scale": LearnedScale}
RECORDS |= {"grid_rule": GridRule, "histogram_rule": HistogramRule}
RECORDS |= {"count_rule": CountRule, "n_m_rule": NMRule, "schedule_rule": ScheduleRule}
RECORDS |= {"requantization": Requantization, "addition": Addition, "dynamic_linear": DynamicLinear, "row_format": RowFormat}
RECORDS |= {"soft_target_rule": SoftTargetRule, "ranking_rule": RankingRule}


@functools.cache
def _entries() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("conventions.toml").read_text(encoding="utf-8")
    origin = {f.name for f in fields(Provenance)}
    records = {}
    for name, entry in tomllib.loads(text).items():
        kind = RECORDS[entry.pop("kind")]
        provenance = Provenance(**{k: entry.pop(k) for k in list(entry) if k in origin})
        records[name] = kind(**entry, provenance=provenance)
    return records


def names() -> list[str]:
    """List the names `get` knows, in the order of conventions.toml.

    Shapes      takes none
    Source      conventions.toml, where each entry has its own

    >>> "torch.quantize_per_tensor" in names()
    True
    """
    return list(_entries())


def get(name: str) -> Any:
    """Return the frozen record of one outside operation, by that operation's own name.

    Shapes      takes none
    Raises      ValueError if no entry has that name; the nearest names are given
    Source      conventions.toml, where each entry has its own

    >>> get("torch.quantize_per_tensor").provenance.version
    '2.13.0+cpu'
    """
    if name not in _entries():
        import difflib

        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.3)
        raise ValueError(f"no convention is named {name!r}; nearest: {', '.join(near) or 'none'}; see conventions.names()")
    return _entries()[name]


def resolve(convention: T | str, kind: type[T]) -> T:
    """Return `convention` as a record of class `kind`, looking it up when it is a name.

    Shapes      takes none
    Raises      ValueError if the record is of another class than the function needs
    Source      this package

    >>> resolve("torch.quantize_per_tensor", type(get("torch.quantize_per_tensor"))).zero_point
    'inside_fma'
    """
    record = get(convention) if isinstance(convention, str) else convention
    if not isinstance(record, kind):
        raise ValueError(f"{convention!r} is a {type(record).__name__}; this function needs a {kind.__name__}")
    return record
