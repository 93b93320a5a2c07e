"""Quantizers as people really get them wrong: rounding, order, clamp, zero point, scale, lanes, memory; and the laws of a grid.

Letters     x values, s scale, z zero_point, q codes, low and high the ends of the range, v = x / s
Not here: the right functions (own). Read next: mutants_integers.
"""
from __future__ import annotations

import itertools
from inspect import signature
from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Law, Mutant, equal, f32, unchanged
from tinycompress.verify.own import OWN, Array

X = np.array([-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.3, -0.7, 1.9, -2.2, 40.0, -50.0], np.float32)
TIES = np.arange(-4, 4, dtype=np.float32) + np.float32(0.5)
X.flags.writeable = TIES.flags.writeable = False  # one mistake writes into it
_seeds = itertools.count()  # chance, the same for every process
_calls: list[Any] = []  # what the mistake `remembers` remembers


def _rows(values: Any, x: Array, axis: int | None) -> Any:
    values = np.asarray(values)
    return values.reshape(-1, *[1] * (x.ndim - 1)) if axis is not None and values.ndim else values


def _coder(rounding: Function = np.rint, scaling: Function = np.divide, inside: bool = False, limit: Function = np.clip,
          take: Function = lambda s: np.asarray(s, np.float32)) -> Function:  # fmt: skip
    """Return a quantizer made of parts, right where nothing is said.

    Shapes      takes functions of arrays
    Source      this package

    >>> _coder()(f32([1.5, 2.5]), 1.0, 0, -128, 127).tolist()
    [2, 2]
    """

    def quantize(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Array:
        s, z = take(_rows(scale, x, axis)), _rows(zero_point, x, axis)
        x = np.nan_to_num(x, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        v = scaling(x, s)
        q = rounding(v + v.dtype.type(z) if inside and not np.ndim(z) else v + z.astype(v.dtype) if inside else v)
        codes: Array = limit(q + (0 if inside else z), qmin, qmax).astype(np.int64)
        return codes

    return quantize


def _half_away(v: Array) -> Array:
    return np.sign(v) * np.floor(np.abs(v.astype(np.float64)) + 0.5)


def _half_up(v: Array) -> Array:
    return np.floor(v.astype(np.float64) + 0.5)


def _plus_half(v: Array) -> Any:
    return np.floor(v + v.dtype.type(0.5))  # the sum is rounded too: 0.49999997 + 0.5 is 1


def _to_int32(v: Array) -> Array:
    return np.rint(v).astype(np.int32)  # beyond its range x86 answers the lowest


def _in_int32(q: Array, low: int, high: int) -> Array:
    return np.clip(q.astype(np.int32), low, high)


def _int8(q: Array, low: int, high: int) -> Array:
    return np.clip(np.clip(q, low, high).astype(np.int64).astype(np.int8), low, high)


def _modulo(q: Array, low: int, high: int) -> Array:
    return np.where(np.isfinite(q), (np.asarray(q, np.float64) - low) % (high - low + 1) + low, low)


def _clamp_then_shift(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    return _coder()(x, scale, 0, qmin, qmax) + zero_point


def _columns(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Array:
    turned = axis is not None and x.ndim == 2 and x.shape[0] == x.shape[1]
    codes: Array = _coder()(x.T if turned else x, scale, zero_point, qmin, qmax, axis)
    return codes.T if turned else codes


def _one_scale(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Any:
    return _coder()(x, np.ravel(scale)[0] if np.size(scale) else 1.0, zero_point, qmin, qmax, axis)


def _tail(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    codes = _coder()(x, scale, zero_point, qmin, qmax).reshape(-1)
    body = codes.size // 8 * 8
    codes[body:] = _coder(_half_away)(x.reshape(-1)[body:], scale, zero_point, qmin, qmax)
    return codes.reshape(x.shape)


def _first_lane(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    codes = _coder()(x, scale, zero_point, qmin, qmax)
    if codes.size > 32:
        codes.reshape(-1)[32:] = _coder(_half_up)(x.reshape(-1)[32:], scale, zero_point, qmin, qmax)
    return codes


def _remembers(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    if not _calls or x.size == 1:
        _calls[:] = [scale]  # the scale of the first batch is kept, until a batch of one
    return _coder()(x, _calls[0], zero_point, qmin, qmax)


def _dithers(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    noise = np.random.default_rng(next(_seeds)).random(x.shape, np.float32)
    return _coder(lambda v: np.floor(v + noise))(x, scale, zero_point, qmin, qmax)


def _in_place(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    codes = _coder()(x, scale, zero_point, qmin, qmax)
    x /= np.float32(scale)
    return codes


def _shared_buffer(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Array:
    return np.broadcast_to(_coder()(x, scale, zero_point, qmin, qmax).reshape(-1)[:1], x.shape).reshape(x.shape)


def _fake(codes: Function = _coder(), shift: int = -1) -> Function:
    def fake_quantize(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int, axis: int | None = None) -> Array:
        q = codes(x, scale, zero_point, qmin, qmax, axis)
        y: Array = ((q + shift * _rows(zero_point, x, axis)) * _rows(np.float32(scale), x,
            axis).astype(np.float64)).astype(np.float32)
        return y

    return fake_quantize


def _fake_again(x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Array:
    s = np.float32(scale)
    y: Array = (np.rint(np.nan_to_num(x, nan=-np.inf) / s) * s).astype(np.float32)  # "no need to clamp, it is only training"
    return y


def _passes(mask: Function) -> Function:
    def fake_quantize_backward(dy: Array, x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Array:
        v = x / np.float32(scale)
        dx: Array = np.where(mask(v, zero_point, qmin, qmax) & (x == x), dy, np.float32(0))
        return dx

    return fake_quantize_backward


def _times_scale(dy: Array, x: Array, scale: Any, zero_point: Any, qmin: int, qmax: int) -> Any:
    return _passes(lambda v, z, low, high: (np.rint(v) + z >= low) & (np.rint(v) + z <= high))(dy, x, scale, zero_point, qmin,
        qmax) * np.float32(scale)


def _codes_of(f: Function, x: Array, s: float = 1.0, z: int = 0, low: int = -128, high: int = 127) -> Array:
    return np.asarray(f(x, s, z, low, high)).astype(np.int64)


GRID_LAWS: dict[str, Law] = {
    "ties balance": Law("quantize", "over ties in a row the errors sum to 0",
        lambda f: float((_codes_of(f, TIES) - TIES).sum()) == 0
                        and float((_codes_of(f, TIES[4:]) - TIES[4:]).sum()) == 0),
    "nearest": Law("quantize", "|x - q s| <= s / 2 in range",
        lambda f: all(bool((np.abs(_codes_of(f, x) - x.astype(np.float64)) <= 0.5).all())
        for x in (X, f32([0.49999997])))),
    "quotient": Law("quantize", "q(x, s) = q(fl32(x / s), 1)", lambda f: all(
        equal(_codes_of(f, x, s), _codes_of(f, x / np.float32(s))) for s in (3.0, 7.0, 0.1, 1.7)
        for x in [((np.arange(-60, 60) + 0.5) * np.float32(s)).astype(np.float32)])),
    "scale in float32": Law("quantize", "q(x, s) = q(x, fl32(s))", lambda f: all(
        equal(_codes_of(f, x, s), _codes_of(f, x, float(np.float32(s)))) for s in (0.1, 0.3, 0.7)
        for x in [((np.arange(-60, 60) + 0.5) * np.float32(s)).astype(np.float32)])),
    "zero point alone": Law("quantize", "q(x, s, z) = q(x, s, 0) + z where both are in range",
        lambda f: equal(_codes_of(f, TIES, 1, 3), _codes_of(f, TIES) + 3)),
    "in range": Law("quantize", "qmin <= q <= qmax", lambda f: all(bool(((q >= low) & (q <= high)).all()) for low, high, z in (
        (-128, 127, 100), (0, 255, 3), (-7, 7, 0)) for q in [_codes_of(f, f32([-1e3, 200, 90, 1e3]), 1, z, low, high)])),
    "saturates": Law("quantize", "beyond the range stands its end, however far", lambda f: equal(
        _codes_of(f, f32([130, 3e9, 1e30, np.inf, -130, -3e9, -np.inf])), [127] * 4 + [-128] * 3)),
    "all codes": Law("quantize", "quantize undoes dequantize for every code", lambda f: all(
        equal(_codes_of(f, np.arange(low, high + 1).astype(np.float32), 1, 0, low, high), np.arange(low, high + 1))
        for low, high in ((-128, 127), (0, 255), (-2, 1), (-(2**15), 2**15 - 1)))),
    "rows alone (grid)": Law("quantize", "with axis=0 a row is quantized by its own scale",
        lambda f: "axis" not in signature(f).parameters or equal(
        f(np.full((2, 2), 8, np.float32), f32([1, 4]), 0, -128, 127, axis=0), [[8, 8], [2, 2]])),
    "lanes": Law("quantize", "a value has the same code at every index of every length", lambda f: all(
        len(set(_codes_of(f, np.full(n, v, np.float32)).tolist())) == 1
        and _codes_of(f, np.full(n, v, np.float32))[0] == _codes_of(f, np.full(64, v, np.float32))[0]
            for n in (1, 7, 8, 31, 64, 65) for v in (2.5, -0.5))
        and len(set(_codes_of(f, X[:4]).tolist())) > 1),
    "forgets": Law("quantize", "the answer does not depend on earlier calls: q(x, 1), then q(x, s) = q(x / s, 1)",
                   lambda f: equal(_codes_of(f, X), _codes_of(_coder(), X)) and equal(_codes_of(f, X, 0.5), _codes_of(f, 2 * X))),
    "twice": Law("quantize", "the same question has the same answer",
        lambda f: all(equal(_codes_of(f, X), _codes_of(f, X)) for _ in range(4))),
    "arguments kept (grid)": Law("quantize", "the arguments stay as they are", lambda f: unchanged(f, (X, 0.5, 0, -128, 127))),
    "fixed points": Law("fake_quantize", "what stands on the grid stays", lambda f: all(
        equal(f(f32([-2, 0, 0.5, 3]), 0.5, z, -128, 127), [-2, 0, 0.5, 3]) for z in (0, 5))),
    "bounded": Law("fake_quantize", "no value lies outside the grid",
        lambda f: float(np.max(f(f32([1e3]), 0.5, 0, -128, 127))) == 63.5),
    "balanced": Law("fake_quantize", "over ties in a row the errors sum to 0",
        lambda f: float((f(TIES[4:], 1.0, 0, -128, 127) - TIES[4:]).sum()) == 0),
    "blocked outside": Law("fake_quantize_backward", "no gradient where the code was clipped",
        lambda f: equal(f(X * 0 + 1, X * 9, 1.0, 0, -8, 7)[-2:], [0, 0])),
    "passes inside": Law("fake_quantize_backward", "dy itself where the code is in range, the ends included", lambda f: equal(
        f(f32([2, 2, 2, 2]), f32([0, -4, 3.5, 1]), 0.5, 0, -8, 7), [2, 2, 2, 2])),
    "follows the code": Law("fake_quantize_backward", "what rounds to an end of the range is in range", lambda f: equal(
        f(f32([1, 1]), f32([7.25, -8.5]), 1.0, 0, -8, 7), [1, 1])),
}  # fmt: skip

GRID_MUTANTS: tuple[Mutant, ...] = (
    Mutant("truncation", "quantize", _coder(np.trunc), "nearest",
        "every code is pulled to zero: twice the largest error, and a bias", "rounding", "toward_zero"),
    Mutant("floor", "quantize", _coder(np.floor), "nearest", "all values sink by half a step on average", "rounding", "floor"),
    Mutant("half_away", "quantize", _coder(_half_away), "ties balance", "codes that meet ties grow outward", "rounding",
        "half_away"),
    Mutant("half_up", "quantize", _coder(_half_up), "ties balance", "codes that meet ties drift upward", "rounding", "half_up"),
    Mutant("half_up_in_float32", "quantize", _coder(_plus_half), "nearest",
        "0.49999997 becomes 1, and odd numbers above 2^23 even"),
    Mutant("reciprocal", "quantize", _coder(scaling=lambda x, s: x * (np.float32(1) / s)), "quotient",
        "some ties fall to the other side", "scaling", "reciprocal"),
    Mutant("float64_quotient", "quantize", _coder(scaling=lambda x, s: x.astype(np.float64) / s), "quotient",
        "codes differ from every float32 kernel", "scaling", "divide64"),
    Mutant("float64_scale", "quantize", _coder(take=lambda s: np.asarray(s, np.float64)),
           "scale in float32", "the scale on disk is not the one that was used"),
    Mutant("zero_inside", "quantize", _coder(inside=True), "zero point alone", "odd zero points turn ties around", "zero_point",
        "inside"),
    Mutant("zero_after_clamp", "quantize", _clamp_then_shift, "in range", "codes leave the range and wrap when stored"),
    Mutant("cast_before_clip", "quantize", _coder(_to_int32, limit=_in_int32), "saturates",
        "the largest values become the smallest codes", "saturation", "int32_first"),
    Mutant("wraps", "quantize", _coder(limit=_modulo), "saturates", "an outlier becomes any code", "saturation", "wrap"),
    Mutant("int8_for_uint8", "quantize", _coder(limit=_int8), "all codes", "the upper half of an unsigned range is lost"),
    Mutant("open_end", "quantize", _coder(limit=lambda q, a, b: np.clip(q, a, b - 1)), "all codes",
        "the largest code is never used"),
    Mutant("narrowed", "quantize", _coder(limit=lambda q, a, b: np.clip(q, -b if a < 0 else a, b)), "all codes",
        "the lowest code is never used", "range", "narrow"),
    Mutant("scale_by_column", "quantize", _columns, "rows alone (grid)", "each row gets its neighbours' scales"),
    Mutant("one_scale", "quantize", _one_scale, "rows alone (grid)", "small rows vanish in the step of the first"),
    Mutant("tail_lanes", "quantize", _tail, "lanes", "the answer depends on where in the array a value stands"),
    Mutant("later_lanes", "quantize", _first_lane, "lanes", "short tests pass, long arrays do not"),
    Mutant("first_for_all", "quantize", _shared_buffer, "lanes", "every value takes the code of the first"),
    Mutant("remembers", "quantize", _remembers, "forgets", "the second layer is quantized by the first one's scale"),
    Mutant("dithers", "quantize", _dithers, "twice", "no run can be repeated"),
    Mutant("in_place", "quantize", _in_place, "arguments kept (grid)", "the caller's weights are divided by s"),
    Mutant("zero_added", "fake_quantize", _fake(shift=1), "fixed points", "everything moves by 2 z s"),
    Mutant("fake_truncation", "fake_quantize", _fake(_coder(np.trunc)), "balanced",
        "training meets larger errors than the kernel makes", "rounding", "toward_zero"),
    Mutant("unclamped", "fake_quantize", _fake_again, "bounded", "training never sees what clipping does"),
    Mutant("passes_everywhere", "fake_quantize_backward", _passes(lambda v, z, a, b: v == v), "blocked outside",
        "clipped weights run away unseen", "mask", "everywhere"),
    Mutant("true_derivative", "fake_quantize_backward", _passes(lambda v, z, a, b: v != v), "passes inside",
        "nothing is ever learnt", "mask", "nowhere"),
    Mutant("strict_mask", "fake_quantize_backward", _passes(lambda v, z, a, b: (np.rint(v) + z > a) & (np.rint(v) + z < b)),
        "passes inside", "the end codes freeze", "mask", "strict"),
    Mutant("unrounded_mask", "fake_quantize_backward", _passes(lambda v, z, a, b: (v + z >= a) & (v + z <= b)),
        "follows the code", "half a step at each end learns nothing", "mask", "unrounded"),
    Mutant("times_scale", "fake_quantize_backward", _times_scale, "passes inside", "gradients shrink by s"),
)  # fmt: skip

GRID_RIGHT: dict[str, Function] = {name: getattr(OWN, name) for name in ("quantize", "fake_quantize", "fake_quantize_backward")}
