"""The axes of the operations that answer sums: layers, losses, the optimizer, metrics; each option in a sentence.

The first option of an axis is the default of this package. Options are named by what they do, never by who does it.

Letters     p probabilities, T temperature, N rows, C classes, t step (from 1), m and v the moments
Not here: codes, masks and bytes (axes_integers), what a point computes (oracle). Read next: axes.
"""
from __future__ import annotations

from tinycompress.verify.axes_integers import Axis

_TEMPERATURE: Axis = {
    "both": "student and teacher are divided by T",
    "teacher_only": "only the teacher is divided by T",
    "student_only": "only the student is divided by T",
}
_FACTOR: Axis = {"squared": "T^2 times the divergence", "linear": "T times", "none": "not multiplied"}
_SLOPE: Axis = {
    "squared": "of T^2 times the divergence: T (p_s - p_t)",
    "linear": "of T times: p_s - p_t",
    "none": "not multiplied: (p_s - p_t) / T",
    "inner_forgotten": "of T^2 times, without the inner 1 / T: T^2 (p_s - p_t)",
}
_REDUCTION: Axis = {
    "batchmean": "sum over classes, mean over the N rows",
    "mean": "mean over all N C elements: C times weaker",
    "sum": "sum over everything",
}
_ROWS: Axis = {"mean": "mean over the rows", "sum": "sum over the rows"}
_DIRECTION: Axis = {
    "forward": "KL(teacher, student) = sum p_t log(p_t / p_s)",
    "reverse": "KL(student, teacher)",
    "cross_entropy": "-sum p_t log p_s: the entropy of the teacher is left in",
}
_GRADIENT: Axis = {"forward": "of KL(teacher, student), or of the cross entropy", "reverse": "of KL(student, teacher)"}
_ONE_LOGIT: Axis = {
    "zero_z": "two classes with logits (0, z): sigmoid(z / T)",
    "symmetric": "two classes with logits (-z, z): sigmoid(2 z / T)",
}
_SOFTMAX: Axis = {"classes": "softmax over the classes of a row", "rows": "softmax over the rows of a class"}
_ZERO_DIVISION: Axis = {
    "zero": "0 where undefined",
    "one": "1 where undefined",
    "skip": "undefined classes are left out of the average",
    "nan": "NaN where undefined",
}
_AVERAGED: dict[str, Axis] = {
    "labels": {"union": "classes in y_true or y_pred", "true_only": "classes in y_true", "range": "0 ... the largest label"},
    "zero_division": _ZERO_DIVISION,
    "weights": {"true_support": "weighted by how often a class is true", "predicted": "weighted by how often it is predicted"},
    "swapped": {"no": "y_true, y_pred", "yes": "the two arguments exchanged"},
}
_TIES: Axis = {
    "expected": "the mean over all orders of equal scores",
    "low_first": "of equal scores the lower index first",
    "high_first": "of equal scores the higher index first",
    "optimistic": "of equal scores the relevant first",
    "pessimistic": "of equal scores the relevant last",
}
_EMPTY: Axis = {
    "zero": "a row with nothing relevant counts 0",
    "skip": "such a row is left out of the mean",
    "one": "such a row counts 1",
}

FLOAT_AXES: dict[str, dict[str, Axis]] = {
    "linear": {
        "layout": {"inputs_outputs": "x w", "outputs_inputs": "x w^T: w holds one row per output"},
        "bias": {"added": "+ b", "missing": "b is not used", "subtracted": "- b"},
    },
    "linear_backward": {
        "layout": {"inputs_outputs": "dx = dy w^T", "outputs_inputs": "dx = dy w"},
        "dw": {"sum": "x^T dy", "mean": "x^T dy / N", "transposed": "dy^T x"},
        "db": {"sum": "sum of dy over rows", "mean": "mean of dy over rows"},
    },
    "softmax": {
        "temperature": {"divide": "softmax(z / T)", "multiply": "softmax(T z)", "ignored": "softmax(z)"},
        "axis": {"last": "over the last axis", "first": "over the first axis", "all": "over all entries"},
    },
    "cross_entropy": {
        "reduction": _REDUCTION,
        "base": {"e": "natural logarithm: nats", "two": "logarithm to base 2: bits"},
        "sign": {"positive": "-log p", "negative": "log p"},
        "axis": _SOFTMAX,
    },
    "cross_entropy_backward": {
        "reduction": _REDUCTION,
        "target": {"subtracted": "p - onehot", "missing": "p", "negated": "onehot - p"},
        "axis": _SOFTMAX,
    },
    "kd_loss": {
        "direction": _DIRECTION,
        "factor": _FACTOR,
        "reduction": _REDUCTION,
        "temperature": _TEMPERATURE,
        "axis": _SOFTMAX,
    },
    "kd_loss_backward": {
        "direction": _GRADIENT,
        "factor": _SLOPE,
        "reduction": _REDUCTION,
        "temperature": _TEMPERATURE,
    },
    "binary_kd_loss": {
        "logits": _ONE_LOGIT,
        "direction": _DIRECTION,
        "factor": _FACTOR,
        "reduction": {**_ROWS, "two_classes": "mean over the rows and both classes"},
        "temperature": _TEMPERATURE,
    },
    "binary_kd_loss_backward": {
        "logits": _ONE_LOGIT,
        "direction": _GRADIENT,
        "factor": _SLOPE,
        "reduction": {**_ROWS, "two_classes": "mean over the rows and both classes"},
        "temperature": _TEMPERATURE,
    },
    "adam_step": {
        "epsilon": {
            "outside": "m^ / (sqrt(v^) + eps)",
            "inside": "m^ / sqrt(v^ + eps)",
            "before_correction": "m / (sqrt(v) + eps) times sqrt(1 - beta2^t) / (1 - beta1^t)",
            "none": "m^ / sqrt(v^)",
        },
        "correction": {
            "both": "m / (1 - beta1^t) and v / (1 - beta2^t)",
            "none": "m and v as they are",
            "first_only": "only m is corrected",
            "second_only": "only v is corrected",
        },
        "count": {"from_one": "the power is t", "next": "the power is t + 1: t counted from 0"},
        "root": {"square": "divided by sqrt(v)", "missing": "divided by v"},
        "returned": {"moments": "m and v as averaged", "corrected": "m^ and v^ are handed on"},
        "direction": {"down": "p - lr step", "up": "p + lr step"},
    },
    "accuracy": {"unit": {"fraction": "share of rows that agree", "percent": "in percent", "count": "how many agree"}},
    "precision": _AVERAGED,
    "recall": _AVERAGED,
    # F1 is symmetric, and never 0 / 0 over labels that occur: two axes fewer
    "f1": {"labels": _AVERAGED["labels"], "weights": _AVERAGED["weights"], "form": {
        "per_class": "F1 of each class, then averaged",
        "of_averages": "2 P R / (P + R) of averaged precision and recall",
    }},
    "auc": {
        "ties": {"half": "a tied pair counts 1/2", "lost": "a tied pair counts 0", "won": "a tied pair counts 1"},
        "one_class": {"nan": "one class only: NaN", "half": "1/2", "zero": "0", "one": "1", "error": "refused with a ValueError"},
        "order": {"rising": "higher scores for the positive", "falling": "1 - that: lower scores for the positive"},
    },
    "hit_rate": {
        "measure": {
            "any": "1 if something relevant is among the first k",
            "recall": "the share of the relevant that is among the first k",
            "recall_capped": "the same over min(k, number relevant)",
            "precision": "the share of the first k that is relevant",
        },
        "ties": _TIES,
        "empty": _EMPTY,
        "relevant": {"positive": "relevance > 0", "at_least_one": "relevance >= 1"},
        "order": {"falling": "highest score first", "rising": "lowest score first"},
    },
    "ndcg": {
        "gain": {"linear": "relevance", "exponential": "2^relevance - 1", "binary": "1 where relevance > 0"},
        "discount": {
            "log2": "1 / log2(rank + 1), rank from 1",
            "first_two_equal": "1 / max(1, log2(rank)): ranks 1 and 2 both count full",
            "reciprocal": "1 / rank",
            "none": "1",
        },
        "ties": _TIES,
        "empty": _EMPTY,
        "ideal": {
            "best_k": "the k best of the row",
            "whole_row": "all of the row, not cut at k",
            "retrieved": "the retrieved k in their best order",
            "none": "not divided: DCG",
        },
        "order": {"falling": "highest score first", "rising": "lowest score first"},
    },
}  # fmt: skip
