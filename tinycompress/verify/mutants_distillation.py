"""Distillation as people really get it wrong: each mistake a few lines, beside the law that it breaks.

A twin has the signature of the right function and gives a plausible number. A law is a statement that the right function keeps
and at least one twin breaks; it takes the function and says whether it holds, without knowing any expected value.

Letters     z_s, z_t logits of student and teacher, N rows, C classes, y labels, t temperature, p probabilities
Not here: the right functions (soft_targets, distillation), gradients (mutants_layers). Read next: mutants_metrics.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.distillation import binary_kd_loss, distillation_loss, kd_loss
from tinycompress.losses import cross_entropy
from tinycompress.verify.laws import Law, Mutant

Array = NDArray[np.float64]


def _softmax(z: Array, axis: int = 1) -> Array:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    p: Array = e / e.sum(axis=axis, keepdims=True)
    return p


def _logs(z: Array, axis: int = 1) -> Array:
    shifted = z - z.max(axis=axis, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return logs


def _kl(l_t: Array, l_s: Array) -> Array:
    terms: Array = np.exp(l_t) * (l_t - l_s)
    return terms


def _without_t_squared(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(z_s, z_t, t, convention="torch.kl_div.batchmean")


def _mean_over_classes_too(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(z_s, z_t, t, "mean")


def _swapped(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(z_t, z_s, t)


def _softmax_over_the_batch(z_s: Array, z_t: Array, t: float) -> float:
    return float(t * t * _kl(_logs(z_t / t, 0), _logs(z_s / t, 0)).sum() / len(z_s))


def _probabilities_for_logarithms(z_s: Array, z_t: Array, t: float) -> float:
    p = _softmax(z_t / t)
    return float(t * t * (p * (np.log(np.maximum(p, 1e-300)) - _softmax(z_s / t))).sum() / len(z_s))


def _epsilon_inside_the_logarithm(z_s: Array, z_t: Array, t: float) -> float:
    return float(t * t * _kl(_logs(z_t / t), np.log(_softmax(z_s / t) + 1e-8)).sum() / len(z_s))


def _student_not_softened(z_s: Array, z_t: Array, t: float) -> float:
    return float(t * t * _kl(_logs(z_t / t), _logs(z_s)).sum() / len(z_s))


def _teacher_never_used(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(z_s, np.zeros_like(z_t), t)


def _squared_logits(z_s: Array, z_t: Array, t: float) -> float:
    return float(((z_s - z_t) ** 2).sum() / (2 * z_s.size))


def _cross_entropy(z_s: Array, z_t: Array, t: float) -> float:
    return float(-t * t * (_softmax(z_t / t) * _logs(z_s / t)).sum() / len(z_s))


def _logarithms_for_probabilities(z_s: Array, z_t: Array, t: float) -> float:
    q = np.log(_softmax(z_t / t))
    return float(t * t * (q * (np.log(q) - np.log(_softmax(z_s / t)))).sum() / len(z_s))


def _alpha_on_the_other_term(z_s: Array, z_t: Array, y: Any, t: float, soft: float, hard: float) -> float:
    return distillation_loss(z_s, z_t, y, t, hard, soft)


def _hard_term_softened(z_s: Array, z_t: Array, y: Any, t: float, soft: float, hard: float) -> float:
    return hard * cross_entropy(z_s / t, y) + soft * kd_loss(z_s, z_t, t)


def _softmax_over_one_logit(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(z_s[:, None], z_t[:, None], t)


def _logits_of_both_signs(z_s: Array, z_t: Array, t: float) -> float:
    return kd_loss(np.stack([-z_s, z_s], 1), np.stack([-z_t, z_t], 1), t)


def _teacher_updated(z_s: Array, z_t: Array, t: float) -> float:
    loss = kd_loss(z_s, z_t, t)
    z_t += 0.1 * (z_s - z_t)  # as if the optimizer had been given the teacher's parameters too
    return loss


TWINS: tuple[Mutant, ...] = (
    Mutant("no_t_squared", "kd_loss", _without_t_squared, "hot limit", "the soft term fades as 1 / T^2 beside the hard one",
        "factor", "none"),
    Mutant("mean", "kd_loss", _mean_over_classes_too, "absent classes", "gradients C times too small", "reduction", "mean"),
    Mutant("swapped", "kd_loss", _swapped, "cold limit", "the student picks one mode of the teacher and drops the others",
        "direction", "reverse"),
    Mutant("batch_axis", "kd_loss", _softmax_over_the_batch, "rows alone",
        "rows compete with each other; one row teaches nothing", "axis", "rows"),
    Mutant("probabilities", "kd_loss", _probabilities_for_logarithms, "never negative", "p_s runs to the teacher's best class"),
    Mutant("epsilon", "kd_loss", _epsilon_inside_the_logarithm, "linear growth", "a sure wrong student has no gradient left"),
    Mutant("student_hard", "kd_loss", _student_not_softened, "zero at equality", "the student learns logits T times too small",
        "temperature", "teacher_only"),
    Mutant("teacher_unused", "kd_loss", _teacher_never_used, "zero at equality", "label smoothing at best"),
    Mutant("entropy_left_in", "kd_loss", _cross_entropy, "zero at equality", "a perfect student still shows a loss",
        "direction", "cross_entropy"),
    Mutant("log_target", "kd_loss", _logarithms_for_probabilities, "zero at equality",
        "NaN, or with exp taken elsewhere nonsense"),
    Mutant("squared_logits", "kd_loss", _squared_logits, "shift", "learns a constant no probability sees"),
    Mutant("teacher_updated", "kd_loss", _teacher_updated, "arguments kept", "teacher and student meet where both are wrong"),
    Mutant("alpha_swapped", "distillation_loss", _alpha_on_the_other_term, "soft alone",
        "90 % labels where 90 % teacher is meant"),
    Mutant("hard_at_t", "distillation_loss", _hard_term_softened, "hard alone", "labels fade as 1 / T"),
    Mutant("one_logit", "binary_kd_loss", _softmax_over_one_logit, "clicks differ", "the loss is 0 whatever the student says"),
    Mutant("both_signs", "binary_kd_loss", _logits_of_both_signs, "clicks hot limit",
        "half the temperature that was asked for", "logits", "symmetric"),
)


def laws() -> dict[str, Law]:
    """Return the laws by name.

    Shapes      implementations take float64 logits (N, C) or (N,), labels (N,), numbers
    Source      the Limits and Convention slots of soft_targets, distillation and binary_distillation

    >>> laws()["never negative"].holds(kd_loss)
    True
    """
    rng = np.random.default_rng(0)
    z_s, z_t, y = 2 * rng.standard_normal((6, 4)), 2 * rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    z_s.flags.writeable = z_t.flags.writeable = False  # one mistake writes into the teacher
    sure = np.array([[[0.0, 1.0, 2.0]], [[2.0, 1.0, 0.0]]])  # student and teacher
    other = np.array([[2.0, -5.0, -7.0]])  # the same best class
    absent = np.full((6, 4), -1e3)

    def close(a: float, b: float, tolerance: float = 1e-6) -> bool:
        return abs(a - b) <= tolerance * abs(b) + 1e-12

    def keeps(f: Callable[..., Any]) -> bool:
        a, b = z_s.copy(), z_t.copy()
        f(a, b, 2.0)
        return bool((a == z_s).all() and (b == z_t).all())

    gap = (z_s - z_t) - (z_s - z_t).mean(axis=1, keepdims=True)
    padded = np.concatenate([z_s, absent], 1), np.concatenate([z_t, absent], 1)
    padded[1].flags.writeable = False
    sums = (z_s.sum(1), z_t.sum(1))
    click_limit = float(np.square(sums[0] - sums[1]).mean()) / 8
    return {
        "hot limit": Law("kd_loss", "T -> infinity: |c(z_s) - c(z_t)|^2 / (2 C)",
            lambda f: close(f(z_s, z_t, 1e3), float((gap * gap).sum()) / 48, 0.05)),
        "absent classes": Law("kd_loss", "classes without probability add nothing",
            lambda f: close(f(*padded, 2.0), f(z_s, z_t, 2.0))),
        "cold limit": Law("kd_loss", "T -> 0: only the teacher's best class matters",
            lambda f: close(f(sure[0], other, 0.01), f(*sure, 0.01))),
        "rows alone": Law("kd_loss", "the loss is the mean of each row's own",
            lambda f: close(f(z_s, z_t, 2.0), sum(f(z_s[[i]], z_t[[i]], 2.0) for i in range(6)) / 6)),
        "never negative": Law("kd_loss", "a divergence is never negative",
            lambda f: all(f(z_s[[i]], z_t[[i]], 2.0) >= 0 for i in range(6))),
        "linear growth": Law("kd_loss", "a sure wrong student pays in proportion to its logits",
            lambda f: close(f(*(100 * sure), 1.0), 2 * f(*(50 * sure), 1.0))),
        "zero at equality": Law("kd_loss", "0 where the student is the teacher", lambda f: abs(f(z_t, z_t, 2.0)) < 1e-9),
        "shift": Law("kd_loss", "a constant added to a row's logits changes nothing",
            lambda f: close(f(z_s + 3, z_t, 2.0), f(z_s, z_t, 2.0))),
        "arguments kept": Law("kd_loss", "the arguments stay as they are", keeps),
        "soft alone": Law("distillation_loss", "without a hard weight the labels do not matter",
            lambda f: f(z_s, z_t, y, 2.0, 1.0, 0.0) == f(z_s, z_t, 3 - y, 2.0, 1.0, 0.0)),
        "hard alone": Law("distillation_loss", "without a soft weight the temperature does not matter",
            lambda f: close(f(z_s, z_t, y, 2.0, 0.0, 1.0), f(z_s, z_t, y, 9.0, 0.0, 1.0))),
        "clicks differ": Law("binary_kd_loss", "a student unlike its teacher has a loss", lambda f: f(*sums, 2.0) > 0),
        "clicks hot limit": Law("binary_kd_loss", "T -> infinity: (z_s - z_t)^2 / 8",
            lambda f: close(f(*sums, 1e4), click_limit, 0.05)),
    }


RIGHT: dict[str, Callable[..., Any]] = {
    "kd_loss": kd_loss, "distillation_loss": distillation_loss, "binary_kd_loss": binary_kd_loss,
}  # fmt: skip
