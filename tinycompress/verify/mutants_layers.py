"""Layers, losses, their gradients and the optimizer as people really get them wrong.

Letters     x (N, I), w (I, O), b (O,), z logits (N, C), y labels, p probabilities, T temperature; g gradient, m and v moments,
            t step
Not here: the laws (laws_layers), the distillation loss itself (mutants_distillation). Read next: mutants_distillation.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Mutant
from tinycompress.verify.laws_layers import LAYER_LAWS
from tinycompress.verify.own import OWN, Array


def soft(z: Array, axis: int | None = -1, shift: bool = True) -> Array:
    """Return softmax over an axis.

    Shapes      z (N, C) -> (N, C)
    Source      textbook

    >>> soft(np.zeros((1, 2))).tolist()
    [[0.5, 0.5]]
    """
    e = np.exp(z - z.max(axis=axis, keepdims=True) if shift and z.size else z)
    p: Array = e / e.sum(axis=axis, keepdims=True)
    return p


def _picked(p: Array, labels: Array) -> Array:
    out: Array = np.take_along_axis(p, np.asarray(labels)[:, None], 1)[:, 0]
    return out


def _log_soft(z: Array, axis: int = 1) -> Array:
    shifted = z - z.max(axis=axis, keepdims=True)
    out: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return out


def _loss(rows: Function = np.mean, log: Function = _log_soft) -> Function:
    return lambda logits, labels: float(rows(-_picked(log(logits), labels)))


def _gradient(target: float = 1.0, share: Function = lambda z: len(z), sign: int = 1, axis: int = 1) -> Function:
    def cross_entropy_backward(logits: Array, labels: Array) -> Any:
        d = soft(logits, axis)
        d[np.arange(len(labels)), labels] -= target
        return sign * d / logits.dtype.type(share(logits))

    return cross_entropy_backward


def _layer(dx: Function = lambda dy, w: dy @ w.T, dw: Function = lambda x, dy: x.T @ dy,
    db: Function = lambda dy: dy.sum(0)) -> Function:
    def linear_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
        return dx(dy, w), dw(x, dy), db(dy)

    return linear_backward


def _square(right: Function, other: Function) -> Function:
    """The other where its shape fits, so that only square layers are wrong: a mistake that a test of unequal sizes finds."""

    def one(a: Array, b: Array) -> Array:
        expected: Array = right(a, b)
        try:
            made: Array = other(a, b)
        except ValueError:
            return expected
        return made if made.shape == expected.shape else expected

    return one


def _kd_gradient(factor: Function = lambda t: t, share: Function = lambda z: len(z), sign: int = 1, swap: bool = False,
    hard: bool = False,
                used: bool = True) -> Function:  # fmt: skip
    """Return the gradient of T^2 KL(teacher, student) made of parts, right where nothing is said.

    Shapes      takes functions
    Source      this package

    >>> _kd_gradient()(np.zeros((1, 2)), np.zeros((1, 2)), 2.0).tolist()
    [[0.0, 0.0]]
    """

    def kd_loss_backward(z_s: Array, z_t: Array, t: float) -> Any:
        p_s, p_t = soft(z_s if hard else z_s / t), soft(z_t / t if used else 0 * z_t)
        if swap:
            r = _log_soft(z_s / t) - _log_soft(z_t / t)
            d = p_s * (r - (p_s * r).sum(1, keepdims=True))
        else:
            d = p_s - p_t
        return sign * z_s.dtype.type(factor(t) / share(z_s)) * d

    return kd_loss_backward


def _clicks(factor: Function = lambda t: t, share: Function = len, width: float = 1.0) -> Function:
    def binary_kd_loss_backward(z_s: Array, z_t: Array, t: float) -> Any:
        def sigmoid(v: Array) -> Array:
            e = np.exp(-np.abs(v))
            out: Array = np.where(v > 0, 1 / (1 + e), e / (1 + e))
            return out

        return z_s.dtype.type(width * factor(t) / share(z_s)) * (sigmoid(width * z_s / t) - sigmoid(width * z_t / t))

    return binary_kd_loss_backward


def adam(place: str = "outside", first: bool = True, second: bool = True, late: int = 0, sign: int = -1, root: Function = np.sqrt,
         square: Function = np.square, in_place: bool = False, corrected: bool = False) -> Function:  # fmt: skip
    """Return a step of Adam made of parts, right where nothing is said.

    Shapes      takes no arrays
    Source      Kingma and Ba 2015

    >>> adam()(np.array([1.0]), np.array([4.0]), np.zeros(1), np.zeros(1), 1, 0.5, 0.5, 0.75, 0.0)[0].tolist()
    [0.5]
    """

    def adam_step(p: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float) -> Any:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * square(g)
        m_hat = m / (1 - beta1 ** (t + late)) if first else m
        c2 = 1 - beta2 ** (t + late) if second else 1.0
        below = {"outside": lambda: root(v / c2) + eps, "inside": lambda: root(v / c2 + eps),
                 "before_correction": lambda: (root(v) + eps) / np.sqrt(c2)}[place]()  # fmt: skip
        step = (sign * lr * m_hat / below).astype(p.dtype)
        if in_place:
            p += step
            return p, m, v
        return p + step, (m_hat if corrected else m), (v / c2 if corrected else v)

    return adam_step


_OTHER = _square(lambda x, w: x @ w, lambda x, w: x @ w.T)
LAYER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("weights_transposed", "linear", lambda x, w, b: _OTHER(x, w) + b, "one input", "square layers silently use w^T"),
    Mutant("bias_forgotten", "linear", lambda x, w, b: x @ w, "identity", "everything passes through 0", "bias", "missing"),
    Mutant("input_gradient_transposed", "linear_backward", _layer(dx=_square(lambda dy, w: dy @ w.T, lambda dy, w: dy @ w)),
        "one output",
           "square layers send blame to the wrong inputs"),
    Mutant("weight_gradient_transposed", "linear_backward", _layer(dw=_square(lambda x, dy: x.T @ dy, lambda x, dy: dy.T @ x)),
        "from x to y",
           "square layers learn each other's weights"),
    Mutant("mean_of_rows", "linear_backward", _layer(dw=lambda x, dy: x.T @ dy / max(len(x), 1)), "rows add up",
        "N times too small: the loss has its mean already", "dw", "mean"),
    Mutant("bias_mean", "linear_backward", _layer(db=lambda dy: dy.sum(0) / max(len(dy), 1)), "rows add up",
        "biases learn N times slower", "db", "mean"),
    Mutant("over_the_batch", "softmax", lambda z, t: soft(z / z.dtype.type(t), 0), "rows sum to 1",
        "rows compete with each other", "axis", "first"),
    Mutant("over_everything", "softmax", lambda z, t: soft(z / z.dtype.type(t), None), "rows sum to 1",
        "a batch shares one probability", "axis", "all"),
    Mutant("not_shifted", "softmax", lambda z, t: soft(z / z.dtype.type(t), -1, False), "no overflow",
        "NaN from logits of 89 in float32"),
    Mutant("temperature_multiplied", "softmax", lambda z, t: soft(z * z.dtype.type(t)), "hotter is flatter",
        "hotter is sharper", "temperature", "multiply"),
    Mutant("temperature_unused", "softmax", lambda z, t: soft(z), "hotter is flatter", "no soft targets at all", "temperature",
        "ignored"),
    Mutant("sum_for_mean", "cross_entropy", _loss(np.sum), "repeated rows", "the step grows with the batch", "reduction", "sum"),
    Mutant("mean_of_elements", "cross_entropy", lambda z, y: _loss()(z, y) / z.shape[1], "uniform", "C times too small",
        "reduction", "mean"),
    Mutant("bits_for_nats", "cross_entropy", lambda z, y: _loss()(z, y) / np.log(2), "uniform",
        "44 % larger than others report", "base", "two"),
    Mutant("softmax_twice", "cross_entropy", _loss(log=lambda z: _log_soft(soft(z))), "sure and wrong",
        "never below 0.55 for two classes, and hardly a gradient"),
    Mutant("epsilon_in_log", "cross_entropy", _loss(log=lambda z: np.log(soft(z) + 1e-8)), "sure and wrong",
        "a sure wrong answer has no gradient"),
    Mutant("log_of_softmax", "cross_entropy", _loss(log=lambda z: np.log(soft(z))), "sure and wrong",
        "infinite from a difference of 104 in float32"),
    Mutant("batch_axis_loss", "cross_entropy", _loss(log=lambda z: _log_soft(z, 0)), "uniform", "a batch of one costs nothing",
        "axis", "rows"),
    Mutant("onehot_forgotten", "cross_entropy_backward", _gradient(target=0.0), "zero sum", "all logits sink for ever",
        "target", "missing"),
    Mutant("gradient_sum", "cross_entropy_backward", _gradient(share=lambda z: 1), "half for two", "N times too large",
        "reduction", "sum"),
    Mutant("gradient_mean_of_elements", "cross_entropy_backward", _gradient(share=lambda z: z.size), "downhill",
        "C times too small", "reduction", "mean"),
    Mutant("gradient_sign", "cross_entropy_backward", _gradient(sign=-1), "downhill", "uphill", "target", "negated"),
    Mutant("t_squared_forgotten", "kd_loss_backward", _kd_gradient(lambda t: 1 / t), "hot gradient",
        "the soft term fades as 1 / T^2", "factor", "none"),
    Mutant("inner_t_forgotten", "kd_loss_backward", _kd_gradient(lambda t: t * t), "slope of the loss", "T times too strong",
        "factor", "inner_forgotten"),
    Mutant("t_for_t_squared", "kd_loss_backward", _kd_gradient(lambda t: 1.0), "hot gradient", "T times too weak", "factor",
        "linear"),
    Mutant("mean_for_batchmean", "kd_loss_backward", _kd_gradient(share=lambda z: z.size), "slope of the loss",
        "C times too weak", "reduction", "mean"),
    Mutant("soft_sum", "kd_loss_backward", _kd_gradient(share=lambda z: 1), "slope of the loss", "N times too strong",
        "reduction", "sum"),
    Mutant("reverse_gradient", "kd_loss_backward", _kd_gradient(swap=True), "slope of the loss",
        "the student picks one mode of the teacher", "direction", "reverse"),
    Mutant("soft_uphill", "kd_loss_backward", _kd_gradient(sign=-1), "slope of the loss", "away from the teacher"),
    Mutant("student_not_softened", "kd_loss_backward", _kd_gradient(hard=True), "at rest",
        "the student learns logits T times too small"),
    Mutant("teacher_ignored", "kd_loss_backward", _kd_gradient(used=False), "at rest", "label smoothing at best"),
    Mutant("clicks_sum", "binary_kd_loss_backward", _clicks(share=lambda z: 1), "one click of two", "N times too strong",
        "reduction", "sum"),
    Mutant("clicks_without_t_squared", "binary_kd_loss_backward", _clicks(lambda t: 1 / t), "hot clicks",
        "the soft term fades as 1 / T^2", "factor", "none"),
    Mutant("clicks_both_signs", "binary_kd_loss_backward", _clicks(width=2.0), "hot clicks",
        "half the temperature that was asked for", "logits", "symmetric"),
    Mutant("epsilon_inside", "adam_step", adam("inside"), "eps is a gradient",
        "small gradients take steps a hundred times smaller", "epsilon", "inside"),
    Mutant("epsilon_before_correction", "adam_step", adam("before_correction"), "eps is a gradient",
        "the first steps are shorter", "epsilon", "before_correction"),
    Mutant("not_corrected", "adam_step", adam(first=False, second=False), "first step",
        "the first steps are three times as long", "correction", "none"),
    Mutant("half_corrected", "adam_step", adam(second=False), "first step", "the first steps are thirty times as long",
        "correction", "first_only"),
    Mutant("from_zero", "adam_step", adam(late=1), "first step", "the first steps are too short", "count", "next"),
    Mutant("root_forgotten", "adam_step", adam(root=lambda v: v), "first step", "steps grow as gradients vanish", "root",
        "missing"),
    Mutant("not_squared", "adam_step", adam(square=np.abs), "steady", "steps depend on the scale of the loss"),
    Mutant("uphill", "adam_step", adam(sign=1), "first step", "away from the minimum", "direction", "up"),
    Mutant("corrected_moments", "adam_step", adam(corrected=True), "moments handed on", "corrected again at every step",
        "returned", "corrected"),
    Mutant("updated_in_place", "adam_step", adam(in_place=True), "parameters kept", "the caller's best weights are overwritten"),
)  # fmt: skip

LAYER_RIGHT: dict[str, Function] = {law.operation: getattr(OWN, law.operation) for law in LAYER_LAWS.values()}
