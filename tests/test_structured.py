"""Units, columns, blocks and rows taken away for real: the small model is the masked one, within the bound of its sums."""
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.bags import Bag
from tinycompress.cost import parameters
from tinycompress.ops import embedding, embedding_bag
from tinycompress.pruning import apply_masks, neuron_mask
from tinycompress.recommender import Architecture, forward, init
from tinycompress.structured import block_mask, compact, constant_units, remove_rows, remove_units, row_mask

U32 = 2.0**-24


def gamma(n, u=U32):
    return n * u / (1 - n * u)


def model(rng, columns=(6, 4), hidden=(12, 9), join="concat", dtype=np.float32):
    shape = Architecture(rows=(7, 5), columns=columns, hidden=hidden, join=join)
    params = init(rng, shape, dtype)
    for layer in range(len(hidden) + 1):  # biases are 0 at first, and would hide a fold that is forgotten
        params[f"b{layer}"] = rng.standard_normal(params[f"b{layer}"].shape).astype(dtype)
    return params, shape


def bounded_forward(params, inputs, shape):
    """The exact logits as well as float64 knows them, and a running bound on the float32 ones.

    A sum of I products and a bias in any order: |fl(y) - y| <= gamma_{I+1} (|h| |w| + |b|); an error E that the layer's
    input already has adds |w|^T E; relu does not enlarge it.
    """
    exact = {k: v.astype(np.float64) for k, v in params.items()}
    _, layers = forward(exact, inputs, shape)
    h, error = layers[0], np.zeros_like(layers[0])
    if shape.join == "product":
        error = gamma(1) * np.abs(h)
    for layer in range(len(shape.hidden) + 1):
        w, b = np.abs(exact[f"w{layer}"]), np.abs(exact[f"b{layer}"])
        error = error @ w + gamma(len(w) + 1) * ((np.abs(h) + error) @ w + b)
        h = np.maximum(h @ exact[f"w{layer}"] + exact[f"b{layer}"], 0 if layer < len(shape.hidden) else -np.inf)
    return h[:, 0], error[:, 0]


@pytest.mark.parametrize("join", ["concat", "product"])
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), s=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_the_small_model_is_the_masked_one(join, seed, s):
    rng = np.random.default_rng(seed)
    params, shape = model(rng, columns=(4, 4) if join == "product" else (6, 4), join=join)
    masks = {name: neuron_mask(params[name], s) for name in ("w0", "w1")}
    table = neuron_mask(params["table0"], s)
    masks |= {"table0": table}
    masked = apply_masks(params, masks)
    small, small_shape = compact(masked, shape)
    assert parameters(small) < parameters(masked) or s < 0.3
    inputs = [rng.integers(0, 7, 16), rng.integers(0, 5, 16)]
    want, bound = bounded_forward(masked, inputs, shape)
    got = forward(small, inputs, small_shape)[0]
    # exact(masked) -> exact(small): the folded biases; exact(small) -> got: the small model's own sums
    _, small_bound = bounded_forward(small, inputs, small_shape)
    fold = folding_error(masked, inputs, shape)
    assert np.all(np.abs(forward(masked, inputs, shape)[0] - want) <= bound)
    assert np.all(np.abs(got - want) <= small_bound + fold)


def folding_error(params, inputs, shape):
    """What rounding the folded biases can do to the logits.

    A folded bias is a sum of at most O constants times weights and a bias, so it is off by gamma_{O+1} (|b| + |c| |w|); each
    constant c is the masked model's own h, itself off by what earlier folds carried in: E <- E |w| + that.
    """
    exact = {k: v.astype(np.float64) for k, v in params.items()}
    _, layers = forward(exact, inputs, shape)
    carried = np.zeros_like(layers[0])
    for layer, h in enumerate(layers):
        w, b = np.abs(exact[f"w{layer}"]), np.abs(exact[f"b{layer}"])
        folded = gamma(len(w) + 1) * ((np.abs(h) + carried) @ w + b) if layer else 0  # nothing is folded into b0
        carried = carried @ w + folded
    return carried[:, 0]


def test_a_fold_is_needed():
    """Without it the small model is wrong: what a unit pruned without its bias still says."""
    params, shape = model(np.random.default_rng(3))
    masked = apply_masks(params, {"w0": neuron_mask(params["w0"], 0.5)})
    kept = ~constant_units(masked, 0)
    folded = remove_units(masked, 0, kept)
    forgotten = {**folded, "b1": masked["b1"]}
    inputs = [np.arange(5), np.arange(5)]
    small = Architecture(rows=shape.rows, columns=shape.columns, hidden=(int(kept.sum()), shape.hidden[1]))
    want = forward(masked, inputs, shape)[0]
    assert np.abs(forward(folded, inputs, small)[0] - want).max() < 1e-5
    assert np.abs(forward(forgotten, inputs, small)[0] - want).max() > 1e-2


def test_compact_goes_on_until_nothing_goes():
    """Unit 0 of layer 1 is dead, and was the only reader of unit 1 of layer 0."""
    params = {
        "table0": np.array([[1.0, 5.0], [2.0, 6.0]]),
        "w0": np.array([[1.0, 1.0], [0.0, 2.0]]), "b0": np.zeros(2),
        "w1": np.array([[0.0, 1.0], [0.0, 0.0]]), "b1": np.array([3.0, 0.0]),
        "w2": np.array([[1.0], [1.0]]), "b2": np.zeros(1),
    }  # fmt: skip
    shape = Architecture(rows=(2,), columns=(2,), hidden=(2, 2))
    small, small_shape = compact(params, shape)
    assert small_shape.hidden == (1, 1) and small_shape.columns == (1,)  # then nothing reads column 1 of the table either
    codes = [np.array([0, 1])]
    assert forward(small, codes, small_shape)[0].tolist() == forward(params, codes, shape)[0].tolist() == [4.0, 5.0]
    again, same = compact(small, small_shape)
    assert same == small_shape and all(np.array_equal(again[k], small[k]) for k in small)


def test_compact_keeps_one_of_each():
    params, shape = model(np.random.default_rng(0))
    nothing = {k: np.zeros_like(v) for k, v in params.items()}
    nothing["b2"] = params["b2"]
    small, small_shape = compact(nothing, shape)
    assert small_shape.columns == (1, 1) and small_shape.hidden == (1, 1)
    assert forward(small, [np.array([0]), np.array([0])], small_shape)[0] == params["b2"][0]


def test_refusals():
    params, shape = model(np.random.default_rng(0))
    for call in (
        lambda: remove_units(params, 0, np.zeros(12, bool)),  # alive
        lambda: remove_units(params, 2, np.ones(1, bool)),  # the last layer
        lambda: remove_units(params, 0, np.ones(3, bool)),
        lambda: constant_units(params, 5),
        lambda: compact({**params, "w0": params["w0"][1:]}, shape),
        lambda: block_mask([1.0, 2.0], (1, 1), 0.5),
        lambda: block_mask(np.ones((2, 3)), (2, 2), 0.5, layout="runs"),
        lambda: block_mask(np.ones((2, 2)), (0, 2), 0.5),
        lambda: block_mask(np.ones((2, 2)), (1, 2), 0.5, pool="sum"),
        lambda: remove_rows(np.ones((3, 2)), np.ones(2, bool)),
    ):
        with pytest.raises(ValueError):
            call()


SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
BLOCKS = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=25)
@given(shape=SIZES, block=BLOCKS, s=st.floats(0, 1), seed=st.integers(0, 99))
def test_blocks_against_a_loop(shape, block, s, seed):
    (rows, columns), (high, wide) = shape, block
    w = np.random.default_rng(seed).integers(-9, 10, (rows, columns)).astype(float)
    for pool, of in (("mean", np.mean), ("max", np.max)):
        corners = [(i, j) for i in range(0, rows, high) for j in range(0, columns, wide)]
        scores = [of(np.abs(w[i : i + high, j : j + wide])) for i, j in corners]
        gone = sorted(range(len(corners)), key=lambda c: (scores[c], c))[: round(s * len(corners))]
        want = np.ones(w.shape, bool)
        for c in gone:
            i, j = corners[c]
            want[i : i + high, j : j + wide] = False
        got = block_mask(w, (high, wide), s, pool=pool)
        # means of the same numbers, summed in two orders, may differ where blocks tie
        assert np.array_equal(got, want) or (pool == "mean" and nearly_tied(scores))


def nearly_tied(scores):
    ordered = np.sort(scores)
    return bool(np.any(np.diff(ordered) <= 1e-12 * ordered[1:]))


def test_block_of_one_is_magnitude():
    assert block_mask([[3.0, -1.0], [2.0, 4.0]], (1, 1), 0.5).tolist() == [[True, False], [False, True]]
    assert block_mask(np.zeros((0, 3)), (2, 2), 0.5).shape == (0, 3)


def test_rows_by_use():
    uses = np.array([5, 0, 3, 0, 9])
    kept = row_mask(uses, columns=2, sparsity=0.4)
    assert kept[:, 0].tolist() == [True, False, True, False, True]
    table = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    masked = apply_masks({"t": table}, {"t": kept})["t"]
    small, index = remove_rows(table, kept[:, 0])
    codes = np.array([4, 1, 1, 0, 3, 2])
    assert small.shape == (4, 2) and np.array_equal(embedding(small, index[codes]), embedding(masked, codes))
    offsets = np.array([0, 2, 2, 6])
    bags = Bag(codes, offsets), Bag(index[codes], offsets)
    assert np.array_equal(embedding_bag(small, bags[1], "mean"), embedding_bag(masked, bags[0], "mean"))
    mean = table[~kept[:, 0]].mean(axis=0)
    assert np.array_equal(remove_rows(table, kept[:, 0], mean)[0][-1], mean)


def test_removed_is_faster_and_masked_is_not():
    """A layer pair of 256 -> 1024 -> 256 without three quarters of its units: a quarter of the work, more than twice as fast."""
    rng = np.random.default_rng(0)
    shape = Architecture(rows=(64,), columns=(256,), hidden=(1024, 256))
    params = init(rng, shape)
    masked = apply_masks(params, {"w0": neuron_mask(params["w0"], 0.75)})
    small, small_shape = compact(masked, shape)
    assert small_shape.hidden[0] == 256
    codes = [rng.integers(0, 64, 256)]

    def seconds(p, a):
        start = time.perf_counter()
        forward(p, codes, a)
        return time.perf_counter() - start

    pairs = [(seconds(masked, shape), seconds(small, small_shape)) for _ in range(15)]
    ratio = np.median([slow / fast for slow, fast in pairs])
    assert ratio > 1.5, f"only {ratio:.2f} times as fast"


def test_what_is_left_lies_row_by_row_in_memory():
    """Indexing columns gives an array whose rows are scattered; a look-up of such rows is slower than in the larger table."""
    params = {"table0": np.array([[1.0, 0.0, 3.0]] * 4), "w0": np.ones((3, 2)), "b0": np.zeros(2), "w1": np.ones((2, 1)), "b1": np.zeros(1)}
    params["w0"][:, 1] = 0
    small, shape = compact(params, Architecture(rows=(4,), columns=(3,), hidden=(2,)))
    assert shape.columns == (2,) and shape.hidden == (1,)
    assert all(p.flags.c_contiguous for p in small.values())
