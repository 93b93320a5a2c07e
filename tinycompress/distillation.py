"""Distillation: a student learns from labels and from a teacher at once; and the forms for clicks and lists, by name.

    L = hard_weight CE(y, softmax(z_s)) + soft_weight T^2 KL(softmax(z_t / T) || softmax(z_s / T))                          (1)

Two weights, because one alpha means 90 % teacher in one library and 90 % labels in the next. The hard term is at T = 1. The
factor T^2 holds the soft gradient, at high T, beside that of the labels: without it, it fades as 1 / T^2. At T = 1, and only
there, (1) is one cross-entropy against one mixed row of targets.

The teacher is a constant: evaluated without noise, never updated, and asked about the same rows in the same order as the
student; dense_training.taught builds a training objective in which nothing else is possible.

Letters     z_s, z_t logits of student and teacher, y labels, T temperature, p = softmax(z / T), N rows, C classes
Not here: how a divergence is computed (divergences), hidden layers (feature_distillation). Read next: decoupled_distillation.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycompress.binary_distillation import binary_kd_loss, binary_kd_loss_backward
from tinycompress.conventions import SoftTargetRule, resolve
from tinycompress.losses import cross_entropy, cross_entropy_backward
from tinycompress.ranking_distillation import ranking_kd_loss, ranking_kd_loss_backward
from tinycompress.soft_targets import TEMPERED_KL, Convention, as_rows, kd_loss, kd_loss_and_gradient, kd_loss_backward

__all__ = [
    "binary_kd_loss", "binary_kd_loss_backward", "distillation_loss", "distillation_loss_backward", "kd_loss",
    "kd_loss_and_gradient", "kd_loss_backward", "ranking_kd_loss", "ranking_kd_loss_backward", "smooth_labels", "split_alpha",
]  # fmt: skip

Array = NDArray[np.floating]
Labels = NDArray[np.integer]


def distillation_loss(
    student_logits: Array,
    teacher_logits: Array,
    labels: Labels | None,
    temperature: float,
    soft_weight: float,
    hard_weight: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> float:
    """Return the joint loss of soft targets and labels.

    Equation    (1)
    Shapes      student_logits, teacher_logits (N, C), labels (N,) or None where hard_weight is 0 -> number
    Limits      T = 1: the cross-entropy against (hard y + soft p_t) / (hard + soft), times hard + soft, minus soft H(p_t)
    Convention  the hard term is a mean over rows, under reduction "sum" a sum. Weights need not sum to 1. A convention whose
                `without_hard` is "bare" returns the bare divergence where hard_weight is 0: no T^2, no soft_weight.
    Raises      ValueError as kd_loss and losses.cross_entropy, or if there is a hard weight and no labels
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2

    >>> z = np.array([[0.0, 0.0]])
    >>> bool(distillation_loss(z, z, np.array([1]), temperature=4.0, soft_weight=0.5, hard_weight=0.5) == np.log(2) / 2)
    True
    """
    return _joint(student_logits, teacher_logits, labels, temperature, soft_weight, hard_weight, reduction, convention)[0]


def distillation_loss_backward(
    student_logits: Array,
    teacher_logits: Array,
    labels: Labels | None,
    temperature: float,
    soft_weight: float,
    hard_weight: float,
    reduction: str | None = None,
    convention: Convention = TEMPERED_KL,
) -> Array:
    """Return d student_logits of `distillation_loss`.

    Equation    dz_s = [hard_weight (softmax(z_s) - onehot(y)) + soft_weight T (p_s - p_t)] / N;  each row sums to 0
    Shapes      student_logits, teacher_logits (N, C), labels (N,) -> (N, C), in the dtype of student_logits
    Raises      ValueError as distillation_loss
    Source      from (1)

    >>> z = np.array([[0.0, 0.0]])
    >>> distillation_loss_backward(z, z, np.array([1]), temperature=4.0, soft_weight=0.5, hard_weight=0.5)
    array([[ 0.25, -0.25]])
    """
    return _joint(student_logits, teacher_logits, labels, temperature, soft_weight, hard_weight, reduction, convention)[1]


def split_alpha(alpha: float | None, convention: Convention, beta: float | None = None) -> tuple[float, float]:
    """Return (soft_weight, hard_weight) for the alpha of some library.

    Equation    alpha on_soft: (alpha, 1 - alpha);  on_hard: (1 - alpha, alpha);  separate: (alpha, beta)
    Shapes      takes no arrays
    Convention  beta, where given, is the weight of the other term. alpha None is a hard weight of 0 where alpha is on_hard.
    Raises      ValueError if the convention has two separate weights and beta is missing, or alpha is None elsewhere
    Source      the convention's

    >>> split_alpha(0.75, "torchdistill.KDLoss"), split_alpha(0.75, "peterliht.loss_fn_kd")
    ((0.25, 0.75), (0.75, 0.25))
    """
    where = resolve(convention, SoftTargetRule).alpha
    if where == "on_hard":
        hard = 0.0 if alpha is None else alpha
        return (1 - hard if beta is None else beta), hard
    if alpha is None or (where == "separate" and beta is None):
        raise ValueError(f"alpha is {alpha} and beta {beta}; where alpha is {where!r}, give alpha, and beta if not 1 - alpha")
    return alpha, 1 - alpha if beta is None else beta


def smooth_labels(labels: Labels, classes: int, smoothing: float) -> NDArray[np.float64]:
    """Return logits whose softmax is the smoothed label: a teacher that knows nothing but the class.

    Equation    softmax(z) = (1 - smoothing) onehot(y) + smoothing / C
    Shapes      labels (N,) -> (N, C)
    Limits      cross-entropy against it = (1 - smoothing) CE(y) + smoothing (KL(uniform || p_s) + log C): label smoothing is
                distillation at T = 1 from a mixture of the label and a uniform teacher
    Raises      ValueError unless 0 < smoothing <= 1, or a label is no class
    Source      Szegedy et al. 2016 (arXiv 1512.00567), section 7

    >>> bool((smooth_labels(np.array([1]), 2, smoothing=1.0) == np.log(0.5)).all())
    True
    """
    y = np.asarray(labels)
    if not 0 < smoothing <= 1:
        raise ValueError(f"smoothing is {smoothing}; use more than 0 and at most 1 (at 0 the logits would be -inf)")
    if len(y) and not 0 <= y.min() <= y.max() < classes:
        raise ValueError(f"labels run from {y.min()} to {y.max()}; the classes are 0 to {classes - 1}")
    p = np.full((len(y), classes), smoothing / classes)
    p[np.arange(len(y)), y] += 1 - smoothing
    z: NDArray[np.float64] = np.log(p)
    return z


def _joint(
    student: Array, teacher: Array, labels: Labels | None, temperature: float, soft: float, hard: float, reduction: str | None,
    convention: Convention,
) -> tuple[float, Array]:  # fmt: skip
    rule = resolve(convention, SoftTargetRule)
    z_s, z_t = as_rows(student, teacher, temperature)
    value, gradient = kd_loss_and_gradient(z_s, z_t, temperature, reduction, rule)
    if hard == 0:
        bare = rule.without_hard == "bare"
        weight = {"squared": temperature**-2, "linear": 1 / temperature, "one": 1.0}[rule.temperature_factor] if bare else soft
        return weight * value, gradient * z_s.dtype.type(weight)
    if labels is None:
        raise ValueError(f"hard_weight is {hard} and there are no labels; give labels or set it to 0")
    scale = temperature if rule.hard_temperature == "same" else 1.0
    y, z = np.asarray(labels), z_s.astype(np.float64) / scale
    over = "sum" if (reduction or rule.reduction) == "sum" else "mean"
    total = hard * cross_entropy(z, y, over) + soft * value  # (1)
    both = hard / scale * cross_entropy_backward(z, y, over) + soft * gradient.astype(np.float64)
    with np.errstate(under="ignore"):
        return total, both.astype(z_s.dtype)
