"""Check a hand-written gradient along one random direction, in float64."""

import numpy as np


def check_gradient(loss_of, gradient, x, rng, tolerance=1e-7, step=1e-3):
    """Assert that `gradient` is that of the scalar function `loss_of` at x (an array, or a dict of arrays).

    Along one random direction r the derivative of loss_of(x + h r) at h = 0 must be the sum of gradient times r. It is measured by the
    five-point difference (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / (12 h), whose error is O(h^4) + O(eps / h), 1e-12 here for functions of
    size 1: that leaves five digits between it and the tolerance, which is relative to the largest possible |gradient| |r| term sum.
    """
    named = isinstance(x, dict)
    xs = x if named else {"x": x}
    gs = gradient if named else {"x": gradient}
    assert xs.keys() == gs.keys(), f"gradients of {sorted(gs)} for arguments {sorted(xs)}"
    for name in xs:
        xv, gv = np.asarray(xs[name]), np.asarray(gs[name])
        assert xv.dtype == np.float64, f"{name} is {xv.dtype}; a gradient is checked in float64"
        assert gv.shape == xv.shape, f"the gradient of {name} has shape {gv.shape}, {name} has {xv.shape}"
    r = {name: rng.standard_normal(np.shape(v)) for name, v in xs.items()}

    def f(h):
        moved = {name: v + h * r[name] for name, v in xs.items()}
        return loss_of(moved if named else moved["x"])

    gs = {name: np.where(np.abs(g) < 1e-200, 0, g) for name, g in gs.items()}  # products of such values would underflow
    received = sum(float((gs[name] * r[name]).sum()) for name in xs)
    scale = sum(float(np.abs(gs[name] * r[name]).sum()) for name in xs)
    expected = (8 * (f(step) - f(-step)) - (f(2 * step) - f(-2 * step))) / (12 * step)
    assert abs(received - expected) <= tolerance * max(scale, abs(expected), 1e-8), (
        f"gradient . r = {received!r}, the function moves by {expected!r} "
        f"(relative error {abs(received - expected) / max(scale, 1e-300):.2e}) at {', '.join(xs)}"
    )
