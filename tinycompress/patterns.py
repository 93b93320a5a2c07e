"""N of M: in every group of M neighbours along an axis, keep the same small number.

A pattern so regular that hardware can use it (2 of 4 is the one that counts), and so regular that its name is a trap: "1:4"
keeps one for half of the libraries and three for the other half. Here the two numbers are always `keep` and `group`.

Letters     w weights, a = |w|, P patterns: the ways to choose `keep` of `group`
Not here: how many entries a sparsity is. Read next: schedules, pruning.
"""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.conventions import NMRule, resolve

Mask = NDArray[np.bool_]
DEFAULT = NMRule()


def n_m_mask(w: ArrayLike, keep: int, group: int, *, axis: int = -1, convention: NMRule | str = DEFAULT) -> Mask:
    """Return the mask that keeps the `keep` largest of each `group` neighbours along an axis.

    Equation    kept where fewer than `keep` of the group rank above:  a_j > a_i, or a_j = a_i with j < i            (1)
    Shapes      w (...) -> mask (...)
    Convention  Equal magnitudes keep the lower index: the opposite of `magnitude_mask`, as in TFMOT, torch.ao and Wanda;
                jaxpruner and sparseml keep the higher. A short last group keeps min(keep, its length). For w (I, O) of this
                package the inputs are axis 0; for a torch weight (O, I) they are the last axis: hardware wants groups of
                inputs. `keep` and `group` mean the same under every convention; `n_m_pair` translates foreign pairs
    Raises      ValueError if keep is not from 0 to group, for NaN, for a 0-d w, or where the rule says `error`
    Source      Mishra et al. 2021 (arXiv 2104.08378); rules in conventions.toml

    >>> n_m_mask([[1.0, -4.0, 3.0, 2.0, 1.0, 1.0]], 2, 4).astype(int)
    array([[0, 1, 1, 0, 1, 1]])
    """
    rule = resolve(convention, NMRule)
    if not 0 <= keep <= group or group < 1:
        raise ValueError(f"keep is {keep} and group is {group}; keep from 0 to group entries of each group")
    if keep == 0 and rule.keep_none == "error":
        raise ValueError(f"keep is 0 of {group}, which this convention refuses; keep at least 1")
    w = np.asarray(w)
    if w.ndim == 0:
        raise ValueError("w has no axis to form groups along; give an array with at least one axis")
    if w.size == 0:
        return np.ones(w.shape, bool)
    a = np.moveaxis(_score(w, rule), axis, -1)
    if rule.nan == "error" and np.isnan(a).any():
        raise ValueError("a weight is NaN, which has no rank; find where it comes from before pruning")
    groups = _grouped(a, group, rule)
    kept = _best_pattern(groups, keep) if rule.select == "best_pattern" else _largest(groups, keep, rule)
    if rule.ragged == "straddle_rows":
        kept = kept.reshape(a.shape)
    else:
        kept = kept.reshape(*a.shape[:-1], -1)[..., : a.shape[-1]]
    return np.ascontiguousarray(np.moveaxis(kept, -1, axis))


def n_m_pair(first: int, second: int, convention: NMRule | str = DEFAULT, sparsity: float | None = None) -> tuple[int, int]:
    """Return (keep, group) for the pair that another library writes as first:second.

    Shapes      takes numbers
    Convention  first counts the kept entries (apex, ModelOpt, jaxpruner, sparseml) or the pruned ones (TFMOT, Wanda,
                SparseGPT). A sparsity given beside the pair must be the pair's own, as sparseml wants it
    Raises      ValueError if the pair leaves a negative number, or the sparsity is not 1 - keep / group
    Source      conventions.toml

    >>> n_m_pair(1, 4, "modelopt"), n_m_pair(1, 4, "wanda")
    ((1, 4), (3, 4))
    """
    rule = resolve(convention, NMRule)
    if not 0 <= first <= second:
        raise ValueError(f"{first}:{second} is no pair; the first number counts some of the second")
    keep = first if rule.first_number == "kept" else second - first
    if sparsity is not None and sparsity * second != second - keep:
        raise ValueError(f"sparsity is {sparsity}, and keeping {keep} of {second} prunes {1 - keep / second}; make them agree")
    return keep, second


def pattern_order(keep: int, group: int) -> Mask:
    """Return every way to keep `keep` of `group`, in the order in which apex ASP and ModelOpt try them.

    Shapes      takes numbers -> (P, group), P = group choose keep
    Convention  theirs is the order of a Python set of tuples. subtle: CPython fixes it, because hashes of numbers have no
                seed; another interpreter may have another, and would prune other weights where sums are equal
    Raises      ValueError if group is above 8: every order of a group is tried
    Source      NVIDIA ModelOpt 5a4242f compute_valid_1d_patterns

    >>> pattern_order(1, 2).shape
    (2, 2)
    """
    if not 0 <= keep <= group <= 8:
        raise ValueError(f"keep is {keep} and group is {group}; this convention tries every order of a group, so at most 8")
    found: Mask = np.array(list(set(itertools.permutations([1.0] * keep + [0.0] * (group - keep))))) > 0
    return found


def _score(w: NDArray[Any], rule: NMRule) -> NDArray[Any]:
    with np.errstate(under="ignore", over="ignore"):  # a square below the smallest number is 0, and that is what is meant
        return np.asarray(w * w if rule.score == "square" else np.abs(w.astype(np.int64) if w.dtype.kind == "i" else w))


def _grouped(a: NDArray[Any], group: int, rule: NMRule) -> NDArray[Any]:
    """Scores as (..., number of groups, group), filled up at the end of each line as the rule says."""
    short = -a.shape[-1] % group
    if rule.ragged == "straddle_rows":
        if a.size % group:
            raise ValueError(f"{a.size} entries do not divide into groups of {group}; pad the weights, or use another group")
        return a.reshape(-1, group)
    if short and rule.ragged == "error":
        raise ValueError(f"{a.shape[-1]} entries do not divide into groups of {group}; pad the weights, or use another group")
    if not short:
        return a.reshape(*a.shape[:-1], -1, group)
    # short_group fills with -1, below every magnitude: it takes no place that a real entry could have
    fill = {"short_group": -1.0, "zero_pad": 0.0, "top_pad": np.inf}[rule.ragged]
    dtype = a.dtype if a.dtype.kind == "f" else np.dtype(np.float64)
    filled = np.full((*a.shape[:-1], a.shape[-1] + short), fill, dtype)
    filled[..., : a.shape[-1]] = a
    return filled.reshape(*a.shape[:-1], -1, group)


def _largest(groups: NDArray[Any], keep: int, rule: NMRule) -> Mask:
    """Equation (1), or its mirror image for `high_index_kept`."""
    size = groups.shape[-1]
    if rule.ties == "high_index_kept":
        order = np.argsort(groups, axis=-1, kind="stable")[..., size - keep :]
    else:
        # subtle: reversing before and after makes a stable sort put equal entries in falling order of index
        order = size - 1 - np.argsort(groups[..., ::-1], axis=-1, kind="stable")[..., size - keep :]
    kept = np.zeros(groups.shape, bool)
    np.put_along_axis(kept, order, True, axis=-1)  # (1)
    return kept


def _best_pattern(groups: NDArray[Any], keep: int) -> Mask:
    """The first pattern with the largest float32 sum of what it keeps."""
    patterns = pattern_order(keep, groups.shape[-1])
    with np.errstate(invalid="ignore", over="ignore"):  # 0 times infinity is NaN there too, and NaN is the first maximum
        sums = groups.astype(np.float32) @ patterns.T.astype(np.float32)
    best: Mask = patterns[np.argmax(sums, axis=-1)]
    return best
