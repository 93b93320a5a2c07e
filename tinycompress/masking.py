"""Masks that hold while training goes on, and its like: parameters held still, rows held together.

A pruned weight is a zero that the optimizer does not know about. Three things move it again: its gradient, weight decay (not
from 0, but from the hidden value behind a mask), and momentum, which keeps pushing for many steps after the gradient has
been masked. So a mask holds in one of two ways: the model never sees what hides behind it (`mask_view`), or weight and buffers
are set to zero again after every step (`hold_masks`). Both together cost little and cannot fail.

    who holds what                       pruned entry after 1 / 3 steps (w = .1, g = 1, lr .1, momentum .9, one step before)
    mask_view alone                      0 in the model; the hidden weight drifts to -.09 / -.244
    mask_view, then taken away           -.19 / -.805: dense again
    zero once, gradient masked           -.09 / -.244: momentum moves it
    hold_masks, buffers=False            0, while the hidden momentum grows and acts the day the mask is lifted
    hold_masks                           0, and nothing waits behind it

Letters     w weights, dw their gradients, V rows of a table that are seen, V' that are held (several may share one), D columns
Not here: which weights to prune. Read next: retraining.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.counting import Mask, as_mask
from tinycompress.ops import RowGradient
from tinycompress.pruning import apply_masks
from tinycompress.recommender import Gradients, Params
from tinycompress.training import View

Array = NDArray[Any]
State = dict[str, Any]


def mask_view(masks: Mapping[str, Mask]) -> View:
    """Return the view under which pruned weights are 0, whatever their raw values.

    Equation    view(w) = w where kept, else 0                                                                      (1)
    Shapes      {name: (...)} -> the same; a gradient may be an array or a `RowGradient`
    Gradient    from (1): dw = dview where kept, else 0
    Convention  raw values behind the mask stay what they were, unless momentum or weight decay moves them: to score or to
                save, use view.forward(params), never the raw ones. If weights and buffers start masked, nothing moves at
                all: every term of an SGD or Adam step is 0 there. For a table of millions of rows, of which a step uses few,
                start masked and keep only the way back: View(IDENTITY.forward, mask_view(masks).backward)
    Raises      ValueError if a mask is not made of kept and pruned, or fits no parameter
    Source      torch.nn.utils.prune masks in the forward pass; open_lth 2ce732f likewise

    >>> view = mask_view({"w": np.array([True, False])})
    >>> view.forward({"w": np.array([1.0, 2.0])})
    {'w': array([1., 0.])}
    >>> view.backward({"w": np.array([5.0, 5.0])}, {"w": np.array([1.0, 2.0])})
    {'w': array([5., 0.])}
    """

    def forward(params: dict[str, Array]) -> dict[str, Array]:
        return apply_masks(params, masks)

    def backward(grads: dict[str, Any], params: dict[str, Array]) -> dict[str, Any]:
        return mask_gradients(grads, masks)

    return View(forward, backward)


def mask_gradients(grads: Mapping[str, Array | RowGradient], masks: Mapping[str, Mask]) -> dict[str, Array | RowGradient]:
    """Return the gradients with those of pruned weights 0.

    Equation    dw where kept, else 0
    Shapes      {name: (...) or RowGradient} -> the same kinds
    Convention  no cure by itself: momentum gathered before goes on moving a pruned weight
    Raises      ValueError if a mask's shape differs
    Source      this package

    >>> mask_gradients({"w": np.array([5.0, 5.0])}, {"w": np.array([True, False])})
    {'w': array([5., 0.])}
    """
    return {name: _masked(g, masks[name]) if name in masks else g for name, g in grads.items()}


def hold_masks(masks: Mapping[str, Mask], buffers: bool = True) -> Callable[[dict[str, Array], State], None]:
    """Return the function to call after each step: it puts pruned weights, and their optimizer buffers, back to 0.

    Equation    w <- 0, and each buffer <- 0, where pruned, in place
    Shapes      the returned function takes (params, state), state = {"step": t, buffer name: {name: (...)}}
    Convention  buffers=False leaves momentum as it is: the weights hold all the same, but momentum gathers behind the mask
                (to 2.72 in two steps of the example above) and is let loose when the mask is lifted. Zeros are +0
    Raises      ValueError (at the first step) if a mask fits no parameter, or its shape differs
    Source      distiller d859fc8 masks weights after each batch; Zhu, Gupta 2017; this package for the buffers

    >>> params, state = {"w": np.array([1.0, -0.5])}, {"step": 1, "velocity": {"w": np.array([1.0, 1.0])}}
    >>> hold_masks({"w": np.array([True, False])})(params, state)
    >>> params["w"], state["velocity"]["w"]
    (array([1., 0.]), array([1., 0.]))
    """
    pruned = {name: ~as_mask(mask, np.shape(mask)) for name, mask in masks.items()}

    def after_step(params: dict[str, Array], state: State) -> None:
        for name, gone in pruned.items():
            if name not in params or params[name].shape != gone.shape:
                have = params[name].shape if name in params else "none of that name"
                raise ValueError(f"the mask of {name} has shape {gone.shape} and the parameter {have}; compute the mask anew")
            np.copyto(params[name], 0, where=gone)
            if buffers:
                for held in state.values():
                    if isinstance(held, dict) and name in held:
                        np.copyto(held[name], 0, where=gone)

    return after_step


def is_held(params: Mapping[str, Array], masks: Mapping[str, Mask]) -> bool:
    """Return whether every pruned weight is exactly 0.

    Shapes      {name: (...)}, {name: (...)} -> bool
    Convention  -0 is 0; a NaN is not. Quantize with a grid that has a code for 0 (every grid of this package), and pruned
                zeros stay exact zeros
    Source      this package

    >>> is_held({"w": np.array([1.0, 1e-30])}, {"w": np.array([True, False])})
    False
    """
    return all(not np.any(params[name][~as_mask(mask, params[name].shape)]) for name, mask in masks.items())


def _masked(g: Array | RowGradient, mask: Mask) -> Array | RowGradient:
    if isinstance(g, RowGradient):
        kept = as_mask(mask, g.shape)[g.rows]
        return replace(g, values=np.where(kept, g.values, g.values.dtype.type(0)))
    return np.where(as_mask(mask, g.shape), g, g.dtype.type(0))


def tied(places: Mapping[str, Array]) -> View:
    """Return the view in which rows of a table that share a place are one: they are looked up there, and learn together.

    Equation    seen[v] = held[places[v]];  d held[p] = sum of d seen[v] over the rows v with places[v] = p
    Shapes      {name: (V,)}; held (V', D) -> seen (V, D)
    Source      the chain rule

    >>> view = tied({"table0": np.array([0, 1, 1])})
    >>> view.forward({"table0": np.array([[5.0], [7.0]])})["table0"].ravel().tolist()
    [5.0, 7.0, 7.0]
    >>> used = RowGradient(np.array([1, 2]), np.array([[1.0], [2.0]]), (3, 1))
    >>> back = view.backward({"table0": used}, {"table0": np.array([[5.0], [7.0]])})["table0"]
    >>> back.rows.tolist(), back.values.tolist()
    ([1], [[3.0]])
    """

    def backward(grads: Gradients, params: Params) -> Gradients:
        held: Gradients = dict(grads)
        for name, place in places.items():
            g = grads.get(name)
            if isinstance(g, RowGradient):
                rows, where = np.unique(place[g.rows], return_inverse=True)
                values = np.zeros((len(rows), g.values.shape[1]), g.values.dtype)
                np.add.at(values, where.reshape(-1), g.values)
                held[name] = RowGradient(rows, values, params[name].shape)
        return held

    return View(lambda params: {**params, **{name: params[name][place] for name, place in places.items()}}, backward)


def only(free: list[str]) -> View:
    """Return the view under which only these parameters learn.

    Shapes      {name: (...)} -> the same
    Source      this package

    >>> only(["w0"]).backward({"w0": 1, "b0": 2}, {})
    {'w0': 1}
    """
    return View(lambda params: params, lambda grads, params: {name: g for name, g in grads.items() if name in free})
