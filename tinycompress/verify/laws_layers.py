"""The laws of layers, losses, their gradients and a step of the optimizer, in float64.

Letters     x (N, I), w (I, O), b (O,), z logits (N, C), y labels, T temperature; g gradient, m and v moments, t step
Not here: the mistakes that break them (mutants_layers). Read next: mutants_layers.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from tinycompress.verify.laws import Array, Function, Law, close, equal, unchanged
from tinycompress.verify.own import OWN

X, W, B = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]]), np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([10.0, 20.0])
DY = np.array([[1.0, 0.0], [2.0, -1.0], [0.0, 4.0]])
Z, LABELS = np.array([[1.0, 0.0, -1.0], [0.5, 2.5, 0.0]]), np.array([0, 1])
TEACHER = np.array([[2.0, 0.0, -2.0], [0.0, 1.0, -1.0]])
STEP = (np.array([1.0, 2.0]), np.array([0.5, -4.0]), np.array([0.1, 0.2]), np.array([0.3, 0.4]))


def _step(f: Function, g: float = 4.0, t: int = 1, eps: float = 0.0, start: float = 0.0) -> Any:
    return f(np.zeros(1), np.full(1, g), np.full(1, start * g), np.full(1, start * g * g), t, 0.1, 0.9, 0.999, eps)


def _kd(f: Function, t: float = 2.0, z_s: Array = Z, z_t: Array = TEACHER) -> Array:
    return np.asarray(f(z_s, z_t, t))


LAYER_LAWS: dict[str, Law] = {
    "identity": Law("linear", "the identity with a bias adds the bias", lambda f: equal(f(X, np.eye(2), B), X + B)),
    "one input": Law("linear", "one input of 1 answers its row of w", lambda f: equal(f(np.eye(2)[:1], W, 0 * B), W[:1])),
    "one output": Law("linear_backward", "dx of one output is its column of w",
        lambda f: equal(f(np.eye(2)[:1], X[:1], W)[0], W.T[:1])),
    "rows add up": Law("linear_backward", "two equal rows give twice the gradient of one", lambda f: all(
        equal(a, 2 * np.asarray(b)) for a,
            b in zip(f(np.vstack([DY, DY]), np.vstack([X, X]), W)[1:], f(DY, X, W)[1:], strict=True))),
    "from x to y": Law("linear_backward", "dw[i, o] is x_i dy_o", lambda f: equal(f(DY[:1], X[:1], W)[1], np.outer(X[0], DY[0]))),
    "rows sum to 1": Law("softmax", "each row sums to 1", lambda f: close(np.sum(f(Z, 2.0), axis=1), [1, 1])),
    "no overflow": Law("softmax", "a constant added to a row changes nothing, however large",
        lambda f: close(f(Z + 1e3, 1.0), f(Z, 1.0))),
    "hotter is flatter": Law("softmax", "softmax(z, T) = softmax(z / T, 1)", lambda f: close(f(Z, 4.0), f(Z / 4, 1.0))),
    "repeated rows": Law("cross_entropy", "the same rows twice have the same loss",
        lambda f: close(f(np.vstack([Z, Z]), np.r_[LABELS, LABELS]), f(Z, LABELS))),
    "uniform": Law("cross_entropy", "equal logits cost log C", lambda f: close(f(np.zeros((2, 3)), LABELS), np.log(3))),
    "sure and wrong": Law("cross_entropy", "a wrong answer costs what it is wrong by, without a limit",
        lambda f: close(f(np.array([[800.0, 0.0]]), np.array([1])), 800)),
    "zero sum": Law("cross_entropy_backward", "each row of the gradient sums to 0",
        lambda f: close(np.sum(f(Z, LABELS), axis=1), [0, 0])),
    "half for two": Law("cross_entropy_backward", "the same rows twice halve each row's gradient", lambda f: close(
        2 * np.asarray(f(np.vstack([Z, Z]), np.r_[LABELS, LABELS]))[:2], f(Z, LABELS))),
    "downhill": Law("cross_entropy_backward", "a small step against the gradient lowers the loss by its square",
                    lambda f: close((OWN.cross_entropy(Z, LABELS) - OWN.cross_entropy(Z - 1e-4 * np.asarray(f(Z, LABELS)),
                        LABELS)) / 1e-4,
                                    float(np.square(f(Z, LABELS)).sum()), 1e-3)),
    "hot gradient": Law("kd_loss_backward", "T -> infinity: half the difference of centred logits over C / 2, at any T",
        lambda f: close(
        _kd(f, 1e4), ((Z - Z.mean(1, keepdims=True)) - (TEACHER - TEACHER.mean(1, keepdims=True))) / 6, 1e-3)),
    "slope of the loss": Law("kd_loss_backward", "it is the slope of the loss", lambda f: all(close(
        (OWN.kd_loss(Z + 1e-5 * e, TEACHER, 2.0) - OWN.kd_loss(Z - 1e-5 * e, TEACHER, 2.0)) / 2e-5, float((_kd(f) * e).sum()),
            1e-5)
        for e in np.eye(6).reshape(6, 2, 3))),
    "at rest": Law("kd_loss_backward", "no gradient where the student is the teacher",
        lambda f: close(_kd(f, 3.0, TEACHER, TEACHER), 0 * Z)),
    "hot clicks": Law("binary_kd_loss_backward", "T -> infinity: (z_s - z_t) / 4 over N",
        lambda f: close(f(Z[0], TEACHER[0], 1e4), (Z[0] - TEACHER[0]) / 12, 1e-3)),
    "one click of two": Law("binary_kd_loss_backward", "the same rows twice halve each row's gradient", lambda f: close(
        2 * np.asarray(f(np.r_[Z[0], Z[0]], np.r_[TEACHER[0], TEACHER[0]], 2.0))[:3], f(Z[0], TEACHER[0], 2.0))),
    "first step": Law("adam_step", "the first step is lr, downhill, whatever the size of g", lambda f: all(
        close(_step(f, g)[0], [-0.1 * np.sign(g)]) for g in (4.0, -1e-3))),
    "eps is a gradient": Law("adam_step", "g = eps halves the first step", lambda f: close(_step(f, 1e-3, eps=1e-3)[0], [-0.05])),
    "steady": Law("adam_step", "after many equal gradients m = g and v = g^2",
        lambda f: close(_step(f, 3.0, 10**5, start=1.0)[1:], [[3.0], [9.0]])),
    "moments handed on": Law("adam_step", "m after the first step is (1 - beta1) g",
        lambda f: close(_step(f)[1:], [[0.4], [0.016]])),
    "parameters kept": Law("adam_step", "the arguments stay as they are",
        lambda f: unchanged(f, (*STEP, 1, 0.1, 0.9, 0.99, 1e-8))),
}  # fmt: skip
