"""The limits against closed forms of others, the quarter of a bit against exact integrals, and no point beyond the limit."""

import math

import numpy as np
import pytest
from scipy import stats

from tinycompress.codebooks import k_means
from tinycompress.rate_distortion import (
    CUBE_LOSS_BITS,
    CUBE_LOSS_DECIBELS,
    SOURCES,
    code_entropy,
    coded_uniform_point,
    differential_entropy,
    entropy_constrained_point,
    k_means_point,
    operational_points,
    shannon_error,
    shannon_rate,
    source_values,
    sqnr,
    uniform_point,
)

FAMILIES = {"gaussian": stats.norm(), "laplacian": stats.laplace(scale=0.5**0.5), "uniform": stats.uniform(-(3**0.5), 12**0.5)}


@pytest.mark.parametrize("source", SOURCES)
def test_limits_are_those_of_the_source(source):
    family = FAMILIES[source]
    assert family.var() == pytest.approx(1, rel=1e-14)
    assert differential_entropy(source) == pytest.approx(float(family.entropy()) / math.log(2), rel=1e-13)
    assert differential_entropy(source, 4.0) == pytest.approx(differential_entropy(source) + 1, rel=1e-13)
    for rate in (0.5, 1.0, 3.25):
        assert shannon_rate(shannon_error(rate, source, 2.0), source, 2.0) == pytest.approx(rate, rel=1e-13)
        ratio = shannon_error(rate, source) / shannon_error(rate + 1, source)
        assert ratio == pytest.approx(4, rel=1e-13), "a bit is a quarter of the error"
        assert shannon_error(rate, source) <= shannon_error(rate, "gaussian") * (1 + 1e-14), "the Gaussian is the hardest"
    assert shannon_error(0.0) == pytest.approx(1, rel=1e-14) and shannon_rate(1.5, source) == 0
    x = source_values(source, 1001)
    assert np.allclose(x, family.ppf((np.arange(1001) + 0.5) / 1001), rtol=1e-12, atol=1e-15)


def exact_gaussian(s):
    """Rate and error of a Gaussian on the grid of step s, cell by cell, out to ten deviations."""
    f, c = stats.norm(), s * np.arange(-int(10 / s), int(10 / s) + 1)
    low, high = c - s / 2, c + s / 2
    p = np.where(c < 0, f.cdf(high) - f.cdf(low), f.sf(low) - f.sf(high))  # no cancellation in the tails
    first, second = f.pdf(low) - f.pdf(high), p + low * f.pdf(low) - high * f.pdf(high)  # of x and x^2 over the cell
    return -(p[p > 0] * np.log2(p[p > 0])).sum(), (second - 2 * c * first + c * c * p).sum()


@pytest.mark.parametrize("s", [1 / 2, 1 / 8, 1 / 32])
def test_a_quarter_of_a_bit_by_exact_integrals(s):
    """A cell's probability is the density of x + u at its level, times s, with u uniform over a step. So R = h(x + u) - log2 s
    and E = s^2 / 12, both up to the error of a sum for an integral, of order exp(-2 pi^2 / s^2) < 1e-34 for a Gaussian. Adding u
    cannot lower h, and x + u has variance 1 + s^2 / 12, for which a Gaussian has the most: the gap lies between the quarter of a
    bit and that plus log2(1 + s^2 / 12) / 2. Rounding: 20 / s cells of errors far below 1e-14."""
    rate, error = exact_gaussian(s)
    gap = rate - shannon_rate(error)
    assert error == pytest.approx(s * s / 12, rel=1e-9)
    assert CUBE_LOSS_BITS - 1e-10 <= gap <= CUBE_LOSS_BITS + math.log2(1 + s * s / 12) / 2 + 1e-10
    assert 10 * math.log10(error / shannon_error(rate)) == pytest.approx(gap * 20 * math.log10(2), rel=1e-12)
    assert CUBE_LOSS_DECIBELS == pytest.approx(CUBE_LOSS_BITS * 20 * math.log10(2), rel=1e-14)
    assert round(CUBE_LOSS_BITS, 4) == 0.2546 and round(CUBE_LOSS_DECIBELS, 2) == 1.53


def test_values_of_a_source_stand_for_it():
    """Koksma: the mean of f over n quantiles is off by at most the variation of f times 1 / (2 n); (x - c)^2 varies by s^2 / 2 in
    each of the 19 cells that are reached, and the tails of mass 1 / n hold at most s^2 / 4. Each count is off by at most 1, and
    |p log p - r log r| <= -t log2 t for |p - r| = t <= 1/2."""
    n, s = 100_001, 0.5
    point, (rate, error) = coded_uniform_point(source_values("gaussian", n), s), exact_gaussian(s)
    assert abs(point.error - error) <= 19 * s * s / 2 / (2 * n) + s * s / (4 * n)
    assert abs(point.rate - rate) <= 21 / n * math.log2(n)


@pytest.mark.parametrize("levels,each", [(3, 4), (5, 100), (15, 3)])
def test_a_uniform_source_on_a_grid_that_fits_is_exactly_there(levels, each):
    """levels cells of `each` values: R = log2 levels, E the variance of `each` evenly spaced, s^2 / 12 (1 - 1 / each^2)."""
    s = 12**0.5 / levels
    point = coded_uniform_point(source_values("uniform", levels * each), s)
    assert point.rate == pytest.approx(math.log2(levels), rel=1e-13, abs=1e-15)
    assert point.error == pytest.approx(s * s / 12 * (1 - 1 / each**2), rel=1e-11)
    assert math.log2(levels) - shannon_rate(s * s / 12, "uniform") == pytest.approx(CUBE_LOSS_BITS, abs=1e-13)


@pytest.fixture(scope="module", params=SOURCES)
def curves(request):
    return request.param, operational_points(source_values(request.param, 10_000), (1, 2, 3, 4))


def test_no_point_beyond_the_limit_and_each_way_in_its_place(curves):
    source, points = curves
    for uniform, kmeans, coded, constrained in zip(*[iter(points)] * 4):
        assert [p.method for p in (uniform, kmeans, coded, constrained)] == [
            "uniform", "k-means", "entropy-coded uniform", "entropy-constrained"]  # fmt: skip
        for point in (uniform, kmeans, coded, constrained):
            assert point.rate > shannon_rate(point.error, source)
        assert kmeans.error < uniform.error or source == "uniform" or uniform.rate == 1
        gap = constrained.rate - shannon_rate(constrained.error, source)
        assert gap < CUBE_LOSS_BITS + 0.01, "never much more than a quarter of a bit, at any rate"
    assert kmeans.rate - shannon_rate(kmeans.error, source) > gap - 1e-3, "codes of equal length are farther away"


def test_lloyds_levels_reach_the_published_errors():
    """Max 1960, tables I and II, four digits; half a percent for the tails beyond 1 / (2 n), which are missing."""
    x = source_values("gaussian", 40_000)
    for bits, uniform, free in ((1, 0.3634, 0.3634), (2, 0.1188, 0.1175), (3, 0.03744, 0.03454)):
        assert uniform_point(x, bits).error == pytest.approx(uniform, rel=5e-3)
        assert k_means_point(x, bits).error == pytest.approx(free, rel=5e-3)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("step", [0.1, 0.5, 2.0, 9.0])
def test_the_price_is_never_worse_than_its_start(source, step):
    """The start is a grid of that step around the mean, 0: the same cells as the entropy-coded grid, with the same lengths."""
    x, price = source_values(source, 5001), step**2 * math.log(2) / 6
    grid, free = coded_uniform_point(x, step), entropy_constrained_point(x, step)
    assert free.error + price * free.rate <= (grid.error + price * grid.rate) * (1 + 1e-9)


def test_the_better_of_two_seedings():
    """One outlier: evenly spread seeds leave most levels unused. A few far values in a row: seeds by density miss them."""
    values = source_values("laplacian", 997)
    for x, winner in ((np.append(values, 1e3), 1), (np.append(0.01 * values, [10, 20, 30]), 0)):
        books = [k_means(x, 4, seeding=seeding) for seeding in ("linear", "density")]
        errors = [((x - book.levels[book.codes]) ** 2).mean() for book in books]
        assert errors[winner] < errors[1 - winner] and k_means_point(x, 2).error == errors[winner]


def test_entropy_and_sqnr_by_hand():
    assert code_entropy(np.array([], int)) == 0 and code_entropy(np.array([-5, -5])) == 0
    assert code_entropy(np.arange(8)[:, None] - 3) == 3
    assert sqnr([1.0], [1.0]) == np.inf and sqnr([0.0], [1.0]) == -np.inf and math.isnan(sqnr([0.0], [0.0]))
    assert uniform_point([2.0, 2.0], 3).error == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: shannon_error(1.0, "cauchy"), lambda: shannon_rate(0.0), lambda: differential_entropy("uniform", -1.0),
        lambda: source_values("gaussian", 0), lambda: sqnr([1.0], [1.0, 2.0]),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()
