"""Codes back to values, scales from data, integer sums and packed bits, as people really get them wrong; and their laws.

Letters     x values, s scale, z zero_point, q codes, m multiplier, b bits, acc an int32 sum
Not here: quantize and its gradient (mutants_grids). Read next: mutants_masks.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Law, Mutant, equal, f32, i8, i32, u8
from tinycompress.verify.own import OWN, Array

Q = np.arange(-128, 128).astype(np.int8)
POSITIVE = f32([2.0, 2.5, 3.75])
MIXED = f32([-1.5, 0.25, 3.0])
A, B = i8([[-128, 127, 3]]), i8([[5], [-128], [127]])


def _wrapping_difference(q: Array, scale: Any, zero_point: Any) -> Array:
    y: Array = (q - np.asarray(zero_point).astype(q.dtype)).astype(q.dtype).astype(np.float32) * np.float32(scale)
    return y


def _products(q: Array, scale: Any, zero_point: Any) -> Array:
    s = np.float32(scale)
    y: Array = q.astype(np.float32) * s - np.float32(zero_point) * s
    return y


def _dequantize(sign: int, kind: Any) -> Function:
    return lambda q, scale, zero_point: ((q.astype(np.int64) + sign * zero_point) * kind(scale)).astype(np.float32)


def _half(q: Array, scale: Any, zero_point: Any) -> Array:
    y: Array = ((q.astype(np.int64) - zero_point) * np.float64(np.float32(scale))).astype(np.float16).astype(np.float32)
    return y


def _symmetric(peak: Function, steps: Function, empty: float = 1.0) -> Function:
    def symmetric_qparams(x: Array, bits: int) -> Any:
        top = np.float32(peak(x)) if x.size else np.float32(0)
        s = top / np.float32(steps(bits))
        return s if s > 0 else np.float32(empty)

    return symmetric_qparams


def _absmax(x: Array) -> Any:
    return np.abs(x).max()


def _asymmetric(widen: bool = True, extra: int = 1, qmin: Function = lambda b: -(1 << b - 1), rounding: Function = np.rint,
                sign: int = -1, empty: tuple[float, int] = (1.0, 0)) -> Function:  # fmt: skip
    def asymmetric_qparams(x: Array, bits: int) -> tuple[Any, int]:
        lo, hi = (x.min(), x.max()) if x.size else (np.float32(0), np.float32(0))
        if widen:
            lo, hi = min(lo, np.float32(0)), max(hi, np.float32(0))
        if hi == lo:
            return empty
        s = np.float32(np.float32(hi - lo) / np.float32((1 << bits) - extra))
        z = rounding(np.float32(qmin(bits)) + sign * (lo / s))
        return s, int(np.clip(z, qmin(bits), qmin(bits) + (1 << bits) - 1))

    return asymmetric_qparams


def _requantize(product: Function, rounding: Function = np.rint, inside: bool = False, cast: Function = lambda q: q) -> Function:
    def requantize(acc: Array, multiplier: float, zero_point: int, qmin: int, qmax: int) -> Array:
        v = product(acc, multiplier)
        q = rounding(v + zero_point) if inside else rounding(v) + zero_point
        codes: Array = np.clip(cast(q), qmin, qmax).astype(np.int64)
        return codes

    return requantize


def _fl32(acc: Array, m: float) -> Array:
    v: Array = acc.astype(np.float32) * np.float32(m)
    return v


def _power_of_two(acc: Array, m: float) -> Array:
    return _fl32(acc, float(2.0 ** np.rint(np.log2(abs(m)))) * np.sign(m))


def _matmul(kind: Any, a_sign: int = -1, b_sign: int = -1, wide: bool = True) -> Function:
    def integer_matmul(a: Array, b: Array, a_zero: int, b_zero: int) -> Array:
        left, right = (a.astype(np.int64), b.astype(np.int64)) if wide else (a, b)
        if wide:
            left, right = left + a_sign * a_zero, right + b_sign * b_zero
        sums: Array = (left.astype(kind) @ right.astype(kind)).astype(np.int64)
        return sums

    return integer_matmul


def _bits_of(codes: Array, bits: int, order: str) -> bytes:
    wide = (codes[:, None] >> np.arange(bits)) & 1
    if order == "big":
        return np.packbits(wide[:, ::-1].astype(np.uint8).reshape(-1), bitorder="big").tobytes()
    return np.packbits(wide.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def _ones(codes: Array, bits: int) -> bytes:
    spare = -codes.size * bits % 8 // bits
    return _bits_of(np.concatenate([codes, np.full(spare, (1 << bits) - 1, codes.dtype)]), bits, "little")


def _halves(codes: Array, bits: int) -> bytes:
    size = -(-codes.size * bits // 8)
    padded = np.zeros(size * (8 // bits), codes.dtype)
    padded[: codes.size] = codes
    return _bits_of(padded.reshape(8 // bits, size).T.reshape(-1) if size else padded, bits, "little")


def _unpack(buffer: bytes, bits: int, count: int, order: Any = "little", signed: bool = False, cut: bool = True) -> Array:
    wide = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder=order).reshape(-1, bits)
    weights = 1 << np.arange(bits)
    codes: Array = (wide.astype(np.int64) * (weights[::-1] if order == "big" else weights)).sum(1)
    codes = np.where(codes >> bits - 1, codes - (1 << bits), codes) if signed else codes
    return codes[:count] if cut else codes


def _pair(f: Function, x: Array, bits: int = 8) -> tuple[float, int]:
    s, z = f(x, bits)
    return float(s), int(z)


def _covers(f: Function, x: Array) -> bool:
    s, z = _pair(f, x)
    return (127 - z) * s >= float(x.max()) - 0.51 * s and (-128 - z) * s <= float(x.min()) + 0.51 * s


def _codes(acc: list[int], f: Function, m: float = 0.5, z: int = 0, high: int = 127) -> Array:
    return np.asarray(f(i32(acc), m, z, -128, high)).astype(np.int64)


INTEGER_LAWS: dict[str, Law] = {
    "wide difference": Law("dequantize", "int8 codes have the values that the same codes have in int32", lambda f: equal(
        f(Q, 0.5, 100), f(Q.astype(np.int32), 0.5, 100))),
    "zero is exact": Law("dequantize", "the zero point stands for 0", lambda f: equal(f(i8([5]), 0.1, 5), [0.0])),
    "shift of both": Law("dequantize", "x(q + 1, z + 1) = x(q, z), to the last bit", lambda f: equal(
        f(Q[:-1].astype(np.int32) + 1, 0.1, 8), f(Q[:-1].astype(np.int32), 0.1, 7))),
    "one step": Law("dequantize", "q = z + 1 stands for s in float32", lambda f: all(
        equal(f(i8([1]), s, 0), [np.float32(s)]) for s in (0.1, 0.3)) and equal(f(Q, 0.1, 0),
            Q.astype(np.float32) * np.float32(0.1))),
    "sign": Law("symmetric_qparams", "x and -x have the same scale", lambda f: float(f(MIXED, 8)) == float(f(-MIXED, 8))),
    "largest code": Law("symmetric_qparams", "the largest |x| is the largest code exactly", lambda f: all(
        float(f(f32([2.0, 1.0]), b)) == float(np.float32(2) / np.float32((1 << b - 1) - 1)) for b in (4, 8))),
    "divisible": Law("symmetric_qparams", "a scale can be divided by, also where all is zero or nothing is there", lambda f: all(
        float(f(x, 8)) > 0 for x in (np.zeros(3, np.float32), np.zeros(0, np.float32)))),
    "covers": Law("asymmetric_qparams", "no entry lies more than half a step outside the codes",
        lambda f: all(_covers(f, x) for x in (POSITIVE, MIXED, -POSITIVE))),
    "spans": Law("asymmetric_qparams", "2^b codes have 2^b - 1 steps between them",
        lambda f: _pair(f, f32([0, 255])) == (1.0, -128)),
    "nearest zero": Law("asymmetric_qparams", "the zero point is the nearest code to where 0 lies",
        lambda f: _pair(f, f32([-10.25, 244.75]))[1] == -118),
    "halves": Law("requantize", "over sums in a row, halved, the errors add up to 0",
        lambda f: int(_codes([1, 3, 5, 7], f).sum()) * 2 == 16
                  and int(_codes([-1, -3, -5, -7], f).sum()) * 2 == -16),
    "shift of code": Law("requantize", "another zero point moves every code by as much",
        lambda f: equal(_codes([1, 3, 5, -3], f, z=3), _codes([1, 3, 5, -3], f) + 3)),
    "proportional": Law("requantize", "three times the multiplier is three times the code",
        lambda f: equal(_codes([8, -40], f, 0.75), _codes([8, -40], f, 0.25) * 3)),
    "odd": Law("requantize", "-m gives -q", lambda f: equal(_codes([10, -40], f, -0.5), -_codes([10, -40], f, 0.5))),
    "ends": Law("requantize", "what is beyond the range stands at its end",
        lambda f: equal(_codes([2**31 - 1, -(2**31)], f, 1.5, 100), [127, -128])),
    "float32": Law("requantize", "sum and multiplier are rounded to float32 before they meet", lambda f: equal(
        _codes([(1 << 24) + 1, (1 << 24) + 3], f, 2.0**-25), _codes([1 << 24, (1 << 24) + 4], f, 2.0**-25))
        and equal(_codes([15], f, 0.1), _codes([3], f, 0.5))),
    "K ones": Law("integer_matmul", "K equal products are K times one", lambda f: all(
        int(np.asarray(f(np.full((1, k), v, np.int8), np.full((k, 1), v, np.int8), 0, 0))[0, 0]) == k * v * v
            for k in (1, 3, 300) for v in (-128, 127))
        and int(np.asarray(f(np.full((1, 699), 255, np.uint8), np.full((699, 1), 255, np.uint8), 0, 0))[0, 0]) == 699 * 255**2),
    "zero rows": Law("integer_matmul", "what equals its zero point adds nothing",
        lambda f: equal(f(np.full((1, 3), 7, np.int8), B, 7, 5), [[0]])
                     and equal(f(A, np.full((3, 1), -9, np.int8), 2, -9), [[0]])),
    "first is low": Law("pack", "the first element is in the low bits of the first byte", lambda f: all(
        bytes(f(u8([1] + [0] * 8), b))[0] == 1 for b in (1, 2, 4, 8))),
    "padding": Law("pack", "unused bits are 0, and no byte is unused", lambda f: [*bytes(f(u8([1, 2, 3]), 4))] == [33, 3]),
    "neighbours": Law("pack", "neighbours share a byte", lambda f: [*bytes(f(u8([1, 2, 3, 0]), 4))][0] == 33),
    "low first": Law("unpack", "the low bits of the first byte are the first element", lambda f: all(
        int(np.asarray(f(bytes([1, 0]), b, 16 // b))[0]) == 1 for b in (1, 2, 4, 8))),
    "unsigned": Law("unpack", "codes are 0 ... 2^b - 1", lambda f: int(np.min(f(bytes([255, 255]), 4, 4))) == 15),
    "count": Law("unpack", "as many codes as were asked for", lambda f: np.shape(f(bytes([33, 3]), 4, 3)) == (3,)),
}  # fmt: skip

INTEGER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("difference_wraps", "dequantize", _wrapping_difference, "wide difference",
        "-128 - 100 becomes +28: values change sign", "difference", "wraps"),
    Mutant("two_products", "dequantize", _products, "shift of both", "a third of the values is an ulp off", "order", "products"),
    Mutant("zero_forgotten", "dequantize", _dequantize(0, np.float32), "zero is exact", "everything is moved by z s"),
    Mutant("zero_point_added", "dequantize", _dequantize(1, np.float32), "zero is exact", "everything is moved by 2 z s"),
    Mutant("double_scale", "dequantize", _dequantize(-1, np.float64), "one step", "differs from the kernel in the last bit",
        "scale", "float64"),
    Mutant("half_precision", "dequantize", _half, "one step", "eleven bits of the value are left"),
    Mutant("max_for_absmax", "symmetric_qparams", _symmetric(np.max, lambda b: (1 << b - 1) - 1), "sign",
        "negative weights are clipped", "peak", "largest"),
    Mutant("half_range", "symmetric_qparams", _symmetric(_absmax, lambda b: (1 << b - 1) - 0.5), "largest code",
        "the largest weight lies half a step outside", "divisor", "half_range"),
    Mutant("by_128", "symmetric_qparams", _symmetric(_absmax, lambda b: 1 << b - 1), "largest code",
        "the largest weight is clipped by a whole step", "divisor", "minus_qmin"),
    Mutant("always_8_bits", "symmetric_qparams", _symmetric(_absmax, lambda b: 127), "largest code",
        "4-bit codes overflow sixteenfold"),
    Mutant("zero_scale", "symmetric_qparams", _symmetric(_absmax, lambda b: (1 << b - 1) - 1, 0.0), "divisible",
        "an unused row turns into NaN", "degenerate", "zero"),
    Mutant("not_widened", "asymmetric_qparams", _asymmetric(widen=False), "covers",
        "padding and relu's zero are no longer exact; z is clamped far off", "widen", "no"),
    Mutant("codes_for_steps", "asymmetric_qparams", _asymmetric(extra=0), "spans", "the top of the range is clipped", "steps",
        "codes"),
    Mutant("unsigned_zero", "asymmetric_qparams", _asymmetric(qmin=lambda b: 0), "covers", "half the range is clipped",
        "codes", "unsigned"),
    Mutant("zero_truncated", "asymmetric_qparams", _asymmetric(rounding=np.trunc), "nearest zero",
        "zero is almost a step away from its code", "rounding", "toward_zero"),
    Mutant("zero_sign", "asymmetric_qparams", _asymmetric(sign=1), "covers", "the range is mirrored"),
    Mutant("float64_half_away", "requantize",
        _requantize(lambda a, m: a * np.float64(m), lambda v: np.sign(v) * np.floor(np.abs(v) + 0.5)), "halves",
           "off by one against every float kernel at ties"),
    Mutant("float64_product", "requantize", _requantize(lambda a, m: a * np.float64(m)), "float32", "off by one at rare sums",
        "arithmetic", "float64"),
    Mutant("arithmetic_shift", "requantize", _requantize(_fl32, np.floor), "halves", "a bias of half a step in every layer",
        "rounding", "floor"),
    Mutant("rounded_with_zero", "requantize", _requantize(_fl32, inside=True), "shift of code",
        "odd zero points turn ties around", "zero_point", "before"),
    Mutant("power_of_two", "requantize", _requantize(_power_of_two), "proportional", "up to 41 % off"),
    Mutant("sign_lost", "requantize", _requantize(lambda a, m: _fl32(a, abs(m))), "odd", "a negative output scale is mirrored"),
    Mutant("int32_before_clip", "requantize",
        _requantize(_fl32, cast=lambda q: q.astype(np.float64).astype(np.int64).astype(np.int32)), "ends",
        "the largest sums become the smallest codes"),
    Mutant("int8_sums", "integer_matmul", _matmul(np.int8), "K ones", "the product of two bytes does not fit a byte"),
    Mutant("int16_sums", "integer_matmul", _matmul(np.int16), "K ones", "three products of -128 overflow", "accumulator",
        "int16_wrap"),
    Mutant("float32_sums", "integer_matmul", _matmul(np.float32), "K ones", "long rows lose their last bits"),
    Mutant("zeros_forgotten", "integer_matmul", _matmul(np.int64, 0, 0), "zero rows", "each sum is off by its rows' sums",
        "zeros", "none"),
    Mutant("weight_zero_forgotten", "integer_matmul", _matmul(np.int64, -1, 0), "zero rows",
        "each sum is off by b_zero times a row's sum", "zeros", "a_only"),
    Mutant("zeros_added", "integer_matmul", _matmul(np.int64, 1, 1), "zero rows", "twice the correction, the wrong way",
        "zeros", "added"),
    Mutant("high_first", "pack", lambda c, b: _bits_of(c, b, "big"), "first is low", "every pair of neighbours is exchanged",
        "order", "high_first"),
    Mutant("padded_with_ones", "pack", _ones, "padding", "files differ, and phantom codes appear at the end", "padding", "ones"),
    Mutant("split_halves", "pack", _halves, "neighbours", "codes come back shuffled", "order", "split_low"),
    Mutant("byte_each", "pack", lambda c, b: c.astype(np.uint8).tobytes(), "padding", "the file is not smaller"),
    Mutant("high_nibble_first", "unpack", lambda f, b, n: _unpack(f, b, n, "big"), "low first",
        "every pair of neighbours is exchanged", "order", "high_first"),
    Mutant("sign_extended", "unpack", lambda f, b, n: _unpack(f, b, n, signed=True), "unsigned",
        "the upper half of the codes turns negative", "sign", "signed"),
    Mutant("padding_returned", "unpack", lambda f, b, n: _unpack(f, b, n, cut=False), "count",
        "an extra weight at the end of each row"),
)  # fmt: skip

INTEGER_RIGHT: dict[str, Function] = {law.operation: getattr(OWN, law.operation) for law in INTEGER_LAWS.values()}
