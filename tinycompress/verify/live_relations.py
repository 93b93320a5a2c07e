"""Relations that need no oracle: requests whose answers must agree with one another, whatever the convention.

    lanes         the same value has the same answer at every index of arrays of length 1, 7, 8, 31, 64 and 65
    peak          one large entry sets the scale from every index
    layout        equal arrays have equal answers: contiguous, strided, reversed, transposed, read-only
    order         entries in another order have the same answers in that order
    monotone      a larger input has no smaller code                               where out of range means clamped
    grid points   what stands on the grid stays there: quantize undoes dequantize, fake_quantize changes nothing more
    half a step   |x - (q - z) s| <= s / 2 in range, and as much more as the rounding of x / s can move a tie

The last three hold for some conventions only: they are asked where an implementation has answered everything else as claimed.

Letters     x values, s scale, z zero_point, q codes
Not here: inputs whose answers the oracle knows (live_requests). Read next: live.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Request
from tinycompress.verify.hard_inputs import LENGTHS, Array, Rng, code_range, hard_floats, lay_out, scale, zero_point
from tinycompress.verify.live_requests import requests
from tinycompress.verify.operations import OPERATIONS

Answers = Sequence[tuple[Array, ...]]  # of each request, in order
NEAREST = ("half_even", "half_away", "half_up", "half_down", "half_to_zero")


@dataclass(frozen=True)
class Relation:
    """Some requests, and what is wrong with their answers, in words: nothing where the relation holds."""

    name: str
    requests: tuple[Request, ...]
    broken: Callable[[Answers], str]
    always: bool = True  # whether it holds for every convention


def relations(operation: str, rng: Rng) -> Iterator[Relation]:
    """Draw the relations of one operation.

    Shapes      takes no arrays
    Source      this package

    >>> [r.name for r in relations("pack", np.random.default_rng(0))]
    ['layout', 'layout']
    """
    with np.errstate(all="ignore"):
        drawn = list(_draw(operation, rng))
    yield from drawn


def _draw(operation: str, rng: Rng) -> Iterator[Relation]:
    op = OPERATIONS[operation]
    if op.comparison != "exact":
        return  # sums may be added in any order: there the oracle's bound is the judge
    if op.lane == "entry" or operation == "integer_matmul":
        for _ in range(2):
            yield _lanes(operation, rng)
    if operation.endswith("qparams"):
        yield from (_peak(operation, rng, n) for n in LENGTHS[1:])
    if operation == "magnitude_mask":
        yield from (_rotations(rng, n) for n in (8, 31))
    if operation != "unpack":
        yield from (_layouts(operation, rng) for _ in range(2))
    if op.lane == "entry":
        yield _order(operation, rng)
    if operation in ("quantize", "fake_quantize"):
        yield from (_monotone(operation, rng) for _ in range(2))
        yield _grid_points(operation, rng)
        yield _half_step(operation, rng)


def holds_for(relation: Relation, options: dict[str, tuple[str, ...]]) -> bool:
    """Say whether a relation holds for every point with these options.

    Shapes      takes no arrays
    Source      this package

    >>> holds_for(Relation("monotone", (), lambda answers: "", always=False), {"saturation": ("wrap",)})
    False
    """
    if relation.always:
        return True
    clamped = set(options["saturation"]) <= {"saturate"} and set(options["range"]) <= {"as_given"}
    return clamped and (relation.name == "monotone" or set(options["rounding"]) <= set(NEAREST))


def _base(operation: str, rng: Rng, entries: int) -> Request:
    """A request of at least so many entries, or rows, without axis."""
    for request in requests(operation, rng):
        first = np.asarray(request.arguments[0])
        if first.ndim and first.size and first.shape[0] >= entries and request.axis is None and not _has_nan(request):
            return request
    raise ValueError("requests ended")  # they never do


def _has_nan(request: Request) -> bool:
    return any(bool(np.isnan(a).any()) for a in request.arguments if isinstance(a, np.ndarray) and a.dtype.kind == "f")


def _replace(request: Request, change: Callable[[Array], Array]) -> Request:
    """The same request with the arguments that are cut into lanes changed."""
    op = OPERATIONS[request.operation]
    names = op.lanes or tuple(name for name, kind in op.arguments if kind.endswith("array"))
    changed = (change(a) if n in names else a for (n, _), a in zip(op.arguments, request.arguments, strict=True))
    return Request(request.operation, tuple(changed), request.axis)


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _lanes(operation: str, rng: Rng) -> Relation:
    base = _at_ties(operation, rng)
    rows = operation == "integer_matmul"

    def repeated(i: int, n: int) -> Request:
        return _replace(base, lambda a: np.repeat((a if rows else a.reshape(-1))[i : i + 1], n, axis=0))

    asked = [repeated(i, n) for i in range(3) for n in LENGTHS]

    def broken(answers: Answers) -> str:
        for i, n in enumerate(LENGTHS * 3):
            alone = answers[i // len(LENGTHS) * len(LENGTHS)][0]
            wrong = np.asarray(answers[i][0] != alone) & ~((answers[i][0] != answers[i][0]) & (alone != alone))
            if answers[i][0].shape[:1] != (n,) or wrong.any():
                k = int(np.argmax(wrong.reshape(len(wrong), -1).any(axis=1))) if wrong.any() else 0
                return f"alone it is {alone.ravel()[:3].tolist()}, at index {k} of {n} equal ones {answers[i][0][k].tolist()}"
        return ""

    return Relation("lanes", tuple(asked), broken)


def _at_ties(operation: str, rng: Rng) -> Request:
    """A request that begins with entries on which a lane that rounds otherwise shows; any where nothing is rounded."""
    s, z = float(rng.choice([0.5, 1, 3])), int(rng.choice([1, -3]))
    low, high = -16, 15
    ties = np.array([0.5, -1.5, 2.5, 1e9])
    if operation == "requantize":
        return Request(operation, (np.array([1, -3, 5, 2**30], np.int32), 0.5, z, low, high))
    if operation in ("quantize", "fake_quantize"):
        return Request(operation, ((ties * s).astype(np.float32), s, z, low, high))
    if operation == "fake_quantize_backward":
        edges = np.array([low - z - 0.5, high - z + 0.5, high - z + 1, 1e9]) * s
        return Request(operation, (np.arange(1, 5).astype(np.float32), edges.astype(np.float32), s, z, low, high))
    return _base(operation, rng, 4)


def _peak(operation: str, rng: Rng, n: int) -> Relation:
    low, high = (float(np.float32(v)) for v in (-rng.uniform(0.1, 1), rng.uniform(2, 9)))
    x = np.zeros((n, n), np.float32)
    x[np.arange(n), np.arange(n)] = high
    x[np.arange(n), np.arange(n) - 1] = low if n > 1 else high
    asked = tuple(Request(operation, (row.copy(), 8)) for row in x)

    def broken(answers: Answers) -> str:
        odd = [i for i, a in enumerate(answers) if not all(_same(p, q) for p, q in zip(a, answers[0], strict=True))]
        return f"with the largest entry at index {odd[0]} of {n} it is another than with it at 0" if odd else ""

    return Relation("peak", asked, broken)


def _rotations(rng: Rng, n: int) -> Relation:
    w = (rng.permutation(np.arange(1, n + 1)) * rng.choice([-1, 1], n)).astype(np.float32)
    asked = tuple(Request("magnitude_mask", (np.roll(w, i), 0.4)) for i in range(n))

    def broken(answers: Answers) -> str:
        odd = [i for i, a in enumerate(answers) if not _same(np.roll(a[0], -i), answers[0][0])]
        return f"rotated by {odd[0]}, other weights of {n} are pruned" if odd else ""

    return Relation("order", asked, broken)


def _layouts(operation: str, rng: Rng) -> Relation:
    base = _base(operation, rng, 2)
    ways = ("plain", "strided", "reversed", "transposed", "readonly")
    asked = tuple(_replace(base, lambda a, way=way: lay_out(rng, a, way)) for way in ways)  # type: ignore[misc]

    def broken(answers: Answers) -> str:
        plain = answers[0]
        odd = [way for way, a in zip(ways, answers, strict=True) if not all(map(_same, a, plain))]
        return f"a {odd[0]} array has another answer than an equal one that is not" if odd else ""

    return Relation("layout", asked, broken)


def _order(operation: str, rng: Rng) -> Relation:
    base = _replace(_base(operation, rng, 8), lambda a: a.reshape(-1))
    turn = rng.permutation(base.arguments[0].size)
    asked = (base, _replace(base, lambda a: a[turn]))
    words = "in another order the entries have other answers"
    return Relation("order", asked, lambda a: "" if _same(a[0][0][turn], a[1][0]) else words)


def _grid(rng: Rng) -> tuple[float, int, int, int]:
    low, high = code_range(rng)
    return scale(rng), zero_point(rng, low, high), low, high


def _monotone(operation: str, rng: Rng) -> Relation:
    s, z, low, high = _grid(rng)
    x = np.sort(hard_floats(rng, 300, s, z, low, high))

    def broken(answers: Answers) -> str:
        q = np.asarray(answers[0][0]).astype(np.float64)
        down = np.flatnonzero(q[1:] < q[:-1])
        return f"x = {x[down[0]]!r} gives {q[down[0]]}, the larger {x[down[0] + 1]!r} gives {q[down[0] + 1]}" if down.size else ""

    return Relation("monotone", (Request(operation, (x, s, z, low, high)),), broken, always=False)


def _grid_points(operation: str, rng: Rng) -> Relation:
    s, z, low, high = _grid(rng)
    q = np.unique(rng.integers(low, high, 300, endpoint=True))
    x = (np.float64(np.float32(s)) * (q - z)).astype(np.float32)  # one rounding: the product is exact in float64
    want: Array = q if operation == "quantize" else x

    def broken(answers: Answers) -> str:
        odd = np.flatnonzero(np.asarray(answers[0][0]) != want)
        return f"x = {x[odd[0]]!r} is code {q[odd[0]]} exactly, and became {answers[0][0][odd[0]]}" if odd.size else ""

    return Relation("grid points", (Request(operation, (x, s, z, low, high)),), broken, always=False)


def _half_step(operation: str, rng: Rng) -> Relation:
    s, z, low, high = _grid(rng)
    step = float(np.float32(s))
    x = hard_floats(rng, 300, s, z, low, high, wild=False)
    v = x.astype(np.float64) / step
    x = x[(v >= low - z) & (v <= high - z)]
    # x / s, and the sum with z, are rounded once each: 2^-24 of their sizes, twice; float64 adds less than 2^-50.
    slack = 2.0**-23 * (np.abs(x.astype(np.float64)) / step + abs(z) + 1)

    def broken(answers: Answers) -> str:
        got: Any = np.asarray(answers[0][0]).astype(np.float64)
        value = (got - z) * step if operation == "quantize" else got
        extra = np.spacing(np.abs(x)).astype(np.float64) / step if operation == "fake_quantize" else 0.0
        odd = np.flatnonzero(np.abs(x - value) / step > 0.5 + slack + extra)
        return f"x = {x[odd[0]]!r} became {value[odd[0]]!r}, more than half of s = {step!r} away" if odd.size else ""

    return Relation("half a step", (Request(operation, (x, s, z, low, high)),), broken, always=False)
