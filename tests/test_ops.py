"""Each operation against its formula, each backward against a random projection in float64, and the kinks by hand."""

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import ops
from tinycompress.bags import bag_from_lists

SEEDS = st.integers(0, 2**32 - 1)


def projected(f, gradient, x, rng):
    """Check `gradient(dy)` of y = f(x) through the scalar sum(dy * f(x))."""
    dy = rng.standard_normal(f(x).shape)
    check_gradient(lambda v: float((dy * f(v)).sum()), gradient(dy), x, rng)


@given(SEEDS, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_linear_backward(seed, rows, inputs, outputs):
    rng = np.random.default_rng(seed)
    args = {
        "x": rng.standard_normal((rows, inputs)),
        "w": rng.standard_normal((inputs, outputs)),
        "b": rng.standard_normal(outputs),
    }
    dy = rng.standard_normal((rows, outputs))
    found = dict(zip("xwb", ops.linear_backward(dy, args["x"], args["w"])))
    check_gradient(lambda a: float((dy * ops.linear(a["x"], a["w"], a["b"])).sum()), found, args, rng)


@given(SEEDS)
def test_relu_backward_away_from_the_kink(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, 4))
    x += np.sign(x) * 0.1  # the difference quotient must not straddle 0
    projected(ops.relu, lambda dy: ops.relu_backward(dy, x), x, rng)


def test_relu_at_its_kink_and_beyond():
    x = np.array([-np.inf, -0.0, 0.0, np.inf, np.nan])
    np.testing.assert_array_equal(ops.relu(x), [0, 0, 0, np.inf, np.nan])
    assert ops.relu_backward(np.ones(3), np.array([-1e-300, 0.0, 1e-300])).tolist() == [0, 0, 1]


@given(SEEDS)
def test_sigmoid_backward(seed):
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal((2, 5))
    projected(ops.sigmoid, lambda dy: ops.sigmoid_backward(dy, ops.sigmoid(x)), x, rng)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_at_the_ends(dtype):
    y = ops.sigmoid(np.array([-np.inf, -700, 0, 40, np.inf], dtype))
    assert y.dtype == dtype and y[0] == 0 and y[2] == 0.5 and y[4] == 1
    assert y[1] == (np.exp(-700.0) if dtype == np.float64 else 0)  # 1 + exp(-700) rounds to 1; float32 has nothing that small


@given(SEEDS, st.sampled_from([0.25, 1.0, 4.0]))
def test_softmax_backward(seed, temperature):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((3, 4))
    projected(
        lambda v: ops.softmax(v, temperature),
        lambda dy: ops.softmax_backward(dy, ops.softmax(z, temperature), temperature),
        z,
        rng,
    )


@given(SEEDS, st.sampled_from([np.float32, np.float64]), st.floats(0.01, 1e4), st.floats(0, 1e4))
def test_softmax_is_a_distribution_at_every_temperature(seed, dtype, temperature, size):
    with np.errstate(under="ignore"):
        z = (np.random.default_rng(seed).standard_normal((4, 7)) * size).astype(dtype)
    p = ops.softmax(z, temperature)
    # C terms rounded once each, and a division: C + 1 units of rounding at the most
    assert np.abs(p.sum(axis=1, dtype=np.float64) - 1).max() <= 8 * np.finfo(dtype).eps
    assert (p >= 0).all() and p.dtype == dtype


def test_softmax_refuses_a_temperature_of_zero_and_takes_masked_logits():
    with pytest.raises(ValueError, match="temperature is 0"):
        ops.softmax(np.zeros((1, 2)), 0)
    assert ops.softmax(np.array([[0.0, -np.inf]])).tolist() == [[1, 0]]
    for shape in ((0, 3), (2, 0)):
        assert ops.softmax(np.zeros(shape)).shape == shape
    assert ops.softmax(np.array([[0.0, -1e300]]), 1e-10).tolist() == [[1, 0]]  # -1e300 / T overflows, to the right side


def test_softmax_is_over_the_last_axis_of_any_number():
    z = np.random.default_rng(0).standard_normal((2, 3, 4))
    p, dy = ops.softmax(z, 2.0), np.random.default_rng(1).standard_normal((2, 3, 4))
    for i, j in np.ndindex(2, 3):
        assert (ops.softmax(z[i, j], 2.0) == p[i, j]).all()
        assert (ops.softmax_backward(dy[i, j], p[i, j], 2.0) == ops.softmax_backward(dy, p, 2.0)[i, j]).all()


@given(SEEDS, st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_embedding_backward(seed, codes):
    rng = np.random.default_rng(seed)
    table, codes = rng.standard_normal((5, 3)), np.array(codes)
    projected(lambda t: ops.embedding(t, codes), lambda dy: ops.embedding_backward(dy, codes, 5).dense(), table, rng)


@given(SEEDS, st.lists(st.lists(st.integers(0, 4), max_size=4), min_size=1, max_size=5), st.sampled_from(["sum", "mean"]))
def test_embedding_bag_and_backward(seed, lists, pooling):
    rng = np.random.default_rng(seed)
    table, bag = rng.standard_normal((5, 3)), bag_from_lists(lists)
    rows = [
        table[codes].sum(axis=0) / (max(len(codes), 1) if pooling == "mean" else 1) if codes else np.zeros(3) for codes in lists
    ]
    # sums of at most 4 terms, in two orders: 2 gamma_5 of the sum of magnitudes
    bound = 10 * np.finfo(float).eps * np.array([np.abs(table[codes]).sum(axis=0) if codes else np.zeros(3) for codes in lists])
    assert (np.abs(ops.embedding_bag(table, bag, pooling) - rows) <= bound).all()
    projected(
        lambda t: ops.embedding_bag(t, bag, pooling),
        lambda dy: ops.embedding_bag_backward(dy, bag, 5, pooling).dense(),
        table,
        rng,
    )


def test_row_gradient_rows_are_sorted_and_distinct_in_tables_beyond_16_bits():
    codes = np.array([70_000, 3, 70_000, 65_536 + 3])
    g = ops.embedding_backward(np.array([[1.0], [2.0], [4.0], [8.0]]), codes, 70_001)
    assert g.rows.tolist() == [3, 65_539, 70_000] and g.values.ravel().tolist() == [2, 8, 5]
    first = ops.embedding_backward(np.array([[1.0], [2.0]]), np.array([65_536, 3]), 65_537)  # 65,536 is 0 in 16 bits
    assert first.rows.tolist() == [3, 65_536] and first.values.ravel().tolist() == [2, 1]


def test_gradients_of_tables_keep_the_dtype():
    dy = np.ones((3, 2), np.float32)
    for g in (
        ops.embedding_backward(dy, np.array([1, 0, 1]), 4),
        ops.embedding_bag_backward(dy, bag_from_lists([[0], [1, 1], [2]]), 4, "mean"),
    ):
        assert g.values.dtype == np.float32 and g.dense().dtype == np.float32
    assert [g.dtype for g in ops.linear_backward(dy, dy, np.eye(2, dtype=np.float32))] == [np.float32] * 3


def test_a_bag_is_summed_unless_its_mean_is_asked_for():
    table, bag = np.array([[1.0], [3.0]]), bag_from_lists([[0, 1], [1, 1]])
    assert ops.embedding_bag(table, bag).tolist() == [[4], [6]]
    assert ops.embedding_bag_backward(np.array([[1.0], [8.0]]), bag, 2).dense().tolist() == [[1], [17]]


@pytest.mark.parametrize("codes", [[-1], [2], [0, 5], [-1, 0]])
def test_a_code_without_a_row_is_refused(codes):
    with pytest.raises(ValueError, match="the table has rows 0 to 1"):
        ops.embedding(np.zeros((2, 1)), np.array(codes))


def test_a_code_in_a_bag_without_a_row_is_refused():
    with pytest.raises(ValueError, match="codes run from 0 to 2; the table has rows 0 to 1"):
        ops.embedding_bag(np.zeros((2, 1)), bag_from_lists([[0], [2, 1]]))


def test_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling is 'max'"):
        ops.embedding_bag(np.zeros((2, 1)), bag_from_lists([[0]]), "max")


def test_embedding_of_nothing():
    assert ops.embedding(np.zeros((2, 3)), np.zeros(0, np.int64)).shape == (0, 3)
    assert ops.embedding_backward(np.zeros((0, 3)), np.zeros(0, np.int64), 2).dense().shape == (2, 3)
