"""The lines to paste: the same question in bits, what came, what should have come, and the exact answer as a fraction.

Decimals would not do: a printed float32 may be read back as its neighbour, and -0 and the NaNs are lost.

Letters     x values, s scale, z zero point, q codes
Not here: the judgement (judging). Read next: hard_inputs, running.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.verify.adapters import Request
from tinycompress.verify.operations import OPERATIONS, Verdict, read_answer
from tinycompress.verify.oracle import Answer

MOST_ENTRIES = 512  # of one array, in a reproducer


def literal(value: Any) -> str:
    """Write a value as an expression of Python that gives the same bits.

    Shapes      any
    Source      this package

    >>> literal(np.float32([0.5, -0.0]))
    'np.array([0x3f000000, 0x80000000], np.uint32).view(np.float32)'
    >>> literal(0.1), literal(np.int8([[1]])), literal(b"ab")
    ('0.1', 'np.array([[1]], np.int8)', "b'ab'")
    """
    if isinstance(value, float) and not isinstance(value, np.floating):
        return (
            repr(value) if math.isfinite(value) else f"float('{value}')"
        )  # Python prints a double so that it reads back the same
    if not isinstance(value, (np.ndarray, np.generic)):
        return repr(value)
    array = np.asarray(value)
    if array.dtype.kind != "f":
        return f"np.array({array.tolist()}, {'bool' if array.dtype == bool else 'np.' + array.dtype.name})"
    bits = array.dtype.itemsize * 8
    words = ", ".join(
        f"0x{word:0{bits // 4}x}" for word in np.ascontiguousarray(array).reshape(-1).view(f"u{bits // 8}").tolist()
    )
    shape = "" if array.ndim == 1 else f".reshape({array.shape})"
    return f"np.array([{words}], np.uint{bits}).view(np.{array.dtype.name}){shape}"


def reproducer(request: Request, answer: Any = None, verdict: Verdict | None = None) -> str:
    """Write the question as Python, and below it what came and what should have come.

    Shapes      any
    Source      this package

    >>> print(reproducer(Request("pack", (np.uint8([1, 2]), 8)), np.uint8([2, 1]), Verdict("fail", "buffer[0] is 2; expected 1")))
    import numpy as np
    codes = np.array([1, 2], np.uint8)
    pack(codes, 8)
    # you: [2, 1]
    # buffer[0] is 2; expected 1
    """
    lines, names = ["import numpy as np"], []
    for (name, _), value in zip(OPERATIONS[request.operation].arguments, request.arguments, strict=True):
        if not isinstance(value, np.ndarray):
            names.append(literal(value))
        elif value.size <= MOST_ENTRIES:
            lines.append(f"{name} = {literal(value)}")
            names.append(name)
        else:
            lines.append(f"# {name}: {value.dtype} {value.shape}; too long to print, `verify explain` and the seed give it again")
            names.append(name)
    axis = [] if request.axis is None else [f"axis={request.axis}"]
    lines.append(f"{request.operation}({', '.join(names + axis)})")
    if answer is not None:
        lines += [f"# you: {_shown(part)}" for part in read_answer(request.operation, answer)]
    if verdict is not None and verdict.message:
        lines.append(f"# {verdict.message}")
    return "\n".join(lines)


def _shown(part: npt.NDArray[Any]) -> str:
    flat = part.reshape(-1)[:16].tolist()
    more = f" ... {part.size} entries" if part.size > 16 else ""
    text = str(flat[0] if part.ndim == 0 else flat) + more
    if part.dtype.kind == "f" and 0 < part.size <= 4:
        bits = part.dtype.itemsize * 8
        words = np.ascontiguousarray(part).reshape(-1).view(f"u{bits // 8}").tolist()
        text += f" = {' '.join(f'0x{word:0{bits // 4}x}' for word in words)}"
    return text


def exact_words(request: Request, expected: Answer, verdict: Verdict) -> str:
    """Say what the entry in question is exactly, before any rounding, as a fraction where it has a short one.

    Shapes      any
    Source      this package

    >>> r = Request("quantize", (np.float32([2.5]), 0.5, 3, -128, 127))
    >>> exact_words(r, Answer((np.array([8]),)), Verdict("fail", "", 0, (0,)))
    'x / s = 5 exactly; z = 3'
    """
    if verdict.index is None or not expected.values:
        return ""
    index = verdict.index
    op = OPERATIONS[request.operation]
    named = dict(zip((name for name, _ in op.arguments), request.arguments, strict=True))
    try:
        if request.operation in ("quantize", "fake_quantize", "fake_quantize_backward"):
            s, z = _at(named["scale"], index, request.axis), _at(named["zero_point"], index, request.axis)
            return f"x / s = {_fraction(Fraction(float(named['x'][index])) / Fraction(float(np.float32(s))))} exactly; z = {z}"
        if request.operation == "dequantize":
            s, z = _at(named["scale"], index, request.axis), _at(named["zero_point"], index, request.axis)
            return f"(q - z) s = {_fraction((int(named['q'][index]) - int(z)) * Fraction(float(np.float32(s))))} exactly"
        if request.operation == "requantize":
            product = int(named["acc"][index]) * Fraction(named["multiplier"])
            return f"acc m = {_fraction(product)} exactly; z = {named['zero_point']}"
        value = expected.values[verdict.answer][index]
        tol = expected.tol[verdict.answer] if expected.tol else None
        if tol is None:
            return f"expected {_fraction(Fraction(value.item()))}"
        width = float(np.broadcast_to(tol, np.shape(expected.values[verdict.answer]))[index])
        return f"expected {float(value)!r}: the exact answer, rounded once; within {width:.3g}"
    except (ValueError, OverflowError, ZeroDivisionError, TypeError):
        return ""  # NaN, infinity, a scale that underflows: there is no fraction


def _at(value: Any, index: tuple[int, ...], axis: int | None) -> Any:
    """The scale or zero point of one entry."""
    array = np.asarray(value)
    return array[index[0]].item() if axis is not None and array.ndim else array.item()


def _fraction(value: Fraction) -> str:
    if value.denominator == 1 and abs(value) < 10**20:
        return str(value)
    text = f"{value.numerator}/{value.denominator}"
    return f"{text} = {float(value):.17g}" if len(text) <= 60 else f"{float(value):.17g}..."
