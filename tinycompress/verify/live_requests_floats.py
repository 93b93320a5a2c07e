"""What layers, losses, the optimizer and metrics are asked live.

Logits of all sizes, classes never true or never predicted, ties, rows with nothing relevant, k beyond the row.

Letters     as in the operations
Not here: grids, integers and masks (live_requests). Read next: live_relations.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Request
from tinycompress.verify.hard_inputs import LENGTHS, Array, Rng, lay_out, shape_of
from tinycompress.verify.hard_inputs import dtype as draw_dtype
from tinycompress.verify.hard_inputs import size as draw_size

TEMPERATURES = (1.0, 2.0, 4.0, 0.5, 3.7, 20.0)


def _rows(rng: Rng, i: int, least: int = 1) -> int:
    return (least, 1, 300, 2)[i] if i < 4 else int(rng.integers(max(least, 1), 12))


def _layer(rng: Rng, i: int, operation: str) -> Request:
    dtype = draw_dtype(rng)
    rows = LENGTHS[i] if i < 6 else _rows(rng, i - 6, 0)
    inputs = int(rng.choice([1, 3, 8, 40] if rows < 8 else [1, 3, 5] if rows < 100 else [1, 2]))
    outputs = inputs if rng.random() < 0.4 else int(rng.choice([1, 2, 4]))
    shapes = (rows, inputs), (inputs, outputs), (rows, outputs)
    x, w, dy = (lay_out(rng, rng.standard_normal(shape).astype(dtype)) for shape in shapes)
    return Request(operation, (x, w, rng.standard_normal(outputs).astype(dtype)) if operation == "linear" else (dy, x, w))


def _logits(rng: Rng, shape: tuple[int, ...], dtype: Any, size: float) -> Array:
    z = rng.standard_normal(shape) * size
    if rng.random() < 0.2:
        z = np.rint(z)
    return lay_out(rng, z.astype(dtype))


def _loss(rng: Rng, i: int, operation: str) -> Request:
    dtype, classes = draw_dtype(rng), int(rng.choice([2, 3, 5, 11]))
    rows = LENGTHS[i] if i < 5 else (1, 300)[i - 5] if i < 7 else int(rng.integers(2, 9))
    t = 1.0 if i == 7 else float(rng.choice(TEMPERATURES))
    shape: tuple[int, ...] = (rows,) if operation.startswith("binary") else (rows, classes if rows < 300 else 2)
    # subtle: float64 probabilities below 1e-308 times large ratios are lost by some right formulas: no kd logits that far apart
    size = float(rng.choice([1, 3, 30, 30 if "kd" in operation and dtype is np.float64 else 500]))
    z = _logits(rng, shape, dtype, size)
    if operation == "softmax":
        return Request(operation, (z, t))
    if operation.startswith("cross"):
        return Request(operation, (z, lay_out(rng, rng.integers(0, shape[-1], rows))))
    teacher = _logits(rng, shape, dtype, size) if i % 6 != 5 else z.copy()
    return Request(operation, (z, teacher, t))


def _adam(rng: Rng, i: int, operation: str) -> Request:
    dtype, n = draw_dtype(rng), draw_size(rng, i)
    shape = () if i == 8 else shape_of(rng, n)
    size = float(rng.choice([1, 1e-4, 100]))
    p, g, m = (lay_out(rng, (rng.standard_normal(shape) * f).astype(dtype)) for f in (1, size, size))
    v = lay_out(rng, (np.square(rng.standard_normal(shape)) * size * size + (rng.random() < 0.5)).astype(dtype))
    t = (1, 2, 3, 10, 1000)[i % 5]
    if t == 1:
        m, v = np.zeros_like(m), np.zeros_like(v)
    hyper = (float(rng.choice([0.001, 0.1])), 0.9, float(rng.choice([0.999, 0.99])), float(rng.choice([1e-8, 1e-3, 0.5])))
    return Request(operation, (p, g, m, v, t, *hyper))


def _classes(rng: Rng, i: int, operation: str) -> Request:
    n, classes = (1, 2, 300, 40)[i] if i < 4 else int(rng.integers(2, 30)), int(rng.choice([2, 3, 5, 9]))
    y = rng.integers(0, classes, n)
    predicted = np.where(rng.random(n) < 0.5, y, rng.integers(0, classes, n))
    if i % 3 == 1:
        predicted = np.where(predicted == 0, classes - 1, predicted)  # a class that is never predicted
    if i % 3 == 2:
        y, predicted = np.where(y == 1, 0, y) + 2, predicted + 2  # a class that is never true; labels that do not begin at 0
    which = i % 3 if rng.random() < 0.3 else int(rng.integers(1, 3))
    average = () if operation == "accuracy" else (("micro", "macro", "weighted")[which],)
    return Request(operation, (lay_out(rng, y), lay_out(rng, predicted), *average))


def _auc(rng: Rng, i: int, operation: str) -> Request:
    n = (2, 8, 65, 300)[i] if i < 4 else int(rng.integers(2, 30))
    y = rng.integers(0, 2, n) if i % 6 != 5 else np.full(n, i // 6 % 2)
    s = rng.integers(0, 5, n) / 4 if rng.random() < 0.6 else rng.standard_normal(n)
    return Request(operation, (lay_out(rng, y), lay_out(rng, s.astype(draw_dtype(rng)))))


def _ranked(rng: Rng, i: int, operation: str) -> Request:
    rows, width, dtype = _rows(rng, i), int(rng.choice([1, 2, 5, 8, 12])), draw_dtype(rng)
    scores = rng.standard_normal((rows, width)) if rng.random() < 0.4 else rng.integers(0, 3, (rows, width))
    relevance = rng.integers(0, 4, (rows, width)) if rng.random() < 0.6 else (rng.random((rows, width)) < 0.3)
    relevance = relevance.astype(dtype)
    if operation == "hit_rate" and i % 3 == 0:
        relevance = relevance * dtype(0.25)
    if rows > 1 and rng.random() < 0.7:
        relevance[int(rng.integers(rows))] = 0
    k = width + 3 if i % 5 == 4 else int(rng.integers(1, width + 1))
    return Request(operation, (lay_out(rng, scores.astype(dtype)), lay_out(rng, relevance), k))


FLOAT_DRAWS: dict[str, Callable[[Rng, int, str], Request]] = {
    "linear": _layer, "linear_backward": _layer,
    **dict.fromkeys(("softmax", "cross_entropy", "cross_entropy_backward", "kd_loss", "kd_loss_backward", "binary_kd_loss",
                     "binary_kd_loss_backward"), _loss),
    "adam_step": _adam, **dict.fromkeys(("accuracy", "precision", "recall", "f1"), _classes),
    "auc": _auc, "hit_rate": _ranked, "ndcg": _ranked,
}  # fmt: skip
