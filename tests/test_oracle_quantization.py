"""An oracle in exact fractions agrees with each combination of rounding, scaling and order, on ties and beside them."""
import itertools
import math

import numpy as np
import pytest
import quantization_oracle as oracle
import strategies
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tinycompress.conventions import Elementwise
from tinycompress.grids import Grid
from tinycompress.quantization import dequantize, fake_quantize, fake_quantize_backward, quantize
from tinycompress.rounding import ROUNDINGS

SCALINGS = ("divide", "reciprocal", "divide_float64")
ORDERS = ("after", "inside", "inside_fma")
PLACES = (("zero", "after_rounding"), ("zero", "before_rounding"), ("range_start", "input"), ("range_start", "after_rounding"))
RULES = [
    Elementwise(scaling=a, zero_point=b, origin=c, clamp=d, rounding=r, nan="qmin", scale_dtype=("as_x", "float64")[i % 2])
    for i, (a, b, (c, d), r) in enumerate(itertools.product(SCALINGS, ORDERS, PLACES, ROUNDINGS))
    if b != "inside_fma" or a == "reciprocal"
]


def ties(rng, grid, dtype, count):
    """Half steps and whole steps, an ulp below, on and above, beyond both ends, and what no grid expects."""
    k = rng.integers(grid.qmin - 3, grid.qmax + 4, count) + rng.choice([0.5, 0.5, 0.5, 0.0, 0.25], count)
    with np.errstate(all="ignore"):
        x = ((k - float(grid.zero_point)) * float(grid.scale)).astype(dtype)
        x = np.where(rng.integers(0, 3, count) == 0, x, np.nextafter(x, rng.choice([-np.inf, np.inf], count).astype(dtype)))
    hard = [0.0, -0.0, 0.49999997, np.inf, -np.inf, 1e30, -3e9, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max]
    return np.append(x, hard).astype(dtype)


def expected(x, grid, rule):
    s, z = float(grid.scale), int(grid.zero_point)
    codes = [oracle.code(v, s, z, grid.qmin, grid.qmax, rule, x.dtype.name) for v in x.ravel()]
    return np.array([grid.qmin if c is None else c for c in codes]).reshape(x.shape)


def test_every_combination_of_rounding_scaling_and_order():
    rng = np.random.default_rng(0)
    for i, rule in enumerate(RULES):
        signed, bits = i % 2 == 0, (2, 3, 4, 8, 8, 16)[i % 6]
        qmin = -(2 ** (bits - 1)) if signed else 0
        scale = float(rng.choice([0.1, 0.3, 0.945356488, 1.0, rng.uniform(0.01, 1), 2.0**-130]))
        grid = Grid(scale, int(rng.integers(qmin, qmin + 2**bits)), qmin, qmin + 2**bits - 1)
        x = ties(rng, grid, (np.float32, np.float32, np.float64)[i % 3], 24)
        assert quantize(x, grid, rule).tolist() == expected(x, grid, rule).tolist(), (rule, grid, x.dtype)


@limits(max_examples=100)
@given(strategies.grids_with_values(), st.sampled_from(RULES))
def test_drawn_grids_and_values(drawn, rule):
    grid, x = drawn
    assert quantize(x, grid, rule).tolist() == expected(x, grid, rule).tolist()


@limits(max_examples=40)
@given(strategies.grids_with_values("float64"), st.sampled_from(RULES))
def test_drawn_in_float64(drawn, rule):
    grid, x = drawn
    assert quantize(x, grid, rule).tolist() == expected(x, grid, rule).tolist()


def test_the_default_is_the_formula_with_one_rounding_of_the_quotient():
    rng = np.random.default_rng(1)
    for bits, signed, narrow in itertools.product(range(2, 17), (True, False), (True, False)):
        qmin = (-(2 ** (bits - 1)) if signed else 0) + narrow
        qmax = qmin + 2**bits - 1 - narrow
        grid = Grid(float(rng.uniform(0.01, 1)), int(rng.integers(qmin, qmax + 1)), qmin, qmax)
        x = ties(rng, grid, np.float32, 20)
        assert quantize(x, grid).tolist() == expected(x, grid, Elementwise()).tolist()


@pytest.mark.parametrize("form", ["difference", "difference_int32", "difference_float", "parts", "fma", "divide"])
@pytest.mark.parametrize("width", ["as_x", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_way_back(form, width, dtype):
    rng, rule = np.random.default_rng(2), Elementwise(dequantize=form, dequantize_scale=width)
    for kind in (np.int8, np.uint8, np.int16, np.uint16):
        ends = np.iinfo(kind)
        grid = Grid(float(rng.uniform(1e-3, 1)), int(rng.integers(ends.min, ends.max + 1)), ends.min, ends.max)
        q = rng.integers(ends.min, ends.max, 30, endpoint=True)
        q = np.append(q, [ends.min, ends.max, int(grid.zero_point)]).astype(kind)
        ours = dequantize(q, grid, rule, dtype=dtype)
        theirs = [float(oracle.value(v, float(grid.scale), int(grid.zero_point), rule, dtype)) for v in q]
        assert ours.dtype == dtype and ours.tolist() == theirs, (kind, grid)


@limits(max_examples=40)
@given(strategies.grids_with_values())
def test_fake_quantize_and_its_mask(drawn):
    grid, x = drawn
    s, z, plain, open_ended = float(grid.scale), int(grid.zero_point), Elementwise(), Elementwise(clamp="none")
    y, dx = fake_quantize(x, grid), fake_quantize_backward(np.ones_like(x), x, grid)
    for v, ours, passed in zip(x.ravel(), y.ravel(), dx.ravel(), strict=True):
        q = oracle.code(v, s, z, grid.qmin, grid.qmax, plain, "float32")
        assert float(ours) == float(oracle.value(q, s, z, plain, "float32"))
        free = oracle.code(v, s, z, -(10**60), 10**60, open_ended, "float32") if math.isfinite(v) else 10**60
        assert passed == (grid.qmin <= free <= grid.qmax)
