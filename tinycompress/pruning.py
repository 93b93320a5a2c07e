"""Score, mask, apply: which weights become zero.

The plain path is two lines: rank |w|, and prune the smallest. A mask is a bool array of the shape of its weights, True where
the weight is kept. Everything else here is the same idea over a larger or smaller set: one row, one unit, all layers jointly.

Letters     w (I, O) weights, a = |w| their magnitudes, s sparsity (fraction pruned), k how many are pruned
Not here: better scores than magnitude (saliency), really smaller arrays (structured), keeping zeros at zero while training
continues (masking). Read next: masking, structured, saliency.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.conventions import CountRule, resolve
from tinycompress.counting import DEFAULT, Mask, as_mask, keep_largest
from tinycompress.patterns import n_m_mask as n_m_mask  # these two are named here as well: score, mask, when
from tinycompress.schedules import cubic_sparsity as cubic_sparsity

Array = NDArray[Any]
Masks = dict[str, Mask]


def magnitude_mask(
    w: ArrayLike,
    sparsity: float | None = None,
    *,
    count: int | None = None,
    mask: Mask | None = None,
    axis: int | None = None,
    convention: CountRule | str = DEFAULT,
) -> Mask:
    """Return the mask (True = kept) that prunes the weights of smallest magnitude.

    Equation    prune the round(s n) smallest |w|                                                                   (1)
    Shapes      w (...) -> mask (...);  `axis` prunes each line along it by itself: axis=-1 of a table prunes s of every row
    Limits      s = 0 keeps all, s = 1 prunes all
    Convention  round is half to even; of equal magnitudes the lowest flat index (C order) is pruned first, so the mask of a
                higher sparsity prunes what a lower one does, and more. `count` gives the number itself; `mask` prunes
                further. Eleven libraries count otherwise: convention="torch.nn.utils.prune", "tfmot", "jaxpruner", ...
    Raises      ValueError if not exactly one of sparsity and count is given, for NaN, or where the rule says `error`
    Source      Han et al. 2015 (arXiv 1506.02626) for magnitude; the counting rules in conventions.toml

    >>> magnitude_mask([0.5, -2.0, 0.25, 1.0], 0.5)
    array([False,  True, False,  True])
    >>> magnitude_mask([1.0, 1.0, 1.0, 1.0], 0.5, convention="tfmot").sum()
    np.int64(4)
    """
    rule = resolve(convention, CountRule)
    return keep_largest(_score(np.asarray(w), rule), sparsity, count=count, mask=mask, axis=axis, convention=rule)


def global_magnitude_masks(
    params: Mapping[str, ArrayLike],
    sparsity: float | None = None,
    *,
    count: int | None = None,
    masks: Mapping[str, Mask] | None = None,
    scale: str = "none",
    convention: CountRule | str = DEFAULT,
) -> Masks:
    """Return one mask per array, from one ranking of all their entries.

    Equation    as (1), over the entries of all arrays, in the order of the dict; scale "rms" ranks |w| / rms(w) of its layer
                instead, "lamp" ranks w^2 / sum of the w'^2 of its layer that are not smaller                       (2)
    Shapes      {name: (...)} -> {name: (...)}
    Convention  every array given takes part: leave out what must not be pruned, such as biases. Plain magnitudes compare
                layers by their units of measure: a layer whose weights are small on the whole vanishes (scale="none" can
                prune all of it), though its sum may matter most. Division by the layer's own size undoes that
    Raises      ValueError if scale is unknown, and as `magnitude_mask`
    Source      (1): torch.nn.utils.prune.global_unstructured; lamp: Lee et al. 2021 (arXiv 2010.07611), equation 4

    >>> params = {"w0": np.array([1.0, 2.0]), "w1": np.array([0.25, 0.5])}
    >>> global_magnitude_masks(params, 0.5)
    {'w0': array([ True,  True]), 'w1': array([False, False])}
    >>> global_magnitude_masks(params, 0.5, scale="rms")
    {'w0': array([False,  True]), 'w1': array([False,  True])}
    """
    if scale not in _SCALES:
        raise ValueError(f"scale is {scale!r}; use one of {', '.join(_SCALES)}")
    rule = resolve(convention, CountRule)
    if rule.at_threshold_global != "as_local":
        rule = replace(rule, at_threshold=rule.at_threshold_global)
    arrays = {name: np.asarray(w) for name, w in params.items()}
    if not arrays:
        return {}
    scores = np.concatenate([_SCALES[scale](_score(w, rule)).reshape(-1) for w in arrays.values()])
    before = None if masks is None else np.concatenate([as_mask(masks[k], w.shape).reshape(-1) for k, w in arrays.items()])
    flat = keep_largest(scores, sparsity, count=count, mask=before, convention=rule)
    parts = np.split(flat, np.cumsum([w.size for w in arrays.values()])[:-1])
    return {name: part.reshape(w.shape) for (name, w), part in zip(arrays.items(), parts, strict=True)}


def unit_norms(w: ArrayLike, order: float | str = 2, axis: int = -1) -> Array:
    """Return one norm per unit: over all axes but the one that counts units.

    Equation    (sum |w|^p)^(1/p);  p = inf: max |w|;  -inf: min |w|;  0: how many are not 0
    Shapes      w (I, O), axis -1 -> (O,): the columns of this package's layers, one per unit; a torch weight (O, I) has axis 0
    Convention  summed in float64 and returned so. "fro" is order 2. `axis` is what stays separate, like torch's `dim`
    Raises      ValueError if w has fewer than two axes, or no such axis
    Source      torch.nn.utils.prune.ln_structured 2.13.0

    >>> unit_norms([[3.0, 1.0], [-4.0, 0.0]])
    array([5., 1.])
    """
    w = np.asarray(w)
    if w.ndim < 2 or not -w.ndim <= axis < w.ndim:
        raise ValueError(f"w has shape {w.shape} and axis is {axis}; units need an axis, and another one to sum over")
    p = 2.0 if order == "fro" else float(order)
    a = np.abs(np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1).astype(np.float64))
    return np.asarray(np.linalg.norm(a, p, axis=1)) if a.size else np.zeros(len(a))


def neuron_mask(
    w: ArrayLike,
    sparsity: float | None = None,
    order: float | str = 2,
    *,
    count: int | None = None,
    mask: Mask | None = None,
    axis: int = -1,
    convention: CountRule | str = DEFAULT,
) -> Mask:
    """Return the mask that prunes whole units, those of smallest norm.

    Equation    (1) over the units' norms: round(s O) of O units
    Shapes      w (I, O) -> mask (I, O), each column all True or all False; `axis` as in `unit_norms`
    Convention  only w is masked. A unit whose bias is left still gives act(b): `structured.remove_units` takes the unit
                away and folds that constant into the next layer. For an embedding table (V, D), axis -1 prunes columns and
                axis 0 rows. With an existing `mask`, units that it prunes wholly stay pruned
    Raises      ValueError as `unit_norms` and `magnitude_mask`
    Source      Li et al. 2017 (arXiv 1608.08710) for L1; torch.nn.utils.prune.ln_structured 2.13.0

    >>> neuron_mask([[3.0, 1.0], [-4.0, 0.0]], 0.5).astype(int)
    array([[1, 0],
           [1, 0]])
    """
    w = np.asarray(w)
    norms = unit_norms(w, order, axis)
    across = tuple(i for i in range(w.ndim) if i != axis % w.ndim)
    units = None if mask is None else np.asarray(as_mask(mask, w.shape).any(axis=across))
    kept = keep_largest(norms, sparsity, count=count, mask=units, convention=convention)
    return np.broadcast_to(np.expand_dims(kept, across), w.shape).copy()


def apply_masks(params: Mapping[str, Array], masks: Mapping[str, Mask]) -> dict[str, Array]:
    """Return the parameters with every pruned entry 0.

    Equation    w where the mask is True, else +0
    Shapes      {name: (...)}, {name: (...)} -> {name: (...)}; arrays without a mask are passed on as they are
    Convention  not w * mask, which turns a negative weight into -0 and leaves a NaN or an infinity standing
    Raises      ValueError if a mask has no array, another shape, or an entry that is neither kept nor pruned
    Source      this package

    >>> apply_masks({"w0": np.array([-1.0, 2.0])}, {"w0": np.array([False, True])})
    {'w0': array([0., 2.])}
    """
    strange = sorted(set(masks) - set(params))
    if strange:
        raise ValueError(f"masks for {', '.join(strange)}, and no such parameters; there are {', '.join(sorted(params))}")
    return {
        name: np.where(as_mask(masks[name], w.shape), w, w.dtype.type(0)) if name in masks else w for name, w in params.items()
    }


def sparsity_of(params: Mapping[str, ArrayLike]) -> float:
    """Return the fraction of all entries that are 0.

    Shapes      {name: (...)} -> a number; 0 for no entries
    Source      this package

    >>> sparsity_of({"w0": [0.0, 1.0], "b0": [0.0, 0.0]})
    0.75
    """
    arrays = [np.asarray(w) for w in params.values()]
    return sum(int((w == 0).sum()) for w in arrays) / max(1, sum(w.size for w in arrays))


def _score(w: Array, rule: CountRule) -> Array:
    with np.errstate(under="ignore", over="ignore"):  # a square below the smallest number is 0, and that is what is meant
        return w * w if rule.score == "square" else np.abs(w.astype(np.int64) if w.dtype.kind == "i" else w)


def _by_rms(a: Array) -> Array:
    a = a.astype(np.float64)
    largest = float(a.max(initial=0)) or 1.0  # divided out first, so that no square overflows or vanishes
    with np.errstate(under="ignore"):  # an entry 1e-160 of the largest squares to 0, and adds as much
        size = largest * float(np.sqrt(np.mean((a / largest) ** 2))) if a.size else 1.0
    return a / (size or 1.0)


def _lamp(a: Array) -> Array:
    """(2): each square over the sum of those that rank at or above it; ties in the order of the flat index."""
    with np.errstate(under="ignore"):
        squares = a.reshape(-1).astype(np.float64) ** 2
    order = np.argsort(squares, kind="stable")
    above = np.cumsum(squares[order][::-1])[::-1]
    scores = np.empty_like(squares)
    scores[order] = np.divide(squares[order], above, out=np.zeros_like(above), where=above > 0)
    return scores.reshape(a.shape)


_SCALES = {"none": lambda a: a, "rms": _by_rms, "lamp": _lamp}
