"""Pruning and training in turns: rounds, lottery tickets, dense-sparse-dense, and which layer can bear how much.

Each procedure is a few lines over two functions that the caller gives: one that trains under masks, and one that judges. What
they share is an order of steps that is easy to get wrong: masks come from the *effective* weights (zero where pruned
before), they are held while training (see masking), and a rewound weight is the initial one times the mask.

Letters     theta parameters, s sparsity
Not here: the training loop, the masks themselves. Read next: structured.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycompress.counting import Mask
from tinycompress.pruning import apply_masks, global_magnitude_masks, magnitude_mask
from tinycompress.schedules import geometric_sparsity

Array = NDArray[Any]
Params = dict[str, Array]
Masks = dict[str, Mask]
Train = Callable[[Params, Masks, float], Params]  # (theta, masks to hold, factor on the learning rate) -> trained theta


class Pruned(NamedTuple):
    """Parameters and the masks they were trained under."""

    params: Params
    masks: Masks


def prune_in_rounds(
    params: Params, train: Train, sparsities: Iterable[float], masks_of: Callable[[Params, float], Masks] | None = None
) -> Pruned:
    """Return what pruning a little, training, pruning more, training ... leaves.

    Equation    per s: M = masks_of(theta, s);  theta = train(M theta, M)
    Shapes      {name: (...)}
    Convention  masks_of is global_magnitude_masks if none is given. s is the total sparsity after the round. Pruned weights are
                0 when the next masks are made, so they rank last and stay pruned: masks nest
    Source      Han et al. 2015 (arXiv 1506.02626); sparsities from `schedules`

    >>> train = lambda theta, masks, rate: {"w": theta["w"] + masks["w"]}
    >>> prune_in_rounds({"w": np.array([1.0, 2.0, 3.0, 4.0])}, train, [0.25, 0.5]).params
    {'w': array([0., 0., 5., 6.])}
    """
    masks: Masks = {}
    for s in sparsities:
        masks = (masks_of or global_magnitude_masks)(params, s)
        params = apply_masks(train(apply_masks(params, masks), masks, 1.0), masks)
    return Pruned(params, masks)


def lottery_ticket(
    initial: Params, train: Train, rounds: int, fraction: float = 0.2, names: Sequence[str] = (), rewind_to: Params | None = None
) -> Pruned:
    """Return the winning ticket: survivors at their initial values, and the masks.

    Equation    per round r: theta_T = train(M theta_0, M);  M = the largest |theta_T| with 1 - (1 - f)^r pruned in all    (1)
    Shapes      {name: (...)}
    Convention  what is returned is M theta_0, not yet trained: train it once more to see whether it wins. `rewind_to` gives
                parameters of an early step in place of the initial ones (late rewinding). Only `names` are pruned, by
                default every w and table; the count is that of the total, so rounding does not add up
    Raises      ValueError if rounds is below 1
    Source      Frankle, Carbin 2019 (arXiv 1803.03635); late rewinding: Frankle et al. 2020 (arXiv 1912.05671)

    >>> train = lambda theta, masks, rate: {"w0": theta["w0"] * np.array([5.0, 1.0, 2.0, 3.0])}
    >>> lottery_ticket({"w0": np.ones(4)}, train, rounds=1, fraction=0.5).params
    {'w0': array([1., 0., 0., 1.])}
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; a ticket needs at least 1")
    start = initial if rewind_to is None else rewind_to
    chosen = list(names) or [name for name in initial if not name.startswith("b")]
    masks: Masks = {name: np.ones(initial[name].shape, bool) for name in chosen}
    for r in range(1, rounds + 1):
        trained = apply_masks(train(apply_masks(start, masks), masks, 1.0), masks)
        ranked = {name: trained[name] for name in chosen}
        masks = global_magnitude_masks(ranked, geometric_sparsity(r, fraction), masks=masks)  # (1)
    return Pruned(apply_masks(start, masks), masks)


def shuffle_masks(masks: Mapping[str, Mask], rng: np.random.Generator) -> Masks:
    """Return masks with the same number kept in each array, at random places.

    Shapes      {name: (...)} -> {name: (...)}
    Convention  the control for a lottery ticket: if this does as well from the same initial values, its places were no luck
    Source      Frankle, Carbin 2019 (arXiv 1803.03635), section 2

    >>> shuffle_masks({"w": np.array([True, False, False])}, np.random.default_rng(0))["w"].sum()
    np.int64(1)
    """
    return {name: rng.permutation(mask.reshape(-1)).reshape(mask.shape) for name, mask in masks.items()}


def dense_sparse_dense(
    params: Params, train: Train, sparsity: float, names: Sequence[str] = (), last_rate: float = 0.1
) -> list[Pruned]:
    """Return the model after each of the three phases: dense, sparse, dense again.

    Equation    theta_D = train(theta);  M: the largest |theta_D| of each layer;  theta_S = train(M theta_D, M);
                theta = train(theta_S), all weights free, learning rate times `last_rate`
    Shapes      {name: (...)}
    Convention  pruned weights come back from 0. The paper's text keeps |w| >= lambda, its algorithm |w| > lambda: one weight
                apart; here exactly round(s n) per layer are pruned. Honest comparison: the whole takes three trainings, so
                give the baseline as many steps and the same drop of the rate
    Source      Han et al. 2017 (arXiv 1607.04381), section 3

    >>> phases = dense_sparse_dense({"w0": np.array([1.0, 2.0])}, lambda theta, masks, rate: theta, 0.5)
    >>> [phase.params["w0"].tolist() for phase in phases]
    [[1.0, 2.0], [0.0, 2.0], [0.0, 2.0]]
    """
    dense = train(params, {}, 1.0)
    chosen = list(names) or [name for name in params if not name.startswith("b")]
    masks = {name: magnitude_mask(dense[name], sparsity) for name in chosen}
    sparse = apply_masks(train(apply_masks(dense, masks), masks, 1.0), masks)
    return [Pruned(dense, {}), Pruned(sparse, masks), Pruned(train(sparse, {}, last_rate), {})]


def sensitivity(
    params: Params,
    judge: Callable[[Params], float],
    sparsities: Sequence[float],
    names: Sequence[str] = (),
    mask_of: Callable[[Array, float], Mask] | None = None,
) -> dict[str, list[float]]:
    """Return what `judge` says when one array alone is pruned, for each array and each sparsity.

    Shapes      {name: [one value per sparsity]}
    Convention  mask_of is magnitude_mask if none is given. Nothing is trained in between, and every other array stays dense.
                Layers interact: a set of sparsities that each do no harm may do harm together
    Source      Han et al. 2015 (arXiv 1506.02626), section 4.3

    >>> sensitivity({"w0": np.array([1.0, 3.0])}, lambda theta: float(theta["w0"].sum()), [0.0, 0.5])
    {'w0': [4.0, 3.0]}
    """
    prune = mask_of or magnitude_mask
    chosen = list(names) or [name for name in params if not name.startswith("b")]
    return {name: [judge(apply_masks(params, {name: prune(params[name], s)})) for s in sparsities] for name in chosen}
