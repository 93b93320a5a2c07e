"""The axes of the operations that answer codes, masks, bytes and single-rounded floats, each option in a sentence.

The first option of an axis is the default of this package. Options are named by what they do, never by who does it.

Letters     x values, s scale, z zero_point, q codes, fl() rounding to float32, r() the rounding of the `rounding` axis
Not here: losses and metrics (axes_floats), what a point computes (oracle). Read next: axes_floats.
"""
from __future__ import annotations

Axis = dict[str, str]  # option -> sentence

ROUNDING: Axis = {
    "half_even": "to nearest, ties to the even number",
    "half_away": "to nearest, ties away from zero",
    "half_up": "to nearest, ties toward +infinity: floor(v + 1/2)",
    "half_down": "to nearest, ties toward -infinity: ceil(v - 1/2)",
    "half_up_added": "floor(fl(v + 1/2)): half up, but the largest number below 1/2 goes up too, its sum is rounded",
    "half_away_added": "half away by fl(|v| + 1/2): the largest number below 1/2 goes away from zero too",
    "half_to_zero": "to nearest, ties toward zero",
    "toward_zero": "the fraction is cut off, as a cast to int does",
    "away_from_zero": "to the next integer away from zero",
    "floor": "to the next integer below",
    "ceil": "to the next integer above",
}
SCALING: Axis = {
    "divide": "fl(x / s)",
    "reciprocal": "fl(x fl(1 / s))",
    "divide64": "x / s in float64",
    "reciprocal64": "x (1 / s) in float64",
}
ZERO_POINT: Axis = {
    "after": "r(x / s) + z: added to the rounded number",
    "inside": "r(fl(x / s + z)): added before the rounding",
    "inside_fma": "r(fma(x, 1 / s, z)): added before the rounding, with one rounding for product and sum",
}
SATURATION: Axis = {
    "saturate": "clamped to qmin ... qmax before any cast",
    "int32_first": "cast to int32 first, where everything beyond is -2^31; adding z may wrap; then clamped",
    "int64_first": "z is added, then cast to int64, where everything beyond is -2^63; then clamped",
    "wrap": "not clamped: taken modulo the number of codes, a power of two; NaN and what int32 cannot hold become anything",
}
NAN: Axis = {
    "qmin": "a NaN becomes qmin",
    "qmax": "a NaN becomes qmax",
    "zero": "a NaN becomes code 0",
    "zero_point": "a NaN becomes the zero point",
    "cast": "a NaN is cast to -2^31 before z is added, which wraps for z < 0, and clamped then",
    "error": "a NaN is refused with a ValueError",
}
SCALE: Axis = {"float32": "s is rounded to float32 before use",
    "float64": "s is used as the float64 that was passed, and dequantize computes in float64"}
RANGE: Axis = {
    "as_given": "all codes from qmin to qmax",
    "narrow": "where qmin is the lowest code -2^(b-1) of a signed dtype, it is not used",
}
ORDER: Axis = {
    "difference": "fl((q - z) s)",
    "products": "fl(fl(q s) - fl(z s))",
    "fma": "fma(q, s, -fl(z s))",
}
_QUANTIZE = {"rounding": ROUNDING, "scaling": SCALING, "zero_point": ZERO_POINT, "saturation": SATURATION, "nan": NAN,
             "scale": SCALE, "range": RANGE}  # fmt: skip
_PACKING: dict[str, Axis] = {
    "order": {
        "low_first": "element 0 in the low bits of byte 0",
        "high_first": "element 0 in the high bits of byte 0",
        "split_low": "with n bytes: byte j holds elements j, n + j, ..., the first in its low bits",
        "split_high": "with n bytes: byte j holds elements j, n + j, ..., the first in its high bits",
    },
}

INTEGER_AXES: dict[str, dict[str, Axis]] = {
    "quantize": _QUANTIZE,
    "dequantize": {
        "order": ORDER,
        "scale": SCALE,
        "difference": {"wide": "q - z in integers wide enough", "wraps": "q - z in the dtype of the codes, modulo its size"},
    },
    "symmetric_qparams": {
        "divisor": {
            "qmax": "absmax / (2^(b-1) - 1)",
            "half_range": "absmax / ((2^b - 1) / 2)",
            "minus_qmin": "absmax / 2^(b-1)",
            "no_clipping": "max(min / -2^(b-1), max / (2^(b-1) - 1))",
        },
        "peak": {"absolute": "the largest |x|", "largest": "the largest x, sign and all"},
        "degenerate": {
            "one": "all zero or empty: 1.0",
            "zero": "all zero or empty: 0.0",
            "epsilon": "never below the float32 epsilon 2^-23",
            "tiny": "never below the smallest normal float32 2^-126",
        },
    },
    "asymmetric_qparams": {
        "widen": {"yes": "the range is widened to hold 0", "no": "the range is min ... max as observed"},
        "steps": {"codes_minus_one": "(max - min) / (2^b - 1)", "codes": "(max - min) / 2^b"},
        "precision": {"float32": "each step rounded to float32",
            "float64": "in float64, the scale rounded to float32 at the end"},
        "zero_point": {
            "round_sum": "r(fl(qmin - fl(min / s)))",
            "exact": "r(qmin - min / s), the argument not rounded",
            "round_quotient": "qmin - r(fl(min / s))",
        },
        "rounding": {k: ROUNDING[k] for k in ("half_even", "half_away", "half_up", "toward_zero", "floor")},
        "clamp": {"yes": "the zero point is clamped to the codes", "no": "the zero point is not clamped"},
        "codes": {"signed": "qmin = -2^(b-1)", "unsigned": "qmin = 0"},
        "degenerate": {
            "one_zero": "no width: (1.0, 0)",
            "one_qmin": "no width: (1.0, qmin)",
            "zero": "no width: (0.0, 0)",
            "epsilon": "s is never below the float32 epsilon 2^-23; the zero point is computed with it",
        },
    },
    "fake_quantize": {**_QUANTIZE, "nan": {**NAN, "nan": "a NaN stays NaN"}, "order": ORDER},
    "fake_quantize_backward": {
        "mask": {
            "rounded": "passes where qmin <= r(x / s) + z <= qmax: the rounded code is in range",
            "unrounded": "passes where qmin <= x / s + z <= qmax, not rounded",
            "strict": "passes where qmin < r(x / s) + z < qmax",
            "absmax": "passes where |x| <= fl(qmax s)",
            "everywhere": "passes everywhere, clipped or not",
            "nowhere": "passes nowhere: the true derivative of a staircase",
        },
        # rounded away from zero, the code is in range exactly where the number itself is: that is `unrounded`
        "rounding": {k: sentence for k, sentence in ROUNDING.items() if k != "away_from_zero"},
        "scaling": SCALING,
        "zero_point": ZERO_POINT,
        "scale": SCALE,
        "nan": {"blocked": "no gradient where x is NaN", "passes": "dy where x is NaN",
            "error": "a NaN is refused with a ValueError"},
    },
    "requantize": {
        "arithmetic": {
            "float32": "fl(fl(acc) fl(m))",
            "float64": "acc m in float64",
            "fixed_double": "mantissa and shift; half_up(acc mantissa / 2^31), then / 2^-shift: two roundings",
            "fixed_single": "mantissa and shift; acc mantissa / 2^(31 - shift): one rounding",
        },
        "rounding": ROUNDING,
        "zero_point": {"after": "r(v) + z", "before": "r(v + z), the sum rounded in the arithmetic's own format"},
        "saturation": {k: SATURATION[k] for k in ("saturate", "int32_first", "wrap")},
    },
    "integer_matmul": {
        "accumulator": {
            "int32": "every sum exact in int32",
            "int16_wrap": "sums modulo 2^16, in -32768 ... 32767",
            "int16_saturate": "each partial sum clamped to int16, left to right",
            "int16_pairs": "products added in pairs, each pair clamped to int16, then in int32",
            "float32": "float32 sums, left to right",
        },
        "zeros": {
            "both": "(a - a_zero)(b - b_zero)",
            "a_only": "(a - a_zero) b",
            "b_only": "a (b - b_zero)",
            "none": "a b",
            "added": "(a + a_zero)(b + b_zero)",
            "uncorrected": "a b - a_zero b - a b_zero: without K a_zero b_zero",
        },
        "difference": {"wide": "a - a_zero in wide integers", "wraps": "a - a_zero in the dtype of a, modulo its size"},
    },
    "pack": {**_PACKING, "padding": {"zeros": "unused bits are 0", "ones": "unused bits are 1"}},
    "unpack": {**_PACKING, "sign": {"unsigned": "0 ... 2^b - 1", "signed": "two's complement of b bits"}},
    "magnitude_mask": {
        "of": {"pruned": "the number pruned, sparsity n, is rounded", "kept": "the number kept, (1 - sparsity) n, is rounded"},
        "rounding": {k: ROUNDING[k] for k in ("half_even", "half_up", "floor", "ceil")},
        "offset": {"0": "as counted", "+1": "one more is pruned", "-1": "one fewer is pruned"},
        "base": {"n": "of n entries", "n_minus_1": "of n - 1 entries: the last index"},
        "threshold": {
            "exact": "exactly so many are pruned",
            "keep_all": "entries equal to the smallest kept magnitude are all kept",
            "prune_all": "entries equal to the largest pruned magnitude are all pruned",
        },
        "ties": {"low_first": "of equals the lowest flat index is pruned first", "high_first": "the highest flat index is"},
        "minimum": {"none": "all may be pruned", "one": "at least one entry is kept"},
        "score": {"magnitude": "|w|", "signed": "w, sign and all",
            "square": "w w in the dtype of w, where small numbers underflow"},
        "product": {"float64": "sparsity n in float64", "float32": "sparsity n in float32"},
    },
    "n_m_mask": {
        "of": {"kept": "`keep` of each group are kept", "pruned": "`keep` of each group are pruned"},
        "ties": {"low_kept": "of equals the lower index is kept", "high_kept": "of equals the higher index is kept"},
        "ragged": {
            "short_group": "a short last group keeps min(keep, its length)",
            "zero_pad": "zeros stand behind it, and may be kept in place of equals",
            "keep_all": "a short last group is kept whole",
            "prune_all": "a short last group is pruned whole",
            "error": "refused with a ValueError",
        },
        "axis": {"last": "groups along the last axis", "first": "groups along the first axis", "flat": "groups across rows"},
        "score": {"magnitude": "|w|", "signed": "w, sign and all"},
    },
}  # fmt: skip
