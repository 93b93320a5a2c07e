"""The exact oracle: what any point of the space answers to any input.

Slow and obvious: fractions, decimals of 60 digits, Python integers, written from the sentences of the axes. It calls nothing of
the package outside this folder: the package is one implementation under test.

Bound       exact operations have no tolerance; the others carry a bound per element from the unit roundoff of the input's dtype

Not here: the formulas (oracle_grids, oracle_scales, oracle_masks, oracle_layers, oracle_losses, oracle_metrics, oracle_ranking).
Read next: tables.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.verify import (
    oracle_grids,
    oracle_layers,
    oracle_losses,
    oracle_masks,
    oracle_metrics,
    oracle_ranking,
    oracle_scales,
)
from tinycompress.verify.exact import decimals, unit_roundoff
from tinycompress.verify.operations import OPERATIONS, get_operation
from tinycompress.verify.oracle_grids import Pick, Refused, Undefined

Array = npt.NDArray[Any]
Parts = list[tuple[list[Any], tuple[int, ...]]]  # per answer: numbers or (number, bound) in C order, and the shape


@dataclass(frozen=True)
class Answer:
    """What a point answers: an array and a tolerance per answer; or that it refuses; or that it has nothing to say."""

    values: tuple[Array, ...] = ()
    tol: tuple[Array | None, ...] = ()
    refused: bool = False
    undefined: bool = False

    def key(self) -> tuple[Any, ...]:
        """Return what tells two answers apart."""
        return (self.refused, self.undefined, *[(v.shape, (v + 0).tobytes()) for v in self.values])


def _floats(values: list[Any]) -> list[float]:
    return [float(v) + 0.0 for v in values]


def _entry(name: str) -> Callable[..., Any]:
    found: dict[str, Callable[..., Any]] = {
        "quantize": oracle_grids.code, "dequantize": oracle_grids.dequantize, "fake_quantize": oracle_grids.fake_quantize,
        "fake_quantize_backward": lambda pick, dy, *rest: dy if oracle_scales.passes(pick, *rest) else 0.0,
        "requantize": oracle_scales.requantize, "adam_step": oracle_layers.adam_step,
    }  # fmt: skip
    return found[name]


def single_precision(arguments: Sequence[Any]) -> bool:
    """Say whether the coarsest float array among the arguments is float32.

    Shapes      takes arguments of an operation
    Source      this package

    >>> single_precision([np.float32([1]), 0.5])
    True
    """
    return any(isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.dtype.itemsize < 8 for a in arguments)


def _integer_format(a: Array) -> tuple[int, bool]:
    return 8 * a.dtype.itemsize, a.dtype.kind == "i"


def entries(operation: str, arguments: Sequence[Any], axis: int | None = None) -> list[tuple[Any, ...]]:
    """Return the scalar arguments of every entry of an elementwise operation, in C order.

    Shapes      arrays of one shape; with axis=0 scale and zero point per row
    Source      this package

    >>> entries("requantize", [np.array([3, 4]), 0.5, 0, -128, 127])
    [(3, 0.5, 0, -128, 127), (4, 0.5, 0, -128, 127)]
    """
    op = get_operation(operation)
    lanes = [np.asarray(a) for (n, _), a in zip(op.arguments, arguments, strict=True) if n in op.lanes]
    shape, extra = lanes[0].shape, tuple[Any, ...]()
    flat = []
    for (_, kind), a in zip(op.arguments, arguments, strict=True):
        value = np.asarray(a)
        if axis is not None and kind in ("scale", "zero") and value.ndim == 1:
            value = value.reshape((-1, *[1] * (len(shape) - 1)))
        flat.append(np.broadcast_to(value, shape).ravel().tolist())
    if operation == "dequantize":
        extra = _integer_format(lanes[0])
    if operation == "adam_step":
        u = unit_roundoff(single_precision(arguments))
        return [(*row[:5], tuple(row[5:]), u) for row in zip(*flat, strict=True)]
    return [(*row, *extra) for row in zip(*flat, strict=True)]


def _whole(name: str, pick: Pick, a: Sequence[Any]) -> Parts:
    """The answers of an operation that looks at all of its input at once."""
    u = unit_roundoff(single_precision(a))
    lists: Any = [v.tolist() if isinstance(v, np.ndarray) else v for v in a]
    first = np.asarray(a[0])
    if name == "symmetric_qparams":
        return [([oracle_scales.symmetric_scale(pick, first.ravel().tolist(), a[1])], ())]
    if name == "asymmetric_qparams":
        s, z = oracle_scales.asymmetric_scale(pick, first.ravel().tolist(), a[1])
        return [([s], ()), ([z], ())]
    if name == "integer_matmul":
        formats = _integer_format(first), _integer_format(np.asarray(a[1]))
        shape = first.shape[0], np.asarray(a[1]).shape[1]
        return [(oracle_masks.integer_matmul(pick, lists[0], lists[1], shape[1], (int(a[2]), int(a[3])), formats), shape)]
    if name == "pack":
        buffer = oracle_masks.pack(pick, first.ravel().tolist(), a[1])
        return [(buffer, (len(buffer),))]
    if name == "unpack":
        return [(oracle_masks.unpack(pick, list(bytes(a[0])), a[1], a[2]), (a[2],))]
    if name == "magnitude_mask":
        return [(oracle_masks.magnitude_mask(pick, first.ravel().tolist(), a[1], first.dtype.itemsize == 4), first.shape)]
    if name == "n_m_mask":
        return [(oracle_masks.n_m_mask(pick, first.ravel().tolist(), first.shape, a[1], a[2]), first.shape)]
    if name == "linear":
        return [(oracle_layers.linear(pick, lists[0], lists[1], lists[2], u), (len(first), len(lists[2])))]
    if name == "linear_backward":
        shapes = np.asarray(a[1]).shape, np.asarray(a[2]).shape, first.shape[1:]
        return list(
            zip(oracle_layers.linear_backward(pick, lists[0], lists[1], lists[2], first.shape[1], u), shapes, strict=True)
        )
    if name == "softmax":
        return [(oracle_losses.softmax(pick, lists[0], lists[1], u), first.shape)]
    if name in ("cross_entropy", "cross_entropy_backward"):
        made = getattr(oracle_losses, name)(pick, *lists, u=u)
        return [([made], ()) if name == "cross_entropy" else (made, first.shape)]
    if name.removeprefix("binary_") in ("kd_loss", "kd_loss_backward"):
        made = getattr(oracle_losses, name.removeprefix("binary_"))(pick, *lists, u=u, binary=name.startswith("binary"))
        return [(made, first.shape) if name.endswith("backward") else ([made], ())]
    if name in ("precision", "recall", "f1"):
        return [([oracle_metrics.averaged(pick, name, *lists)], ())]
    extra = {} if name == "accuracy" else {"u": u}
    home = oracle_ranking if name in ("hit_rate", "ndcg") else oracle_metrics
    return [([getattr(home, name)(pick, *lists, **extra)], ())]


def run_point(operation: str, pick: Pick, run: Callable[[Pick], Parts], dtype: npt.DTypeLike) -> Answer:
    """Run one point: an answer, a refusal, or nothing to say.

    Shapes      as the operation
    Source      this package

    >>> run = runner("accuracy", [np.array([1]), np.array([1])], None)
    >>> run_point("accuracy", lambda axis: "percent", run, np.float64).refused
    False
    """
    try:
        with decimal.localcontext(decimals()):
            parts = run(pick)
            return _answer(operation, parts, dtype)
    except Refused:
        return Answer(refused=True)
    except Undefined:
        return Answer(undefined=True)


def _answer(operation: str, parts: Parts, dtype: npt.DTypeLike) -> Answer:
    op, values, tol = OPERATIONS[operation], [], []
    for (flat, shape), (_, kind) in zip(parts, op.answers, strict=True):
        bound = None
        if op.comparison == "bounded":
            bound = np.array([t for _, t in flat], np.float64).reshape(shape)
            flat = [v for v, _ in flat]
        kinds: dict[str, Any] = {"codes": np.int64, "mask": np.bool_, "bytes": np.uint8}
        made = np.array(_floats(flat) if kind == "float" else flat, np.float64 if kind == "float" else kinds[kind])
        if kind == "float" and op.comparison == "exact":
            with np.errstate(all="ignore"):
                made = made.astype(dtype)
        values.append(made.reshape(shape))
        tol.append(bound)
    return Answer(tuple(values), tuple(tol))


def _parts_of_entries(operation: str, pick: Pick, rows: list[tuple[Any, ...]], shape: tuple[int, ...]) -> Parts:
    made = [_entry(operation)(pick, *row) for row in rows]
    if operation == "adam_step":
        return [([m[i] for m in made], shape) for i in range(3)]
    return [(made, shape)]


def answer_dtype(operation: str, arguments: Sequence[Any]) -> np.dtype[Any]:
    """Return the dtype below which a float answer fails: that of the float input; float32 for the quantizers.

    Shapes      takes arguments of an operation
    Source      this package

    >>> answer_dtype("softmax", [np.float32([[1]]), 1.0])
    dtype('float32')
    """
    exact = OPERATIONS[operation].comparison == "exact"
    if operation == "fake_quantize_backward":
        return np.dtype(np.asarray(arguments[0]).dtype)
    return np.dtype(np.float32 if exact or single_precision(arguments) else np.float64)


def answer(operation: str, point: Mapping[str, str], arguments: Sequence[Any], axis: int | None = None) -> Answer:
    """Return what one point answers.

    Shapes      as the operation
    Source      the sentences of AXES[operation]

    >>> from tinycompress.verify.axes import default_point
    >>> answer("quantize", default_point("quantize"), [np.float32([0.5, 1.5]), 1.0, 0, -128, 127]).values[0].tolist()
    [0, 2]
    """
    return run_point(operation, point.__getitem__, runner(operation, arguments, axis), answer_dtype(operation, arguments))


def runner(operation: str, arguments: Sequence[Any], axis: int | None) -> Callable[[Pick], Parts]:
    """Return the function that answers these arguments for whatever point it is given.

    Shapes      as the operation
    Source      this package

    >>> runner("accuracy", [np.array([1]), np.array([1])], None)(lambda axis: "count")[0][0][0][0]
    Fraction(1, 1)
    """
    op = get_operation(operation)
    if op.lane != "entry":
        return lambda pick: _whole(operation, pick, arguments)
    rows = entries(operation, arguments, axis)
    first = [n for n, _ in op.arguments].index(op.lanes[0])
    shape = np.asarray(arguments[first]).shape
    return lambda pick: _parts_of_entries(operation, pick, rows, shape)
