"""How a gradient moves the parameters: SGD with momentum, and Adam, both able to update only the rows a batch used.

An optimizer is a frozen record of two functions: `init(params) -> state` and `update(params, grads, state)`. The update
works in place, on the arrays of `params` and `state`, because a table of a million rows must not be copied at every step.

Letters     p a parameter, g its gradient, m and v its running first and second moment, t the number of the step, from 1
            U rows of a table that a batch used, D its columns
Not here: which gradient, how often. Read next: training.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycompress.ops import RowGradient

Array = NDArray[np.floating]
State = dict[str, Any]


class Optimizer(NamedTuple):
    """Two functions over a state of plain arrays: {"step": t, buffer name: {parameter name: array}}."""

    init: Callable[[dict[str, Array]], State]
    update: Callable[[dict[str, Array], dict[str, Any], State], None]


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> Optimizer:
    """Return stochastic gradient descent with heavy-ball momentum.

    Equation    g <- g + weight_decay p;  u <- momentum u + g;  p <- p - lr u                                      (1)
    Shapes      parameters of any shape; a RowGradient (U,), (U, D) moves only its rows
    Convention  lr multiplies the whole buffer u, as in torch. For a RowGradient, rows that the batch did not use keep p and
                u as they are: their momentum waits instead of moving them, and they do not decay.
    Raises      ValueError if lr is not positive, or momentum is outside [0, 1)
    Source      Polyak 1964; Sutskever et al. 2013 for the form

    >>> p = {"w": np.array([1.0])}; o = sgd(lr=0.5); o.update(p, {"w": np.array([1.0])}, o.init(p)); p["w"]
    array([0.5])
    """
    _refuse("lr", lr, lr > 0, "positive")
    _refuse("momentum", momentum, 0 <= momentum < 1, "in [0, 1)")

    def init(params: dict[str, Array]) -> State:
        return {"step": 0, "velocity": {k: np.zeros_like(p) for k, p in params.items()} if momentum else {}}

    def update(params: dict[str, Array], grads: dict[str, Any], state: State) -> None:
        state["step"] += 1
        for name, g in grads.items():
            p, rows, g = _used(params[name], g)
            if weight_decay:
                g = g + p.dtype.type(weight_decay) * p
            if momentum:
                u = state["velocity"][name]
                moved = u[rows] * p.dtype.type(momentum) + g
                u[rows] = moved
                g = moved
            params[name][rows] = p - p.dtype.type(lr) * g  # (1)

    return Optimizer(init, update)


def adam(lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0) -> Optimizer:
    """Return Adam; for tables, lazy Adam.

    Equation    g <- g + weight_decay p
                m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
                p <- p - lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t)                (2)
    Shapes      parameters of any shape; a RowGradient (U,), (U, D) moves only its rows
    Convention  eps stands outside the root and after the bias correction, as in torch. Lazy: a row that the batch did not
                use keeps p, m and v. Dense Adam would go on moving it by its old m and would shrink m and v; both agree
                exactly when every step uses every row. t is the number of all steps, not of the row's uses.
    Raises      ValueError if lr is not positive, or a beta is outside [0, 1)
    Source      Kingma, Ba 2015 (arXiv 1412.6980), algorithm 1

    >>> p = {"w": np.array([1.0])}; o = adam(lr=0.5); o.update(p, {"w": np.array([8.0])}, o.init(p)); p["w"].round(6)
    array([0.5])
    """
    _refuse("lr", lr, lr > 0, "positive")
    _refuse("beta1", beta1, 0 <= beta1 < 1, "in [0, 1)")
    _refuse("beta2", beta2, 0 <= beta2 < 1, "in [0, 1)")

    def init(params: dict[str, Array]) -> State:
        return {
            "step": 0,
            "m": {k: np.zeros_like(p) for k, p in params.items()},
            "v": {k: np.zeros_like(p) for k, p in params.items()},
        }

    def update(params: dict[str, Array], grads: dict[str, Any], state: State) -> None:
        state["step"] = t = state["step"] + 1
        for name, g in grads.items():
            p, rows, g = _used(params[name], g)
            if weight_decay:
                g = g + p.dtype.type(weight_decay) * p
            m, v = state["m"][name], state["v"][name]
            if rows is ...:
                _adam_in_place(p, g, m, v, t, lr, beta1, beta2, eps)
            else:
                some_m, some_v = m.take(rows, axis=0), v.take(rows, axis=0)
                _adam_in_place(p, g, some_m, some_v, t, lr, beta1, beta2, eps)
                params[name][rows], m[rows], v[rows] = p, some_m, some_v

    return Optimizer(init, update)


def adam_step(
    p: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8
) -> tuple[Array, Array, Array]:
    """Return p, m and v after one step of Adam, as new arrays.

    Equation    (2) of `adam`, without weight decay; t counts from 1
    Shapes      p, g, m, v all of one shape
    Raises      ValueError if t is below 1: the bias correction would divide by 0
    Source      Kingma, Ba 2015 (arXiv 1412.6980), algorithm 1

    >>> zero = np.zeros(1)
    >>> adam_step(np.ones(1), np.array([8.0]), zero, zero, t=1, lr=0.5)[0].round(6)
    array([0.5])
    """
    if t < 1:
        raise ValueError(f"t is {t}; steps count from 1, because 1 - beta^0 is 0")
    p, m, v = np.array(p), np.array(m), np.array(v)
    _adam_in_place(p, np.asarray(g, p.dtype), m, v, t, lr, beta1, beta2, eps)
    return p, m, v


def _adam_in_place(p: Array, g: Array, m: Array, v: Array, t: int, lr: float, beta1: float, beta2: float, eps: float) -> None:
    number = p.dtype.type
    with np.errstate(under="ignore"):  # a gradient below 1e-23 squares to a subnormal or 0, which is right
        scaled = np.multiply(g, number(1 - beta1), out=np.empty_like(p))
        m *= number(beta1)
        m += scaled
        np.multiply(g, g, out=scaled)
        scaled *= number(1 - beta2)
        v *= number(beta2)
        v += scaled
        # m^ / (sqrt(v^) + eps) = (m / sqrt(v) scaled by correction): one pass fewer, the same number up to rounding
        np.sqrt(v, out=scaled)
        scaled *= number(1 / math.sqrt(1 - beta2**t))
        scaled += number(eps)
        np.divide(m, scaled, out=scaled)
        scaled *= number(lr / (1 - beta1**t))  # (2)
        p -= scaled


def _used(p: Array, g: Array | RowGradient) -> tuple[Array, Any, Array]:
    """The part of p that g speaks of, its rows, and g's values: all of p where g is dense."""
    if isinstance(g, RowGradient):
        return p.take(g.rows, axis=0), g.rows, g.values
    return p, ..., g


def _refuse(name: str, value: float, fine: bool, need: str) -> None:
    if not fine:
        raise ValueError(f"{name} is {value}; it must be {need}")
