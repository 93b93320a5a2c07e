"""One training loop for everything: plain training, pruning, quantization-aware training, distillation, joint training.

What differs comes in as arguments. An *objective* maps (parameters, batch) to (loss, gradients). A *view* is a pair of
functions: parameters as the forward pass shall see them (masked, fake-quantized, both), and the gradient's way back to the
raw parameters, which are the ones that move. Views compose. A batch is a tuple (inputs, labels).

Letters     theta raw parameters, view(theta) what the model computes with, N lists of L candidates
Not here: what a view or an objective does to the model: that is pruning, quantization, distillation.
Read next: alternating, pruning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tinycompress.losses import LOSSES
from tinycompress.optimizers import Optimizer, State
from tinycompress.recommender import Architecture, Gradients, Params, backward, forward

Batch = tuple[Sequence[Any], Any]
Objective = Callable[[Params, Any], tuple[float, Gradients]]


class View(NamedTuple):
    """Parameters as the model shall see them, and the way back of their gradient."""

    forward: Callable[[Params], Params]  # view(theta)
    backward: Callable[[Gradients, Params], Gradients]  # (dL/dview, theta) -> dL/dtheta

    def __repr__(self) -> str:
        return f"View({', '.join(getattr(f, '__name__', type(f).__name__) for f in self)})"


def _same_params(params: Params) -> Params:
    return params


def _same_grads(grads: Gradients, params: Params) -> Gradients:
    return grads


IDENTITY = View(_same_params, _same_grads)


class Epoch(NamedTuple):
    """What one pass over the data gave."""

    number: int  # from 1
    loss: float  # mean over the batches, each at the parameters it met
    quality: float | None  # what `validate` said after the epoch; higher is better


@dataclass(frozen=True)
class Fitted:
    """The raw parameters of the best epoch, and the story of all epochs."""

    params: Params
    history: tuple[Epoch, ...]
    best: int  # number of the epoch whose parameters were kept


def compose(*views: View) -> View:
    """Return the view that applies each of `views` in turn, the first one first.

    Equation    view(theta) = view_n(... view_1(theta)); gradients go back through view_n first
    Shapes      as the views'
    Source      the chain rule

    >>> double = View(lambda p: {"w": 2 * p["w"]}, lambda g, p: {"w": 2 * g["w"]})
    >>> compose(double, double).forward({"w": 1.5})
    {'w': 6.0}
    """

    def seen(params: Params) -> Params:
        for view in views:
            params = view.forward(params)
        return params

    def back(grads: Gradients, params: Params) -> Gradients:
        met = [params]  # what each view was given
        for view in views[:-1]:
            met.append(view.forward(met[-1]))
        for view, given in zip(reversed(views), reversed(met)):
            grads = view.backward(grads, given)
        return grads

    return View(seen, back)


def supervised(architecture: Architecture, loss: str) -> Objective:
    """Return the objective that fits labels: forward, loss, backward.

    Shapes      batch = (inputs, labels); for "listwise" the labels are (N, L) and the inputs have N L rows, list by list
    Raises      ValueError if no loss has that name
    Source      this package

    >>> objective = supervised(Architecture(rows=(2,), columns=(1,), hidden=()), "bce")
    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[0.0]]), "b0": np.array([0.0])}
    >>> loss, grads = objective(params, ([np.array([1])], np.array([1.0])))
    >>> round(loss, 4), grads["w0"]
    (0.6931, array([[-1.]]))
    """
    if loss not in LOSSES:
        raise ValueError(f"no loss is named {loss!r}; use one of {', '.join(LOSSES)}")
    chosen = LOSSES[loss]

    def objective(params: Params, batch: Batch) -> tuple[float, Gradients]:
        inputs, labels = batch
        logits, layers = forward(params, inputs, architecture)
        asked = logits.reshape(labels.shape) if loss == "listwise" else logits
        dlogits = chosen.backward(asked, labels).reshape(logits.shape)
        return chosen.value(asked, labels), backward(dlogits, layers, params, inputs, architecture)

    return objective


def fit(
    params: Params,
    batches: Callable[[np.random.Generator], Iterable[Any]],
    objective: Objective,
    optimizer: Optimizer,
    epochs: int,
    rng: np.random.Generator,
    view: View = IDENTITY,
    after_step: Callable[[Params, State], None] | None = None,
    validate: Callable[[Params], float] | None = None,
    patience: int | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> Fitted:
    """Return the raw parameters that minimise the objective, seen through the view.

    Equation    each step: g = view_backward(grad objective(view(theta), batch), theta);  theta <- update(theta, g)
    Shapes      params any dict of arrays; they are copied, never changed. batches(rng) yields the batches of one epoch.
    Convention  `after_step(theta, state)` may change both in place: there masks are put back, buffers too.
                `validate(view(theta))` is asked after each epoch; the parameters of the best epoch are kept, the earlier one
                on equality; training stops when `patience` epochs in a row brought nothing better. Without `validate` the
                last epoch is kept. Same rng state, same bits.
    Raises      ValueError if epochs is below 1, there are no batches, or the loss stops being finite
    Source      this package

    >>> objective = lambda p, batch: (float((p["w"] ** 2).sum()), {"w": 2 * p["w"]})
    >>> from tinycompress.optimizers import sgd
    >>> fit({"w": np.array([1.0])}, lambda rng: [None], objective, sgd(lr=0.25), 2, np.random.default_rng(0)).params
    {'w': array([0.25])}
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}; train for at least 1")
    theta = {name: np.array(p) for name, p in params.items()}
    state = optimizer.init(theta)
    history: list[Epoch] = []
    best, kept, best_quality = 0, theta, -np.inf
    for number in range(1, epochs + 1):
        losses = []
        for batch in batches(rng):
            loss, grads = objective(view.forward(theta), batch)
            optimizer.update(theta, view.backward(grads, theta), state)
            if after_step is not None:
                after_step(theta, state)
            losses.append(loss)
        if not losses:
            raise ValueError("there are no batches to train on; give at least one row")
        if lost := [loss for loss in losses if not np.isfinite(loss)]:
            raise ValueError(f"the loss is {lost[0]} in epoch {number}; lower the learning rate")
        quality = None if validate is None else float(validate(view.forward(theta)))
        history.append(Epoch(number, float(np.mean(losses)), quality))
        if progress is not None:
            progress(history[-1])
        if quality is None:
            best = number
        elif quality > best_quality:
            best, best_quality, kept = number, quality, {name: p.copy() for name, p in theta.items()}
        elif patience is not None and number - best >= patience:
            break
    return Fitted(kept, tuple(history), best)
