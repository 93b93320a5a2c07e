"""Inputs that hurt, for layers, losses, the optimizer and metrics: few rows, uneven rows, extreme logits, ties, empty rows.

Values are eighths or so, exact in float32 and float64, so that the input itself is never in question.

Letters     N rows, C classes, L list length, z logits, T temperature
Not here: exact answers (cases_integers, cases_masks), which cases are kept (cases). Read next: cases.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinycompress.verify.cases_integers import Case

BOTH = (np.float64, np.float32)


def _eighths(rng: np.random.Generator, dtype: Any, *shape: int, bound: int = 24) -> Any:
    return (rng.integers(-bound, bound + 1, shape) / 8).astype(dtype)


def layers(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of linear, linear_backward and adam_step.

    Shapes      takes no arrays
    Source      this package

    >>> next(layers(np.random.default_rng(0))).operation
    'linear'
    """
    for dtype in BOTH:
        for rows, i, o in ((1, 1, 1), (2, 2, 2), (3, 3, 3), (2, 3, 4), (5, 4, 4), (1, 5, 2), (4, 2, 2), (3, 3, 3)):
            x, w, b = _eighths(rng, dtype, rows, i), _eighths(rng, dtype, i, o), _eighths(rng, dtype, o) + dtype(0.125)
            yield Case("linear", (x, w, b), f"({rows}, {i}) by ({i}, {o})", ("square" if i == o else "oblong",))
            yield Case("linear_backward", (_eighths(rng, dtype, rows, o), x, w), f"({rows}, {i}) by ({i}, {o})", ())
        for t, eps in ((1, 1e-8), (1, 0.25), (2, 0.125), (3, 1e-3), (10, 0.5), (1000, 0.25), (5, 1e-8), (7, 2.0)):
            n = 3 if t == 2 else 1
            p, g, m = (_eighths(rng, dtype, n) + dtype(0.0625) for _ in range(3))
            v = np.abs(_eighths(rng, dtype, n)) + dtype(0.125)
            old = (m, v) if t > 1 else (np.zeros_like(m), np.zeros_like(v))
            betas = (0.5, 0.75) if t % 2 else (0.9, 0.999)
            yield Case("adam_step", (p, g, *old, t, 0.25, *betas, eps), f"step {t}, eps {eps:g}", ("first",) if t == 1 else ())


def losses(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of softmax, cross_entropy, kd_loss, binary_kd_loss and their gradients.

    Shapes      takes no arrays
    Source      this package

    >>> next(losses(np.random.default_rng(0))).operation
    'softmax'
    """
    for dtype in BOTH:
        for rows, classes, t in ((1, 3, 1.0), (2, 3, 4.0), (2, 3, 2.0), (2, 2, 0.5), (3, 2, 3.0), (3, 2, 4.0), (1, 3, 2.0),
            (2, 2, 8.0)):
            z, teacher = _eighths(rng, dtype, rows, classes), _eighths(rng, dtype, rows, classes)
            labels = rng.integers(0, classes, rows)
            note = f"{rows} rows, {classes} classes, T = {t:g}"
            yield Case("softmax", (z, t), note)
            for name in ("cross_entropy", "cross_entropy_backward"):
                yield Case(name, (z, labels), note)
            for name in ("kd_loss", "kd_loss_backward"):
                yield Case(name, (z, teacher, t), note)
            for name in ("binary_kd_loss", "binary_kd_loss_backward"):
                yield Case(name, (z[:, 0].copy(), teacher[:, 0].copy(), t), f"{rows} rows, T = {t:g}")
        for scale in (100, 1000):
            z = np.array([[scale, 0, -scale], [0, scale / 2, 0]], dtype)
            teacher = np.array([[0, 0, scale / 4], [scale / 8, 0, 0]], dtype)
            yield Case("softmax", (z, 2.0), "logits whose exponentials overflow", ("overflow",))
            for name in ("cross_entropy", "cross_entropy_backward"):
                yield Case(name, (z, np.array([1, 1])), "logits whose exponentials overflow", ("overflow",))
            for name in ("kd_loss", "kd_loss_backward"):
                yield Case(name, (z, teacher, 2.0), "logits whose exponentials overflow", ("overflow",))
            for name in ("binary_kd_loss", "binary_kd_loss_backward"):
                yield Case(name, (z[:, 0].copy(), teacher[:, 0].copy(), 2.0), "logits whose exponentials overflow", ("overflow",))
        z = np.array([[1, 0, -1], [0.5, 0.5, 0]], dtype)
        for name in ("kd_loss", "kd_loss_backward"):
            yield Case(name, (z, z + dtype(3), 4.0), "the teacher agrees up to a constant: nothing to learn", ("equal",))


def classification(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of accuracy, precision, recall, f1 and auc.

    Shapes      takes no arrays
    Source      this package

    >>> next(classification(np.random.default_rng(0))).operation
    'accuracy'
    """
    pairs = [([0, 0, 1], [0, 1, 1]), ([0, 0, 0, 1], [0, 0, 1, 2]), ([0, 1, 2, 2], [0, 2, 2, 2]), ([1], [1]), ([1], [0]),
        ([3, 3, 1], [1, 3, 7]),
             ([0, 2, 2, 5], [2, 2, 0, 5]), ([1, 1, 1], [1, 1, 1]), ([0, 1, 1, 4, 4], [0, 0, 1, 1, 4]),
                 ([2, 2, 3], [3, 3, 2])]  # fmt: skip
    pairs += [(rng.integers(0, 4, 9).tolist(), rng.integers(0, 5, 9).tolist()) for _ in range(12)]
    for y, predicted in pairs:
        labels = np.array(y), np.array(predicted)
        yield Case("accuracy", labels, f"{len(y)} rows")
        for name in ("precision", "recall", "f1"):
            for average in ("macro", "weighted", "micro"):
                yield Case(name, (*labels, average), f"{average}, {len(y)} rows", (average,))
    for y, scores, flag in (
        ([0, 1], [1, 2], "plain"), ([0, 1], [2, 2], "tie"), ([0, 1, 1, 0], [1, 1, 2, 0], "tie"), ([1, 1], [1, 2], "one class"),
        ([0, 0, 0], [1, 2, 2], "one class"), ([1], [0], "one class"), ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], "tie"),
        ([0, 1, 0, 1, 1], [3, 1, 2, 2, 5], "tie"), ([1, 0, 0], [0, 1, 2], "plain"), ([0], [5], "one class"),
        ([1, 1, 1], [0, 0, 0], "one class"),
        ([0, 1, 1], [4, 3, 5], "plain"), ([1, 0, 1, 0, 0], [2, 2, 1, 1, 0], "tie"),
    ):  # fmt: skip
        for dtype in BOTH:
            yield Case("auc", (np.array(y), np.array(scores, dtype)), flag, (flag,))


def ranking(rng: np.random.Generator) -> Iterator[Case]:
    """Yield cases of hit_rate and ndcg.

    Shapes      takes no arrays
    Source      this package

    >>> next(ranking(np.random.default_rng(0))).operation
    'hit_rate'
    """
    fixed: list[tuple[Any, Any, int, str]] = [
        ([[3, 2, 1]], [[0, 1, 1]], 2, "plain"), ([[3, 2, 1, 0]], [[0, 1, 0, 1]], 3, "plain"),
        ([[1, 2, 3]], [[1, 0, 0]], 5, "k beyond"),
        ([[3, 2, 1]], [[1, 1, 1]], 1, "plain"), ([[4, 3, 2, 1]], [[1, 1, 0, 1]], 2, "plain"), ([[2, 2]], [[1, 0]], 1, "tie"),
        ([[2, 2]], [[0, 1]], 1, "tie"), ([[2, 2, 2]], [[0, 1, 0]], 2, "tie"), ([[5, 2, 2, 1]], [[0, 0, 1, 1]], 2, "tie"),
        ([[1, 1, 1, 1]], [[1, 0, 0, 1]], 3, "tie"), ([[3, 2], [1, 2]], [[0, 0], [0, 1]], 1, "empty row"),
        ([[2, 1]], [[0, 0]], 1, "empty row"),
        ([[3, 2, 1], [3, 2, 1], [1, 2, 3]], [[0, 0, 0], [1, 0, 0], [1, 0, 0]], 2, "empty row"),
        ([[2, 1], [2, 1]], [[0, 1], [0, 0]], 2, "empty row"),
        ([[4, 3, 2, 1]], [[3, 0, 2, 1]], 2, "graded"), ([[1, 2, 3, 4]], [[3, 0, 2, 1]], 4, "graded"),
        ([[3, 2, 1]], [[1, 3, 2]], 3, "graded"),
        ([[3, 2, 1, 0, -1]], [[0, 2, 0, 0, 3]], 3, "graded"), ([[2, 2, 1]], [[1, 3, 2]], 2, "graded tie"),
        ([[2, 2, 2]], [[0, 2, 1]], 1, "graded tie"),
        ([[1, 2, 3, 0]], [[0, 0, 1, 0]], 1, "plain"), ([[1, 2, 3, 0]], [[1, 1, 1, 1]], 3, "plain"),
        ([[7, 5, 3, 1, 0]], [[1, 0, 1, 0, 1]], 4, "plain"),
    ]  # fmt: skip
    for scores, relevance, k, flag in fixed:
        for dtype in BOTH:
            for name in ("hit_rate", "ndcg"):
                yield Case(name, (np.array(scores, dtype), np.array(relevance, dtype), k), flag, (flag,))
    for small in ([[0.5, 0, 0]], [[0, 0.5, 2]], [[0.25, 0.25, 0]], [[0, 0, 0.5]], [[0.5, 0.5, 1]]):
        for scores, k in (([[3.0, 2, 1]], 1), ([[1.0, 3, 2]], 2)):
            yield Case("hit_rate", (np.array(scores), np.array(small, float), k), "relevance between 0 and 1", ("fraction",))
    for _ in range(14):
        n, length = int(rng.integers(1, 3)), int(rng.integers(3, 7))
        scores, relevance = rng.permutation(n * length).reshape(n, length) * 1.0, rng.integers(0, 2, (n, length)) * 1.0
        relevance[:, 0] = 1
        for name in ("hit_rate", "ndcg"):
            yield Case(name, (scores, relevance, int(rng.integers(1, length + 1))), "drawn", ("drawn",))
        yield Case("ndcg", (scores[:1], relevance[:1] * rng.integers(1, 4, (1, length)), int(rng.integers(1, length + 1))),
            "drawn", ("graded",))
