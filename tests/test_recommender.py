"""The whole model's gradient, the fast scoring path against the plain one within its derived bound, and top-k."""

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import bag_from_lists
from tinycompress.cost import parameters
from tinycompress.losses import bce, bce_backward
from tinycompress.ops import RowGradient
from tinycompress.recommender import Architecture, backward, forward, init
from tinycompress.scoring import predictor, scores, top_k

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = [
    Architecture((5, 4), (3, 2), (4, 3), 1),
    Architecture((5, 4), (3, 2), (), 3),
    Architecture((5, 4), (3, 3), (4,), 1, join="product"),
    Architecture((5, 4), (3, 2), (4,), 1, pooling=("sum", "mean")),
]


def inputs_of(rng, architecture, n):
    second = rng.integers(0, 4, n)
    if architecture.pooling:
        second = bag_from_lists([rng.integers(0, 4, rng.integers(0, 4)).tolist() for _ in range(n)])
    return [rng.integers(0, 5, n), second]


@pytest.mark.parametrize("architecture", SHAPES)
@given(seed=SEEDS)
def test_backward_is_the_gradient_of_every_parameter(architecture, seed):
    rng = np.random.default_rng(seed)
    # Small weights and biases of +-4 keep each unit on its side of the kink: |h w| stays below 3, so the difference quotient is smooth.
    params = {name: 0.2 * rng.uniform(-1, 1, p.shape) for name, p in init(rng, architecture, np.float64).items()}
    for layer in range(len(architecture.hidden)):
        params[f"b{layer}"] = rng.choice([-4.0, 4.0], params[f"b{layer}"].shape)
    inputs = inputs_of(rng, architecture, 6)
    logits, layers = forward(params, inputs, architecture)
    assert all((np.abs(np.abs(h[h > 0]) - 4) < 3.5).all() for h in layers[1:])
    dlogits = rng.standard_normal(logits.shape)
    grads = backward(dlogits, layers, params, inputs, architecture)
    dense = {k: g.dense() if isinstance(g, RowGradient) else g for k, g in grads.items()}
    check_gradient(lambda p: float((forward(p, inputs, architecture)[0] * dlogits).sum()), dense, params, rng, tolerance=1e-7)


@pytest.mark.parametrize("architecture", SHAPES)
@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_fast_scoring_equals_forward_within_its_bound(architecture, n):
    rng = np.random.default_rng(n)
    params = init(rng, architecture)
    params["b0"] += rng.standard_normal(params["b0"].shape).astype(np.float32)
    inputs = inputs_of(rng, architecture, n)
    expected = forward(params, inputs, architecture)[0]
    for block, rows in [(1024, np.inf), (3, np.inf), (1024, 0)]:
        found = predictor(params, architecture, expected=rows, block=block)(inputs)
        assert found.shape == expected.shape and found.dtype == np.float32
        # Run the same layers on magnitudes: an upper bound M of sum |h||w| + |b| through all layers. Each layer adds at most
        # 2 gamma_{I+1} of it and passes earlier differences on, so (layers) 2 gamma_{I+1} M bounds the whole.
        wide = Architecture(
            architecture.rows,
            architecture.columns,
            architecture.hidden,
            architecture.outputs,
            architecture.pooling,
            architecture.join,
        )
        magnitude = forward({k: np.abs(p).astype(np.float64) for k, p in params.items()}, inputs, wide)[0]
        terms = max(architecture.widths) + 1 + 4
        unit = np.finfo(np.float32).eps / 2
        gamma = terms * unit / (1 - terms * unit)
        assert (np.abs(found - expected) <= 2 * gamma * (len(architecture.hidden) + 2) * magnitude).all()


def test_scores_of_classes_are_expected_gains():
    rng = np.random.default_rng(0)
    architecture = SHAPES[1]
    params, inputs = init(rng, architecture, np.float64), inputs_of(rng, SHAPES[1], 5)
    logits = forward(params, inputs, architecture)[0]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for gains in [(), (0.0, 5.0, 1.0)]:
        np.testing.assert_allclose(scores(params, inputs, architecture, gains), p @ np.array(gains or (0, 1, 2.0)), rtol=1e-14)


@given(SEEDS, st.integers(0, 60), st.integers(0, 70))
def test_top_k_is_the_stable_sort(seed, length, k):
    s = np.random.default_rng(seed).integers(0, 6, (3, length)).astype(float)
    assert top_k(s, k).tolist() == np.argsort(-s, axis=1, kind="stable")[:, :k].tolist()


def test_top_k_of_a_long_row_with_few_ties():
    s = np.random.default_rng(1).permutation(5000).astype(np.float32)
    s[[7, 4000]] = 9000
    assert top_k(s, 10).tolist() == np.argsort(-s, kind="stable")[:10].tolist()
    assert top_k(np.stack([s, -s]), 3).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(rows=(5,), columns=(2, 2)), "give one of each per field"),
        (dict(rows=(), columns=()), "give one of each per field"),
        (dict(rows=(5,), columns=(0,)), "at least 1"),
        (dict(rows=(5, 5), columns=(2, 3), join="product"), "equally wide"),
        (dict(rows=(5,), columns=(2,), join="sum"), "use 'concat' or 'product'"),
        (dict(rows=(5,), columns=(2,), pooling=("max",)), "pooling"),
        (dict(rows=(5,), columns=(2,), pooling=("sum", "sum")), "pooling"),
    ],
)
def test_impossible_architectures_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Architecture(**arguments)


def test_wrong_number_of_inputs_and_negative_k_are_refused():
    params = init(np.random.default_rng(0), SHAPES[0])
    with pytest.raises(ValueError, match="1 inputs for 2 fields"):
        forward(params, [np.array([0])], SHAPES[0])
    with pytest.raises(ValueError, match="k is -1"):
        top_k(np.zeros((1, 2)), -1)


def test_same_seed_same_bits_and_stated_spread():
    a, b = (init(np.random.default_rng(4), Architecture((2000, 10), (8, 8))) for _ in range(2))
    assert all((a[k] == b[k]).all() and a[k].dtype == np.float32 for k in a)
    assert parameters(a) == 2010 * 8 + 16 * 32 + 32 + 32 * 16 + 16 + 16 * 8 + 8 + 8 + 1
    n = a["table0"].size  # the standard deviation of n normals is off by 1 / sqrt(2 n) of itself, one sigma
    assert abs(a["table0"].std() / 0.03 - 1) < 5 / np.sqrt(2 * n)


def test_a_loss_goes_down_along_the_gradient():
    rng = np.random.default_rng(2)
    architecture = SHAPES[0]
    params, inputs, labels = (
        init(rng, architecture, np.float64),
        inputs_of(rng, SHAPES[0], 8),
        rng.integers(0, 2, 8).astype(float),
    )
    logits, layers = forward(params, inputs, architecture)
    grads = backward(bce_backward(logits, labels), layers, params, inputs, architecture)
    moved = {k: p - 1e-3 * (grads[k].dense() if isinstance(grads[k], RowGradient) else grads[k]) for k, p in params.items()}
    assert bce(forward(moved, inputs, architecture)[0], labels) < bce(logits, labels)
