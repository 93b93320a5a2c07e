"""Pruning as people really get it wrong: how many, which of equals, along which axis, and what becomes of the mask in training.

Letters     w weights, n entries, k how many are pruned
Not here: the right functions (own). Read next: laws_layers, mutants_layers.
"""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinycompress.verify.laws import Function, Law, Mutant, equal, f32, unchanged
from tinycompress.verify.own import OWN, Array

W = f32([3, -1, 2, 5, -4])
EQUAL = np.ones(4, np.float32)
_seeds = itertools.count()  # chance, the same for every process
W.flags.writeable = EQUAL.flags.writeable = False  # one mistake writes into them


def _smallest(count: Function, score: Function = np.abs, high: bool = False) -> Function:
    def magnitude_mask(w: Array, sparsity: float) -> Array:
        flat = score(w.reshape(-1))
        k = int(min(max(count(w.size, sparsity), 0), w.size))
        order = np.argsort(flat[::-1], kind="stable") if high else np.argsort(flat, kind="stable")
        mask = np.ones(w.size, bool)
        mask[(w.size - 1 - order if high else order)[:k]] = False
        return mask.reshape(w.shape)

    return magnitude_mask


def _count(n: int, share: float) -> Any:
    return np.rint(share * n)


def _percentile(w: Array, sparsity: float) -> Array:
    a = np.abs(w)
    mask: Array = a > np.percentile(a, 100 * sparsity) if w.size else np.ones(w.shape, bool)
    return mask


def _kept_threshold(w: Array, sparsity: float) -> Array:
    a, k = np.sort(np.abs(w).reshape(-1)), int(np.rint(sparsity * w.size))
    mask: Array = np.abs(w) >= a[k] if k < w.size else np.zeros(w.shape, bool)
    return mask


def _inverted(w: Array, sparsity: float) -> Array:
    mask: Array = ~_smallest(_count)(w, sparsity)
    return mask


def _density(w: Array, sparsity: float) -> Array:
    mask: Array = _smallest(_count)(w, 1 - sparsity)
    return mask


def _row_by_row(w: Array, sparsity: float) -> Array:
    rows = w.reshape(-1, w.shape[-1]) if w.ndim > 1 and w.size else w.reshape(1, -1)
    return np.array([_smallest(_count)(row, sparsity) for row in rows], bool).reshape(w.shape)


def _random_ties(w: Array, sparsity: float) -> Array:
    turn = np.random.default_rng(next(_seeds)).permutation(w.size)
    mask = np.empty(w.size, bool)
    mask[turn] = _smallest(_count)(w.reshape(-1)[turn], sparsity)
    return mask.reshape(w.shape)


def _sorts_in_place(w: Array, sparsity: float) -> Array:
    mask: Array = _smallest(_count)(w, sparsity)
    if w.flags.writeable:
        w *= mask
    return mask


def _groups(chosen: Function, flat: bool = False, first: bool = False) -> Function:
    def n_m_mask(w: Array, keep: int, group: int) -> Array:
        if first and w.ndim > 1:
            return np.moveaxis(_groups(chosen)(np.moveaxis(w, 0, -1), keep, group), -1, 0)
        mask = np.zeros(w.shape, bool)
        lines = w.reshape(1, -1) if flat or not w.size else w.reshape(-1, w.shape[-1])
        out = mask.reshape(lines.shape)
        for line, kept in zip(lines, out, strict=True):
            for start in range(0, line.size, group):
                part = line[start : start + group]
                kept[start : start + group][chosen(part, keep, group)] = True
        return mask

    return n_m_mask


def _largest(part: Array, keep: int, group: int) -> Array:
    return np.argsort(-np.abs(part), kind="stable")[:keep]


def _largest_late(part: Array, keep: int, group: int) -> Array:
    return part.size - 1 - np.argsort(-np.abs(part[::-1]), kind="stable")[:keep]


def _signed(part: Array, keep: int, group: int) -> Array:
    return np.argsort(-part, kind="stable")[:keep]


def _pruned(part: Array, keep: int, group: int) -> Array:
    return np.argsort(-np.abs(part), kind="stable")[: group - keep]


def _over_threshold(part: Array, keep: int, group: int) -> Array:
    return np.flatnonzero(np.abs(part) >= np.sort(np.abs(part))[-min(keep, part.size)])


def masked_training(w: Array, mask: Array, gradients: list[Array], masks_again: bool = True) -> Array:
    """Return weights after steps of SGD (rate 0.1, momentum 0.9) of which the first is dense and the others are masked.

    Shapes      w, mask, each gradient (n,) -> (n,)
    Source      this package: the right one masks weights and momentum after every step, the wrong one only the gradient

    >>> masked_training(np.float64([1, 1]), np.array([True, False]), [np.ones(2)] * 2)[1] == 0
    np.True_
    """
    w, velocity = w.copy(), np.zeros_like(w)
    for step, gradient in enumerate(gradients):
        velocity = 0.9 * velocity + (gradient if step == 0 else gradient * mask)
        w = w * mask if step == 1 else w
        w = w - 0.1 * velocity
        if masks_again and step > 0:
            w, velocity = w * mask, velocity * mask
    return w


def _gradient_masked(w: Array, mask: Array, gradients: list[Array]) -> Array:
    return masked_training(w, mask, gradients, masks_again=False)


def _pruned_of(f: Function, w: Array, share: float) -> int:
    return int(w.size - np.count_nonzero(f(w, share)))


MASK_LAWS: dict[str, Law] = {
    "exact count": Law("magnitude_mask", "sparsity n are pruned to the nearest integer, also among equals", lambda f: all(
        _pruned_of(f, np.ones(10, np.float32), s) == round(10 * s) for s in (0.0, 0.2, 0.5, 1.0))),
    "even count": Law("magnitude_mask", "half a weight more or less goes to the even number", lambda f: [
        _pruned_of(f, np.arange(1.0, 6).astype(np.float32), s) for s in (0.1, 0.3, 0.5, 0.7, 0.9)] == [0, 2, 2, 4, 4]),
    "largest stays": Law("magnitude_mask", "no kept weight is smaller than a pruned one",
        lambda f: float(np.abs(W)[np.asarray(f(W, 0.4))].min())
                         > float(np.abs(W)[~np.asarray(f(W, 0.4))].max())),
    "tiny numbers": Law("magnitude_mask", "a power of two changes nothing",
        lambda f: equal(f(W, 0.4), f(W * np.float32(2.0**-100), 0.4))),
    "one tensor": Law("magnitude_mask", "the shape makes no difference", lambda f: equal(
        np.ravel(f(f32([[1, 2, 3], [7, 8, 9]]), 0.5)), f(f32([1, 2, 3, 7, 8, 9]), 0.5))),
    "first goes": Law("magnitude_mask", "of equals the lowest index is pruned, every time",
        lambda f: all(equal(f(EQUAL, 0.5), [0, 0, 1, 1]) for _ in range(8))),
    "weights kept": Law("magnitude_mask", "the weights stay as they are", lambda f: unchanged(f, (W, 0.4))),
    "so many kept": Law("n_m_mask", "each whole group keeps exactly `keep`, also of equals", lambda f: all(
        int(np.sum(f(w, k, 4))) == k * w.size // 4 for k in (1, 2, 3) for w in (np.ones(8, np.float32), np.arange(8.0)))),
    "magnitude": Law("n_m_mask", "the sign makes no difference",
        lambda f: equal(f(f32([-4, 1, -3, 2]), 2, 4), f(f32([4, 1, 3, 2]), 2, 4))),
    "first stays": Law("n_m_mask", "of equals the lower index is kept", lambda f: equal(f(EQUAL, 2, 4), [1, 1, 0, 0])),
    "along a row": Law("n_m_mask", "rows do not see one another", lambda f: equal(
        f(f32([[4, 3, 2, 1, 9, 8], [1, 2, 3, 4, 8, 9]]), 2, 4), [np.asarray(f(f32(r), 2, 4)).tolist() for r in (
            [4, 3, 2, 1, 9, 8], [1, 2, 3, 4, 8, 9])])),
    "stays zero": Law("masked_training", "a pruned weight is 0 after every later step", lambda f: float(
        f(np.array([1.0, 0.1]), np.array([True, False]), [np.ones(2)] * 3)[1]) == 0),
}  # fmt: skip

MASK_MUTANTS: tuple[Mutant, ...] = (
    Mutant("percentile", "magnitude_mask", _percentile, "exact count",
        "among equals all are pruned: [1, 1, 1, 1] at 50 % is empty"),
    Mutant("at_least_threshold", "magnitude_mask", _kept_threshold, "exact count", "among equals none is pruned", "threshold",
        "keep_all"),
    Mutant("count_cut_off", "magnitude_mask", _smallest(lambda n, s: int(s * n)), "even count",
        "fewer are pruned than were asked for", "rounding", "floor"),
    Mutant("count_half_up", "magnitude_mask", _smallest(lambda n, s: np.floor(s * n + 0.5)), "even count",
        "one more is pruned at ties", "rounding", "half_up"),
    Mutant("count_rounded_up", "magnitude_mask", _smallest(lambda n, s: np.ceil(s * n)), "even count",
        "more are pruned than were asked for", "rounding", "ceil"),
    Mutant("kept_rounded", "magnitude_mask", _smallest(lambda n, s: n - np.rint((1 - s) * n)), "even count",
        "5 at 50 % prunes 3 where others prune 2", "of", "kept"),
    Mutant("one_too_many", "magnitude_mask", _smallest(lambda n, s: np.rint(s * n) + 1), "exact count",
        "the first entry goes at sparsity 0", "offset", "+1"),
    Mutant("last_index", "magnitude_mask", _smallest(lambda n, s: np.rint(s * (n - 1))), "exact count",
        "sparsity 1 leaves one weight", "base", "n_minus_1"),
    Mutant("never_empty", "magnitude_mask", _smallest(lambda n, s: min(np.rint(s * n), n - 1)), "exact count",
        "sparsity 1 leaves one weight", "minimum", "one"),
    Mutant("signed_weights", "magnitude_mask", _smallest(_count, lambda w: w), "largest stays",
        "the most negative weights go first", "score", "signed"),
    Mutant("squares", "magnitude_mask", _smallest(_count, np.square), "tiny numbers", "below 1e-23 all weights are equal",
        "score", "square"),
    Mutant("last_goes", "magnitude_mask", _smallest(_count, high=True), "first goes", "other weights go than elsewhere",
        "ties", "high_first"),
    Mutant("inverted", "magnitude_mask", _inverted, "largest stays", "the best weights are pruned"),
    Mutant("density", "magnitude_mask", _density, "even count", "90 % sparse is 10 % sparse"),
    Mutant("row_by_row", "magnitude_mask", _row_by_row, "one tensor", "an important row is thinned as much as a dead one"),
    Mutant("random_ties", "magnitude_mask", _random_ties, "first goes", "no run can be repeated"),
    Mutant("weights_zeroed", "magnitude_mask", _sorts_in_place, "weights kept", "the caller's dense weights are gone"),
    Mutant("n_pruned", "n_m_mask", _groups(_pruned), "so many kept", "1:4 keeps three of four", "of", "pruned"),
    Mutant("later_stays", "n_m_mask", _groups(_largest_late), "first stays", "other weights go than elsewhere", "ties",
        "high_kept"),
    Mutant("all_equals_kept", "n_m_mask", _groups(_over_threshold), "so many kept", "a kernel for 2:4 reads three"),
    Mutant("signed_groups", "n_m_mask", _groups(_signed), "magnitude", "negative weights go first", "score", "signed"),
    Mutant("across_rows", "n_m_mask", _groups(_largest, flat=True), "along a row",
        "groups straddle rows where the width is no multiple", "axis", "flat"),
    Mutant("down_columns", "n_m_mask", _groups(_largest, first=True), "along a row", "no kernel can use the pattern", "axis",
        "first"),
    Mutant("mask_not_reapplied", "masked_training", _gradient_masked, "stays zero", "momentum brings pruned weights back"),
)  # fmt: skip

MASK_RIGHT: dict[str, Function] = {
    "magnitude_mask": OWN.magnitude_mask, "n_m_mask": OWN.n_m_mask, "masked_training": masked_training,
}  # fmt: skip
