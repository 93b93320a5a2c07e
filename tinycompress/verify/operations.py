"""The operations that the kit asks about: what each one takes, what it answers, and when two answers are the same.

A record says in what order the arguments stand, of what kind each is, and how an answer is compared. An implementation under
test gets plain NumPy arrays, floats, ints, strings and bytes, by position; only `axis` goes by keyword.

How answers are compared
    exact       integers by value in whatever dtype, masks, bytes; float results of one rounding: equal, with +0 = -0, NaN = NaN.
                A wider float is rounded to the dtype that was asked for first; a narrower one fails.
    bounded     |answer - expected| <= tol, a number per element that comes with the expectation: sums, softmax, losses, metrics

Letters     x values, s scale, z zero_point, q codes, w weights, b bias or bits, acc int32 sums, y labels, z logits, T temperature
Not here: what the right answer is (oracle), and who asks (running). Read next: axes_integers, axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Kind = Literal[
    "float array",  # float32 or float64
    "int array",  # codes, labels, sums, zero points
    "scale",  # a Python float; with axis=0 a float32 array (R,)
    "zero",  # an int; with axis=0 an int or an int array (R,)
    "int",
    "number",  # a Python float
    "text",
    "bytes",
]


@dataclass(frozen=True)
class Operation:
    """What is passed and what comes back; `lanes` are the arguments whose entries (or rows) do not see one another."""

    name: str
    arguments: tuple[tuple[str, Kind], ...]
    answers: tuple[tuple[str, Literal["codes", "float", "mask", "bytes"]], ...]
    comparison: Literal["exact", "bounded"]
    axis: bool = False  # whether axis=0 may be added: scale and zero point per row
    lanes: tuple[str, ...] = ()  # cut and permuted together
    lane: Literal["entry", "row", ""] = ""  # what one lane is

    def call(self, arguments: Sequence[Any], axis: int | None = None) -> str:
        """Write the call as a line of Python, for messages."""
        given = [f"{name}={_short(value)}" for (name, _), value in zip(self.arguments, arguments, strict=True)]
        return f"{self.name}({', '.join(given + ([] if axis is None else [f'axis={axis}']))})"


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is the expected one; if not, where it first differs, in words."""

    status: Literal["pass", "fail", "invalid-answer"]
    message: str = ""
    answer: int = 0  # which of several answers
    index: tuple[int, ...] | None = None  # of the first entry that differs

    @property
    def ok(self) -> bool:
        """True where the answer passes."""
        return self.status == "pass"


def _short(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    text = " ".join(repr(v) for v in value.ravel()[:6].tolist())
    return f"{value.dtype}{list(value.shape)}[{text}{' ...' if value.size > 6 else ''}]"


_GRID: tuple[tuple[str, Kind], ...] = (("scale", "scale"), ("zero_point", "zero"), ("qmin", "int"), ("qmax", "int"))
_KD: tuple[tuple[str, Kind], ...] = (
    ("student_logits", "float array"),
    ("teacher_logits", "float array"),
    ("temperature", "number"),
)
_LABELS: tuple[tuple[str, Kind], ...] = (("y_true", "int array"), ("y_pred", "int array"))
_AVERAGED: tuple[tuple[str, Kind], ...] = (*_LABELS, ("average", "text"))
_LISTS: tuple[tuple[str, Kind], ...] = (("scores", "float array"), ("relevance", "float array"), ("k", "int"))
_X: tuple[str, Kind] = ("x", "float array")
_DY: tuple[str, Kind] = ("dy", "float array")
_NUMBER = (("value", "float"),)
_MASK = (("mask", "mask"),)


def _records() -> tuple[Operation, ...]:
    op: Any = Operation
    hyper = tuple((name, "number") for name in ("lr", "beta1", "beta2", "eps"))
    state = tuple((name, "float array") for name in "pgmv")
    return (
        op("quantize", (_X, *_GRID), (("codes", "codes"),), "exact", True, ("x",), "entry"),
        op("dequantize", (("q", "int array"), *_GRID[:2]), (("x", "float"),), "exact", True, ("q",), "entry"),
        op("symmetric_qparams", (_X, ("bits", "int")), (("scale", "float"),), "exact"),
        op("asymmetric_qparams", (_X, ("bits", "int")), (("scale", "float"), ("zero_point", "codes")), "exact"),
        op("fake_quantize", (_X, *_GRID), (("y", "float"),), "exact", True, ("x",), "entry"),
        op("fake_quantize_backward", (_DY, _X, *_GRID), (("dx", "float"),), "exact", True, ("dy", "x"), "entry"),
        op("requantize", (("acc", "int array"), ("multiplier", "number"), *_GRID[1:]), (("codes", "codes"),), "exact", False,
           ("acc",), "entry"),
        op("integer_matmul", (("a", "int array"), ("b", "int array"), ("a_zero", "int"), ("b_zero", "int")),
           (("sums", "codes"),), "exact", False, ("a",), "row"),
        op("pack", (("codes", "int array"), ("bits", "int")), (("buffer", "bytes"),), "exact"),
        op("unpack", (("buffer", "bytes"), ("bits", "int"), ("count", "int")), (("codes", "codes"),), "exact"),
        op("magnitude_mask", (("w", "float array"), ("sparsity", "number")), _MASK, "exact"),
        op("n_m_mask", (("w", "float array"), ("keep", "int"), ("group", "int")), _MASK, "exact", False, ("w",), "row"),
        op("linear", (_X, ("w", "float array"), ("b", "float array")), (("y", "float"),), "bounded", False, ("x",), "row"),
        op("linear_backward", (_DY, _X, ("w", "float array")), (("dx", "float"), ("dw", "float"), ("db", "float")), "bounded"),
        op("softmax", (("z", "float array"), ("temperature", "number")), (("p", "float"),), "bounded", False, ("z",), "row"),
        op("cross_entropy", (("logits", "float array"), ("labels", "int array")), _NUMBER, "bounded"),
        op("cross_entropy_backward", (("logits", "float array"), ("labels", "int array")), (("dlogits", "float"),), "bounded"),
        op("kd_loss", _KD, _NUMBER, "bounded"),
        op("kd_loss_backward", _KD, (("dlogits", "float"),), "bounded"),
        op("binary_kd_loss", _KD, _NUMBER, "bounded"),
        op("binary_kd_loss_backward", _KD, (("dlogits", "float"),), "bounded"),
        op("adam_step", (*state, ("t", "int"), *hyper), (("p", "float"), ("m", "float"), ("v", "float")), "bounded", False,
           ("p", "g", "m", "v"), "entry"),
        op("accuracy", _LABELS, _NUMBER, "bounded"),
        op("precision", _AVERAGED, _NUMBER, "bounded"),
        op("recall", _AVERAGED, _NUMBER, "bounded"),
        op("f1", _AVERAGED, _NUMBER, "bounded"),
        op("auc", (("y_true", "int array"), ("scores", "float array")), _NUMBER, "bounded"),
        op("hit_rate", _LISTS, _NUMBER, "bounded"),
        op("ndcg", _LISTS, _NUMBER, "bounded"),
    )  # fmt: skip


OPERATIONS: dict[str, Operation] = {op.name: op for op in _records()}


def get_operation(name: str | Operation) -> Operation:
    """Return the record of one operation.

    Shapes      takes no arrays
    Raises      ValueError if there is no such operation
    Source      this package

    >>> [name for name, _ in get_operation("dequantize").arguments]
    ['q', 'scale', 'zero_point']
    """
    if isinstance(name, Operation):
        return name
    if name not in OPERATIONS:
        raise ValueError(f"no operation is called {name!r}; use one of {', '.join(OPERATIONS)}")
    return OPERATIONS[name]


def read_answer(operation: str | Operation, answer: Any) -> tuple[Array, ...]:
    """Return what an implementation answered as one array per answer; bytes as uint8.

    Shapes      as answered
    Raises      ValueError if there is no answer, too few of them, or something that is not an array of numbers
    Source      this package

    >>> read_answer("asymmetric_qparams", [0.5, 3])
    (array(0.5), array(3))
    """
    op = get_operation(operation)
    if answer is None:
        raise ValueError("no answer (None)")
    if len(op.answers) == 1:
        parts: list[Any] = [answer]
    elif isinstance(answer, (str, bytes, dict)):
        raise ValueError(f"{type(answer).__name__} for {len(op.answers)} answers; use a sequence")
    else:
        try:
            parts = list(answer)
        except TypeError:
            raise ValueError(f"one {type(answer).__name__} for {len(op.answers)} answers; use a sequence") from None
        if len(parts) != len(op.answers):
            raise ValueError(f"{len(parts)} answers; {len(op.answers)} are wanted: {', '.join(n for n, _ in op.answers)}")
    return tuple(_read(part, kind) for part, (_, kind) in zip(parts, op.answers, strict=True))


def _read(part: Any, kind: str) -> Array:
    if part is None:
        raise ValueError("no answer (None)")
    try:
        if kind == "bytes":
            # subtle: bytes(5) is five zeros and bytes("x") an encoding error: an int or text is not a buffer
            if isinstance(part, (int, np.integer, str)):
                raise ValueError(f"{part!r} is not a buffer")
            return np.frombuffer(bytes(part), np.uint8)
        array = np.asarray(part)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(f"{type(part).__name__} is not an answer: {error}") from None
    if array.dtype == object and all(isinstance(v, int) for v in array.flat):
        return array  # integers too large for int64: wrong, but readable
    if array.dtype.kind not in "biuf" and array.dtype.name not in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
        raise ValueError(f"an answer of dtype {array.dtype}; use numbers")
    return array


def compare(
    operation: str | Operation,
    answer: Any,
    expected: Sequence[Any],
    tol: Sequence[Any] | None = None,
    narrowest: npt.DTypeLike | None = None,
) -> Verdict:
    """Judge an answer against the expectation: one expected array for each answer of the operation, and a tol for each.

    Shapes      expected as the operation answers; tol of the same shapes, or None for exactly
    Convention  narrowest is the dtype below which a float answer fails: the dtype of the float input; None: that of `expected`
                where the comparison is exact, any where it is bounded
    Source      this package

    >>> compare("quantize", [1, 2], [np.array([1, 2])]).status
    'pass'
    >>> compare("softmax", [[0.5, 0.5]], [np.array([[0.5, 0.25]])], [np.array([[0.0, 1e-9]])]).message
    'p[0, 1] is 0.5; expected 0.25 within 1e-09'
    """
    op = get_operation(operation)
    try:
        parts = read_answer(op, answer)
    except ValueError as error:
        return Verdict("invalid-answer", str(error))
    for i, (part, (name, kind)) in enumerate(zip(parts, op.answers, strict=True)):
        verdict = _compare_one(part, np.asarray(expected[i]), None if tol is None else tol[i], name, kind, narrowest)
        if not verdict.ok:
            return Verdict(verdict.status, verdict.message, i, verdict.index)
    return Verdict("pass")


def _compare_one(part: Array, want: Array, tol: Any, name: str, kind: str, narrowest: npt.DTypeLike | None) -> Verdict:
    if kind == "bytes":
        want = np.frombuffer(bytes(want), np.uint8)
    if part.size == 0 and want.size == 0:
        return Verdict("pass")  # subtle: a list of no rows cannot say how long its rows would be
    if part.shape != want.shape:
        return Verdict("fail" if kind == "bytes" else "invalid-answer", f"{name} has shape {part.shape}; expected {want.shape}")
    if kind != "float":
        wrong = np.asarray(part != want)
        return _first(part, want, None, wrong, name)
    floor = narrowest if narrowest is not None else want.dtype if tol is None else np.float16
    if part.dtype.kind not in "biu" and part.dtype.itemsize < np.dtype(floor).itemsize:
        return Verdict("fail", f"{name} is {part.dtype}, narrower than {np.dtype(floor)}, the dtype of the input")
    with np.errstate(all="ignore"):
        if tol is None:
            got = part.astype(want.dtype)
            wrong = ~((got == want) | (np.isnan(got) & np.isnan(want)))
            return _first(got, want, None, wrong, name)
        got, want = part.astype(np.float64), want.astype(np.float64)
        near = np.abs(got - want) <= np.asarray(tol)
        return _first(got, want, tol, ~(near | (got == want) | (np.isnan(got) & np.isnan(want))), name)


def _first(got: Array, want: Array, tol: Any, wrong: Array, name: str) -> Verdict:
    if not wrong.any():
        return Verdict("pass")
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    place = f"{name}[{', '.join(map(str, index))}]" if index else name
    within = "" if tol is None else f" within {float(np.broadcast_to(tol, want.shape)[index]):.3g}"
    return Verdict("fail", f"{place} is {got[index]}; expected {want[index]}{within}", 0, index)
