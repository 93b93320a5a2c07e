"""Gradients of a learned scale, zero point and range: against the function they differentiate, and by hand at the kinks."""
import numpy as np
import pytest

from tinycompress import conventions
from tinycompress.conventions import LearnedScale
from tinycompress.grids import Grid
from tinycompress.learned_scale import (
    learned_fake_quantize,
    learned_fake_quantize_backward,
    learned_range_backward,
    lsq_gradient_scale,
    lsq_initial_scale,
    range_grid,
)
from tinycompress.quantization import fake_quantize, fake_quantize_backward

RULES = {
    "lsq": LearnedScale(), "residual": LearnedScale(form="residual"), "paper": conventions.get("lsq.paper"),
    "torch": conventions.get("torch.learnable"), "aimet": conventions.get("aimet.learned"),
}  # fmt: skip


def straight_through(x, s, z, s0, z0, qmin, qmax, rule):
    """y as a function of x, s and z in which round() was replaced, at the point (x0 = x, s0, z0), by a line of slope 1.

    This is what the straight-through estimator means; it is smooth inside each region, so finite differences apply.
    """
    r0 = np.rint(x.real / s0)
    outcome = x.real / s0 if rule.clamp == "before_rounding" else r0
    inside = (qmin - z0 <= outcome) & (outcome <= qmax - z0)
    end = np.where(outcome < qmin - z0, qmin, qmax)
    return np.where(inside, (r0 + (x / s - x.real / s0)) * s, (end - z) * s)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_gradients_are_the_derivatives_of_the_straight_through_function(name, axis):
    """Complex step: the imaginary part of f(s + ih) / h is the derivative to O(h^2), with nothing subtracted.

    Bound: r - v and its double in the complex step each carry a few roundings of size 2^-53 max(|x| / s, range); the sums add
    one rounding per term. 2^-44 of the sum of magnitudes leaves a factor of eight over 32 terms and 8 roundings each.
    """
    rule, rng = RULES[name], np.random.default_rng(0)
    shape, n = (4, 8), {None: (), 0: (4,), 1: (8,)}[axis]
    qmin, qmax, g, h = -8, 7, 0.125, 1e-30
    s, z = rng.uniform(0.3, 0.6, n), rng.integers(-3 if name != "torch" else 0, 4, n).astype(float)  # see the test of z below
    x, dy = rng.normal(0, 3, shape), rng.normal(0, 1, shape)
    grid = Grid(s, z, qmin, qmax, axis)
    dx, ds, dz = learned_fake_quantize_backward(dy, x, grid, LearnedScale(**{**vars(rule), "sum": "float64"}), g)

    def along(v):
        return v if axis is None else np.expand_dims(v, 1 - axis)

    def forward(x, s, z):
        return straight_through(x, along(s), along(z), along(s.real), along(z.real), qmin, qmax, rule)

    def summed(terms):
        return terms.sum() if axis is None else terms.sum(axis=1 - axis)

    tolerance = 2.0**-44 * summed(np.abs(dy) * (np.abs(x) / along(s) + 16))
    assert dx.shape == shape and ds.shape == dz.shape == n
    assert (np.abs(ds - g * summed(dy * forward(x, s + 1j * h, z).imag / h)) <= tolerance).all()
    assert (np.abs(dz - g * summed(dy * forward(x, s, z + 1j * h).imag / h)) <= tolerance).all()
    assert (np.abs(dx - dy * forward(x + 1j * h, s, z).imag / h) <= 2.0**-50 * np.abs(dy)).all()


def test_the_three_forms_differ_in_roundings_only():
    """Bound: each of the three computes dy (r - v) with fewer than 8 roundings of 2^-24 |dy| (|r| + |v|); 64 terms are summed."""
    rng = np.random.default_rng(1)
    x, dy = rng.normal(0, 2, 64).astype(np.float32), rng.normal(0, 1, 64).astype(np.float32)
    x = x[np.abs(x / 0.3 - np.rint(x / 0.3)) < 0.49]
    dy, grid = dy[: x.size], Grid(np.float32(0.3), 0, -128, 127)
    rules = [LearnedScale(form=f, scaling="reciprocal", clamp="after_rounding") for f in ("chain", "residual", "fused")]
    ds = [float(learned_fake_quantize_backward(dy, x, grid, r)[1]) for r in rules]
    assert max(ds) - min(ds) <= 16 * 2.0**-24 * 64 * float((np.abs(dy) * np.abs(x) / 0.3).max())


def backward(x, rule, zero_point=0.0, dy=1.0):
    answers = learned_fake_quantize_backward([dy], [x], Grid(1.0, zero_point, -8, 7), rule)
    return [float(np.asarray(d).ravel()[0]) for d in answers]


def test_what_counts_as_clipped():
    #                                                            dx   ds    dz
    assert backward(7.4, LearnedScale()) == [0, 7, -1]  #         x / s lies outside
    assert backward(7.4, LearnedScale(clamp="after_rounding"))[0] == 1  # its code does not
    assert abs(backward(7.4, LearnedScale(clamp="after_rounding"))[1] + 0.4) < 1e-15
    assert backward(7.5, LearnedScale(clamp="after_rounding")) == [0, 7, -1]
    assert backward(-8.5, LearnedScale(clamp="after_rounding", form="residual")) == [1, 0.5, 0]
    assert backward(-100, LearnedScale()) == [0, -8, -1]


def test_exactly_at_an_end():
    assert backward(7.0, LearnedScale()) == [1, 0, 0] and backward(-8.0, LearnedScale()) == [1, 0, 0]
    paper = LearnedScale(at_the_edge="clipped", form="residual")
    assert backward(7.0, paper) == [0, 7, -1] and backward(-8.0, paper) == [0, -8, -1]
    assert backward(6.75, paper) == [1, 0.25, 0]


def test_the_zero_point_rounds_one_way_forward_and_another_backward():
    rule = conventions.get("torch.learnable")
    for z, forward, back in [(0.5, 0, 1), (1.5, 2, 2), (2.5, 2, 3), (-1.5, -2, -1), (-2.0, -2, -1), (-0.5, 0, 0), (0.4, 0, 0)]:
        grid = Grid(np.float32(1), np.float32(z), -8, 7)
        assert learned_fake_quantize(np.float32([20]), grid, rule).tolist() == [7 - forward]
        assert float(learned_fake_quantize_backward(np.float32([1]), np.float32([20]), grid, rule)[1]) == 7 - back


def test_a_zero_point_beyond_the_codes_is_clipped():
    assert learned_fake_quantize(np.float32([1.0]), Grid(1.0, 99.0, -8, 7)).tolist() == [0]  # z = 7: no code lies above 0.0


def test_the_gradient_scale_multiplies_scale_and_zero_point_only():
    x, dy, grid = np.array([0.3, 9.0]), np.array([1.0, 2.0]), Grid(0.5, 0, -8, 7)
    plain = learned_fake_quantize_backward(dy, x, grid, LearnedScale(form="residual"))
    scaled = learned_fake_quantize_backward(dy, x, grid, LearnedScale(form="residual"), 0.25)
    assert scaled[0].tolist() == plain[0].tolist()
    assert [float(d) for d in scaled[1:]] == [0.25 * float(d) for d in plain[1:]]


def test_descending_the_gradient_finds_a_good_scale():
    """Starting ten times too wide and ten times too narrow, both reach the same error, near the best of a fine search."""
    x = np.random.default_rng(0).normal(0, 1, 2000)
    g = lsq_gradient_scale(x.size, 7)

    def loss(s):
        return float(np.mean((fake_quantize(x, Grid(s, 0, -8, 7)) - x) ** 2))

    best = min(loss(s) for s in np.linspace(0.05, 2, 400))
    for s in (3.3, 0.033):
        for _ in range(400):
            y = learned_fake_quantize(x, Grid(s, 0, -8, 7), gradient_scale=g)
            _, ds, _ = learned_fake_quantize_backward(2 * (y - x) / x.size, x, Grid(s, 0, -8, 7), gradient_scale=g)
            s -= 2.0 * float(ds) / g**0.5
        assert loss(s) <= 1.02 * best


def test_initial_scale_and_gradient_scale():
    assert float(lsq_initial_scale(np.float32([1, -1, 2, -4]), 16)) == 1.0
    assert lsq_initial_scale(np.ones((2, 3, 4)), 4, axis=1).shape == (3,)
    assert lsq_gradient_scale(25, 4) == 0.1
    for refused in (lambda: lsq_initial_scale([], 7), lambda: lsq_initial_scale([1.0], 0), lambda: lsq_gradient_scale(0, 7)):
        with pytest.raises(ValueError, match="qmax"):
            refused()


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="shape"):
        learned_fake_quantize_backward(np.ones(2), np.ones(3), Grid(1.0, 0, -8, 7))
    with pytest.raises(ValueError, match="NaN"):
        learned_fake_quantize(np.float32([np.nan]), Grid(1.0, 0, -8, 7))


def test_nan_gets_no_gradient():
    dx, ds, _ = learned_fake_quantize_backward(np.ones(2), np.array([np.nan, 9.0]), Grid(1.0, 0, -8, 7), LearnedScale())
    assert dx.tolist() == [0, 0]
    assert np.isnan(ds)  # no finite number would be honest


# ---- a learned range ----


@pytest.mark.parametrize(
    ("lo", "hi", "low", "high"),
    [(-1.0, 1.0, -0.99607849, 1.00392163), (0.5, 2.0, 0, 1.5), (-2.0, -0.5, -1.5, 0), (-0.5, 254.5, -1, 254), (0, 0, 0, 0)],
)
def test_a_range_is_shifted_until_zero_has_a_code(lo, hi, low, high):
    y = fake_quantize(np.float32([-1e9, 1e9]), range_grid(lo, hi, 0, 255), "tf.fake_quant_with_min_max_vars")
    assert y.tolist() == np.float32([low, high]).tolist()


def test_the_nudged_zero_point_is_decided_in_float32():
    """s = fl((hi - lo) / n), z = clip(half_away(fl(qmin - fl(lo / s)))), on ranges like [-1, 1], where z is nearly a tie."""
    rng, ties = np.random.default_rng(0), 0
    for i in range(600):
        n = np.float32(255 if i % 2 else 15)
        k = int(rng.integers(0, int(n))) + 0.5  # z would be k exactly
        width = np.float32(rng.uniform(0.1, 10))
        lo, hi = np.float32(-k / n * width), np.float32((n - k) / n * width)
        s = (hi - lo) / n
        exact = np.float32(0) - lo / s
        z = min(max(float(np.floor(exact + np.float64(0.5))), 0), float(n))
        ties += exact % 1 == 0.5
        low = np.float32(-z * float(s))
        y = fake_quantize(np.float32([-1e9]), range_grid(lo, hi, 0, int(n)), "tf.fake_quant_with_min_max_vars")
        assert float(y[0]) == float(low)
    assert ties > 50


def test_without_nudging_the_ends_are_the_stated_ones_to_the_last_bit():
    rng = np.random.default_rng(0)
    lo, hi = -rng.uniform(0, 5, 500).astype(np.float32), rng.uniform(0, 5, 500).astype(np.float32)
    rule = conventions.get("tf.quantization.quantize")
    for a, b in zip(lo, hi, strict=True):
        grid = range_grid(a, b, -128, 127)
        y = fake_quantize(np.float32([-9]), grid, rule)
        assert y.tolist() == [a]


def test_range_gradient_goes_to_x_or_to_the_end_that_clips_it():
    x, dy = np.float32([-3, -1.5, -0.5, 0.1, np.nan, np.inf]), np.float32([1, 2, 3, 4, 5, 6])
    grid = range_grid(-2.0, -0.5, 0, 255)  # becomes [-1.5, 0]
    dx, dlo, dhi = learned_range_backward(dy, x, grid)
    assert dx.tolist() == [0, 2, 3, 0, 0, 0] and (float(dlo), float(dhi)) == (1, 10)
    per_row = learned_range_backward(dy.reshape(2, 3), x.reshape(2, 3), range_grid([-2, -2], [-0.5, -0.5], 0, 255, axis=0))
    assert per_row[1].tolist() == [1, 0] and per_row[2].tolist() == [0, 10]
    np.testing.assert_array_equal(fake_quantize_backward(dy, x, grid, "tf.fake_quant_with_min_max_args"), dx)


def test_range_refuses_to_go_downward():
    with pytest.raises(ValueError, match="exceeds"):
        range_grid(1.0, -1.0, 0, 255)
