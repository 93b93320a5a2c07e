"""What a weight is worth: estimates of how much the loss rises when it becomes zero.

Expand the loss around the trained weights, for a change dw = -w_q of one weight:

    L(w + dw) - L(w) = g_q dw + 1/2 H_qq dw^2 + ...                                                                 (1)

Magnitude pruning takes no term of it, Taylor scores the first, OBD the second with a diagonal H, OBS the second with all of H
(and lets the other weights make up for the loss: see reconstruction). For one linear layer H is known from its inputs alone.

Letters     w (I, O) weights, g their gradient, x (B, I) inputs of the layer, H (I, I) Hessian, u (N, P) gradients per example
Not here: ranking scores (counting.keep_largest), changing the weights that stay. Read next: reconstruction.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def taylor_scores(w: Array, g: Array) -> Array:
    """Return |w g|, the size of the first term of (1).

    Equation    |L(w with w_q = 0) - L(w)| ~ |g_q w_q|
    Shapes      w (...), g (...) -> (...)
    Convention  g is the gradient of the mean loss over a whole data set or many batches. At an optimum it is 0, and the score
                with it: it tells something only while training is not finished
    Raises      ValueError if the shapes differ
    Source      Molchanov et al. 2017 (arXiv 1611.06440), equation 8; SNIP: Lee et al. 2019 (arXiv 1810.02340)

    >>> taylor_scores(np.array([2.0, -1.0]), np.array([0.5, 3.0]))
    array([1., 3.])
    """
    if w.shape != g.shape:
        raise ValueError(f"w has shape {w.shape} and g {g.shape}; give one gradient per weight")
    return np.asarray(np.abs(w * g))


def taylor_unit_scores(w: Array, g: Array, axis: int = -1) -> Array:
    """Return one first-order score per unit: the terms of its weights added with their signs.

    Equation    |sum over the unit's weights of g w|
    Shapes      w (I, O), g (I, O) -> (O,) for axis -1
    Convention  signed, because weights of a unit go together and their effects cancel; a sum of |w g| ignores that
    Raises      ValueError if the shapes differ
    Source      Molchanov et al. 2019 (arXiv 1906.10771), equation 8 before squaring

    >>> taylor_unit_scores(np.array([[1.0, 1.0], [1.0, 1.0]]), np.array([[2.0, 2.0], [-2.0, 2.0]]))
    array([0., 4.])
    """
    if w.shape != g.shape:
        raise ValueError(f"w has shape {w.shape} and g {g.shape}; give one gradient per weight")
    return np.asarray(np.abs((w * g).sum(axis=tuple(i for i in range(w.ndim) if i != axis % w.ndim))))


def input_hessian(x: Array, damping: float = 0.0) -> Array:
    """Return the Hessian of a linear layer's squared output error.

    Equation    E(w') = mean over rows of |x w' - x w|^2 = sum over outputs of 1/2 d^T H d,  d = w' - w
                H = (2 / B) x^T x + damping mean(diag) I                                                            (2)
    Shapes      x (B, I) -> (I, I), float64; the same for every output
    Convention  SparseGPT divides by the number of batches in place of rows: scores scale, masks do not change
    Raises      ValueError if x is not a matrix with rows
    Source      Hassibi, Stork 1993; Frantar, Alistarh 2022 (arXiv 2208.11580), section 3

    >>> input_hessian(np.array([[1.0, 0.0], [1.0, 2.0]]))
    array([[2., 2.],
           [2., 4.]])
    """
    if x.ndim != 2 or not len(x):
        raise ValueError(f"x has shape {x.shape}; give a matrix with one row per example")
    x = x.astype(np.float64)
    h = 2 / len(x) * (x.T @ x)
    h[np.diag_indices(len(h))] += damping * np.mean(np.diag(h))  # (2)
    return np.asarray(h)


def obd_scores(w: Array, curvature: Array) -> Array:
    """Return the loss that each weight's removal costs, if H is diagonal.

    Equation    rho = 1/2 H_qq w_q^2                                                                                (3)
    Shapes      w (I, O), curvature the diagonal of H: (I,) as of `input_hessian`, or of the shape of w -> (I, O)
    Convention  with the diagonal of (2) this ranks like Wanda, squared
    Raises      ValueError if the shapes do not fit
    Source      LeCun, Denker, Solla 1990, equation 4

    >>> obd_scores(np.array([[1.0], [2.0]]), np.array([8.0, 1.0]))
    array([[4.],
           [2.]])
    """
    return np.asarray(0.5 * _per_input(curvature, w) * w**2)


def obs_scores(w: Array, h_inverse: Array) -> Array:
    """Return the loss that each weight's removal costs, after the best change of the others.

    Equation    rho = w_q^2 / (2 [H^-1]_qq)                                                                         (4)
    Shapes      w (I, O), h_inverse (I, I), or its diagonal (I,) -> (I, O)
    Convention  exact where the loss is quadratic in w, as the error of one layer is
    Raises      ValueError if the shapes do not fit
    Source      Hassibi, Stork 1993, equation 5

    >>> obs_scores(np.array([[1.0], [2.0]]), np.array([0.5, 2.0]))
    array([[1.],
           [1.]])
    """
    diagonal = np.diag(h_inverse) if h_inverse.ndim == 2 else h_inverse
    return np.asarray(w**2 / (2 * _per_input(diagonal, w)))


def wanda_scores(w: Array, x: Array) -> Array:
    """Return |w| times the norm of the input it meets.

    Equation    |w_ij| |x_i|_2
    Shapes      w (I, O), x (B, I) -> (I, O)
    Convention  compare within one output (axis=0 of `keep_largest`): the norms differ between inputs, not between outputs.
                It is (3) with the diagonal of (2), under a square root; if all inputs have one norm it is magnitude per output
    Raises      ValueError if the shapes do not fit
    Source      Sun et al. 2024 (arXiv 2306.11695), equation 1

    >>> wanda_scores(np.array([[1.0], [2.0]]), np.array([[3.0, 0.0], [4.0, 1.0]]))
    array([[5.],
           [2.]])
    """
    return np.asarray(np.abs(w) * _per_input(np.sqrt((x.astype(np.float64) ** 2).sum(axis=0)), w))


def fisher_inverse(u: Array, damping: float) -> Array:
    """Return the inverse of the damped empirical Fisher matrix, one gradient at a time.

    Equation    F = damping I + (1 / N) sum_n u_n u_n^T;  F_0^-1 = I / damping,
                F^-1 <- F^-1 - (F^-1 u)(F^-1 u)^T / (N + u^T F^-1 u)                                                (5)
    Shapes      u (N, P) -> (P, P), float64
    Bound       equal to the direct inverse within about 2^-53 times the condition of F; costs N P^2 in place of P^3
    Convention  stands for H in (4) where H is not known. `fisher_inverse_diagonal` is the same with a diagonal F
    Raises      ValueError if damping is not positive
    Source      Singh, Alistarh 2020 (arXiv 2004.14340), equation 8; Sherman, Morrison 1950

    >>> fisher_inverse(np.array([[1.0], [1.0]]), damping=1.0)
    array([[0.5]])
    """
    if not damping > 0:
        raise ValueError(f"damping is {damping}; with few gradients F is singular without it, so it must be positive")
    inverse = np.eye(u.shape[1]) / damping
    for one in u.astype(np.float64):
        image = inverse @ one
        inverse -= np.outer(image, image) / (len(u) + one @ image)  # (5)
    return inverse


def fisher_inverse_diagonal(u: Array, damping: float) -> Array:
    """Return 1 / (damping + mean of the squared gradients): (5) if F is taken as diagonal.

    Shapes      u (N, P) -> (P,), float64
    Raises      ValueError if damping is not positive
    Source      Singh, Alistarh 2020 (arXiv 2004.14340), blocks of one

    >>> fisher_inverse_diagonal(np.array([[1.0], [1.0]]), damping=1.0)
    array([0.5])
    """
    if not damping > 0:
        raise ValueError(f"damping is {damping}; a gradient may be 0 everywhere, so it must be positive")
    return np.asarray(1 / (damping + (u.astype(np.float64) ** 2).mean(axis=0)))


def _per_input(values: Array, w: Array) -> Array:
    """A value per input, or per weight, in a shape that multiplies w (I, O)."""
    if values.shape == w.shape:
        return values
    if values.shape != w.shape[:1]:
        raise ValueError(f"{values.shape} does not fit w of shape {w.shape}; give one value per input or one per weight")
    return values.reshape(-1, *(1,) * (w.ndim - 1))
