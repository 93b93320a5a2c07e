"""Where two profiles part: on which axes, at which smallest inputs, and how often on ordinary data.

A difference that needs a tie or a NaN to show is another thing than one that moves every second code, and both are called
"quantization mismatch". So each shared operation is answered three ways: in words, by the smallest vectors, and by a share.

Not here: the profiles (profiles), one vector explained (explaining). Read next: explaining.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycompress.verify.axes import Point, Points, points
from tinycompress.verify.cases import differ
from tinycompress.verify.explaining import answer_words, size
from tinycompress.verify.judging import Question, nearest_points
from tinycompress.verify.oracle import answer
from tinycompress.verify.profiles import get_profile
from tinycompress.verify.questions import read_questions

DRAWS = 2000


def diff_text(first: str, second: str, seed: int = 0) -> str:
    """Say in words where two profiles part.

    Shapes      takes no arrays
    Raises      ValueError if there is no such profile, or they share no operation
    Source      this package

    >>> print(diff_text("tinycompress", "tinycompress").splitlines()[0])
    quantize: the same on every input that any vector asks
    """
    a, b = get_profile(first), get_profile(second)
    shared = [operation for operation in a.operations if operation in b.operations]
    if not shared:
        raise ValueError(f"{first} speaks of {', '.join(a.operations)}; {second} of {', '.join(b.operations)}: nothing is shared")
    lines: list[str] = []
    for operation in shared:
        lines += _operation(operation, (first, a.points(operation)), (second, b.points(operation)), seed)
    return "\n".join(lines)


def _operation(operation: str, a: tuple[str, Points], b: tuple[str, Points], seed: int) -> Iterator[str]:
    p, q = nearest_points(operation, a[1], b[1])
    parted = sorted((question for question in read_questions(operation) if _parts(question, p, q)), key=size)
    if not parted:
        yield f"{operation}: the same on every input that any vector asks"
        return
    yield f"{operation}: {', '.join(f'{axis} {p[axis]} | {q[axis]}' for axis in p if p[axis] != q[axis])}"
    for axis, question in _witnesses(operation, parted, p, q):
        yield f"    {axis}: {question.request}"
        for name, point in ((a[0], p), (b[0], q)):
            yield f"        {name}: {answer_words(answer(operation, point, question.request.arguments, question.request.axis))}"
        yield f"        ({question.test}: {question.hunts})"
    yield f"    {len(parted)} vectors part them"
    if operation in _DRAWN:
        yield f"    {_share(operation, p, q, seed)}"


def _witnesses(operation: str, parted: list[Question], p: Point, q: Point) -> Iterator[tuple[str, Question]]:
    """Turn p into q axis by axis; for each the smallest question to which the turn matters; without any, the smallest of all."""
    now, found = p, False
    good = list(points(operation))
    for axis in (axis for axis in p if p[axis] != q[axis]):
        turned = {**now, axis: q[axis]}
        if turned in good:
            witness = next((question for question in parted if _parts(question, now, turned)), None)
            if witness is not None:
                found = True
                yield axis, witness
            now = turned
    if not found:
        yield "together", parted[0]


def _parts(question: Question, p: Point, q: Point) -> bool:
    r = question.request
    return differ(*(answer(r.operation, point, r.arguments, r.axis) for point in (p, q)))


def _share(operation: str, p: Point, q: Point, seed: int) -> str:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(DRAWS).astype(np.float32)
    arguments = _DRAWN[operation](x)
    one, two = (answer(operation, point, arguments).values[0] for point in (p, q))
    count = int((one != two).sum())
    step = float(np.abs(one.astype(np.float64) - two.astype(np.float64)).max(initial=0))
    return f"on {DRAWS:,} draws from N(0, 1), range +-4 in 8 bits: {count} differ ({count / DRAWS:.2%}), by at most {step:.6g}"


_S, _Z = 8 / 255, 3
_DRAWN: dict[str, Callable[[Any], list[Any]]] = {
    "quantize": lambda x: [x, _S, _Z, -128, 127],
    "fake_quantize": lambda x: [x, _S, _Z, -128, 127],
    "fake_quantize_backward": lambda x: [np.ones_like(x), x, _S, _Z, -128, 127],
    "dequantize": lambda x: [np.clip(np.rint(x / np.float32(_S)) + _Z, -128, 127).astype(np.int8), _S, _Z],
}
