"""How many to remove, and which of them: the two questions on which no two pruning libraries agree.

"Prune 50 %" of five weights removes 1, 2, 3 or 4 of them, depending on whose rule is asked. Every rule that was met is a
point in one small space (`CountRule`): which side is rounded and how, what is added, and what happens to entries that equal
the threshold. This module is the arithmetic of that space; it ranks any scores, and `pruning` gives it magnitudes.

Letters     n entries, s sparsity (the fraction to prune), k how many are pruned, a scores, a_(0) <= a_(1) <= ... sorted
Not here: what a score is. Read next: patterns, pruning.
"""
from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.conventions import CountRule, resolve
from tinycompress.selection import kth_smallest_of_lines

Mask = NDArray[np.bool_]
DEFAULT = CountRule()
_ROUND = {"half_even": np.rint, "floor": np.floor, "ceil": np.ceil}


def count_pruned(n: int, sparsity: float, *, align: int = 1, convention: CountRule | str = DEFAULT) -> int:
    """Return how many of n entries, all different, a sparsity prunes.

    Equation    k = round(s n) + offset              where the rule rounds the pruned side                          (1)
                k = n - round((1 - s) n) + offset    where it rounds the kept side                                  (2)
    Shapes      takes numbers; `align` > 1 prunes whole groups of that many neighbours (n channels, removed in fours)
    Limits      s = 0: none; s = 1: all (default rule)
    Convention  default: (1), half to even, float64, so 5 at 0.5 prunes 2 and 7 at 0.5 prunes 4. Nothing else is meant by
                sparsity anywhere in this package: the fraction that becomes zero. Peers: see `conventions.get(name)`
    Raises      ValueError if sparsity is not a fraction, or where the rule says `error`
    Source      rules measured on eleven libraries, each with its build in conventions.toml

    >>> count_pruned(5, 0.5), count_pruned(5, 0.5, convention="tfmot"), count_pruned(5, 0.5, convention="open_lth")
    (2, 3, 4)
    """
    rule = resolve(convention, CountRule)
    s = _fraction(sparsity)
    if s == 1 and rule.sparsity_one == "error":
        raise ValueError("sparsity is 1, which this convention refuses; use a sparsity below 1")
    if n == 0:
        return 0
    if s == 1 and rule.sparsity_one == "prune_all":
        return n
    number = np.float64 if rule.precision == "float64" else np.float32
    base = number(n if rule.base == "n" else n - 1)
    rounded = _ROUND[rule.rounding]
    if rule.of == "pruned":
        k = int(rounded(number(s) * base)) + rule.offset  # (1)
    else:
        k = n - int(rounded((number(1) - number(s)) * base)) + rule.offset  # (2)
    k = k if align == 1 else int(rounded(k / align)) * align
    if rule.at_minimum == "shuffle_floor" and k <= 1:
        k = math.floor(s * n)  # of entries all different, only the smallest can be the threshold of k = 1
    return _within(k, n, align, rule)


def keep_largest(
    scores: ArrayLike,
    sparsity: float | None = None,
    *,
    count: int | None = None,
    mask: Mask | None = None,
    axis: int | None = None,
    convention: CountRule | str = DEFAULT,
) -> Mask:
    """Return the mask (True = kept) that prunes the entries of smallest score.

    Equation    threshold a_(k-1): prune the k smallest, among equals the lowest index first (default rule)        (3)
                keep_all:  keep a >= a_(k);   prune_all:  keep a > a_(k-1)                                         (4)
    Shapes      scores (...) -> mask (...); `axis` ranks along that axis only, each line by itself
    Convention  sparsity is a fraction and count a number of entries: two keywords, because 1 and 1.0 mean different things
                to torch.nn.utils.prune. Which entries go is decided on the order (score, flat C index), so masks nest as
                sparsity grows. With an existing `mask`, its pruned entries stay pruned, and s counts all entries
                (`relative_to` total: the pruned ones are part of the target) or only those still kept (remaining)
    Raises      ValueError if not exactly one of sparsity and count is given, for a NaN score (unless the rule ranks it),
                or where the rule says `error`
    Source      this package; rules in conventions.toml

    >>> keep_largest([3, 1, 2, 4], 0.5)
    array([ True, False, False,  True])
    >>> keep_largest([5.0, 1.0, 1.0, 1.0], count=2)
    array([ True, False, False,  True])
    """
    rule = resolve(convention, CountRule)
    a = np.asarray(scores)
    lines = np.moveaxis(a, axis, -1) if axis is not None else a.reshape(1, a.size)
    n = lines.shape[-1]
    if mask is not None:
        if axis is not None:
            raise ValueError(f"axis is {axis} and a mask is given; ranking line by line starts from no mask")
        return _keep_more(a, as_mask(mask, a.shape), sparsity, count, rule)
    k, k_minimum = _counts(n, sparsity, count, rule)
    kept = _select(lines.reshape(math.prod(lines.shape[:-1]), n), k, k_minimum, rule)
    return kept.reshape(a.shape) if axis is None else np.moveaxis(kept.reshape(lines.shape), -1, axis)


def threshold_mask(scores: ArrayLike, threshold: float, at_threshold: str = "keep_all") -> Mask:
    """Return the mask that keeps what lies above a threshold on |score|.

    Shapes      scores (...) -> mask (...)
    Convention  keep_all keeps |score| = threshold, prune_all does not (distiller, sparseml); NaN is never kept
    Raises      ValueError if at_threshold is unknown
    Source      distiller d859fc8 thresholding (prune_all), TFMOT 0.8.1 (keep_all)

    >>> threshold_mask([0.5, -0.5, 0.6], 0.5, "prune_all")
    array([False, False,  True])
    """
    if at_threshold not in ("keep_all", "prune_all"):
        raise ValueError(f"at_threshold is {at_threshold!r}; use 'keep_all' or 'prune_all'")
    a = np.abs(np.asarray(scores))
    return np.asarray(a >= threshold if at_threshold == "keep_all" else a > threshold)


def as_mask(mask: ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Return `mask` as a bool array, refusing anything but kept and pruned.

    Shapes      mask (...) -> (...), equal to `shape`
    Raises      ValueError if an entry is neither 0 nor 1, or the shape differs: a mask of 0.5 would scale weights in silence
    Source      this package; torch.nn.utils.prune.custom_from_mask accepts any factor

    >>> as_mask([1, 0], (2,))
    array([ True, False])
    """
    m = np.asarray(mask)
    if m.shape != shape:
        raise ValueError(f"the mask has shape {m.shape} and what it masks {shape}; give one entry each")
    if m.dtype == bool:
        return m
    if not np.isin(m, (0, 1)).all():
        odd = m[~np.isin(m, (0, 1))].flat[0]
        raise ValueError(f"the mask has an entry {odd}; a mask keeps (1) or prunes (0), it does not scale")
    return m.astype(bool)


def _keep_more(a: NDArray[Any], mask: Mask, sparsity: float | None, count: int | None, rule: CountRule) -> Mask:
    """Prune further: rank only what `mask` keeps, as if the rest were not there."""
    left = int(mask.sum())
    if rule.relative_to == "remaining" or sparsity is None:
        k, k_minimum = _counts(left, sparsity, count, rule)
    else:
        gone = mask.size - left
        k, k_minimum = (max(0, wanted - gone) for wanted in _counts(mask.size, sparsity, count, rule))
    new = mask.copy()
    new[mask] = _select(a[mask].reshape(1, -1), k, k_minimum, rule)[0]
    return new


def _counts(n: int, sparsity: float | None, count: int | None, rule: CountRule) -> tuple[int, int]:
    """How many to prune, and how many where the threshold is the minimum of all (sparseml's legacy rule differs there)."""
    if (sparsity is None) == (count is None):
        raise ValueError(f"sparsity is {sparsity} and count is {count}; give one: a fraction, or a number of entries")
    if count is not None:
        if isinstance(count, (bool, np.bool_)) or not isinstance(count, (int, np.integer)) or not 0 <= count <= n:
            raise ValueError(f"count is {count!r} of {n} entries; give an integer from 0 to {n}, or a fraction as sparsity=")
        return int(count), int(count)
    assert sparsity is not None
    k = count_pruned(n, sparsity, convention=rule)
    return k, math.floor(_fraction(sparsity) * n) if rule.at_minimum == "shuffle_floor" else k


def _fraction(sparsity: float) -> float:
    if isinstance(sparsity, (bool, np.bool_)) or not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity!r}; give a fraction from 0 to 1, or a number of entries as count=")
    return float(sparsity)


def _within(k: int, n: int, align: int, rule: CountRule) -> int:
    if k <= 0:
        if rule.when_none == "error":
            raise ValueError(f"this convention prunes {k} of {n} entries, which it refuses; raise the sparsity")
        return 0
    if k > n and rule.when_beyond == "error":
        raise ValueError(f"this convention asks for the {k}th smallest of {n} entries; lower the sparsity")
    if k >= n and rule.when_all != "allow":
        return n - align if rule.when_all == "keep_one" else 0
    return min(k, n)


def _ordered(a: NDArray[Any], rule: CountRule) -> NDArray[Any]:
    """Scores with a total order: where the rule ranks NaN, floats become the integers with the same bits."""
    if a.size == 0 or not np.issubdtype(a.dtype, np.floating):
        return a
    if rule.nan == "error":
        if np.isnan(a.max()):
            raise ValueError("a score is NaN, which has no rank; find where it comes from before pruning")
        return a
    if (a < 0).any():
        raise ValueError("a score is negative, and this convention ranks NaN; give scores that are not negative")
    # subtle: IEEE bits of numbers >= 0 sort like the numbers, with NaN above infinity; and as an integer NaN equals itself
    bits: NDArray[Any] = np.ascontiguousarray(np.abs(a)).view(f"i{a.dtype.itemsize}")
    return np.where(np.isnan(a), np.iinfo(bits.dtype).max, bits)


def _select(scores: NDArray[Any], k: int, k_minimum: int, rule: CountRule) -> Mask:
    """The mask of each line of scores (R, n): (3) or (4), then what the rule says of minima, of NaN, of lines left empty."""
    n = scores.shape[1]
    a = _ordered(scores, rule)
    if k == 0 or a.size == 0:
        kept = np.ones(a.shape, bool)
    elif rule.at_threshold == "keep_all":
        kept = a >= kth_smallest_of_lines(a, k + 1) if k < n else np.zeros(a.shape, bool)  # (4)
    else:
        threshold = kth_smallest_of_lines(a, k)
        kept = a > threshold  # (4)
        if rule.at_threshold == "exact":
            _keep_among_equals(kept, a, threshold, n - k, rule)  # (3)
        if rule.at_minimum != "as_elsewhere":
            for line in np.flatnonzero(threshold[:, 0] <= a.min(axis=1)):
                minima = np.flatnonzero(a[line] == threshold[line])
                order = list(range(minima.size))
                random.Random(42).shuffle(order)
                kept[line] = True
                kept[line, minima[order[:k_minimum]]] = False
    if rule.nan == "never_kept" and np.issubdtype(scores.dtype, np.floating):
        kept &= ~np.isnan(scores)
    if rule.when_all == "skip":
        kept[~kept.any(axis=1)] = True
    return kept


def _keep_among_equals(kept: Mask, a: NDArray[Any], threshold: NDArray[Any], total: int, rule: CountRule) -> None:
    """Let `total` entries of each line be kept, by keeping as many of those at the threshold as that takes."""
    found = np.array([np.count_nonzero(kept)]) if len(kept) == 1 else kept.sum(axis=1)
    lines = np.flatnonzero(found < total)
    if not lines.size:
        return
    n, missing = a.shape[1], total - found[lines]
    tied = np.flatnonzero(a[lines] == threshold[lines])  # in C order: each line's ties stand together, low index first
    first = np.searchsorted(tied, n * np.arange(len(lines) + 1))
    start = first[:-1] if rule.ties == "high_index_pruned_first" else first[1:] - missing
    if len(lines) == 1:  # a whole layer may be tied: no index arithmetic over all of it
        kept[lines[0], tied[start[0] : start[0] + missing[0]]] = True
        return
    # a run of `missing` places from each start, end to end
    runs = np.arange(missing.sum()) + np.repeat(start - (np.cumsum(missing) - missing), missing)
    kept[lines[tied[runs] // n], tied[runs] % n] = True
