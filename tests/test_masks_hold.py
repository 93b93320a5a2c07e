"""A pruned weight stays 0: through SGD, momentum, Adam, weight decay, sparse gradients of tables, and quantization."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import weights
from tinycompress.grids import symmetric_grid
from tinycompress.masking import hold_masks, is_held, mask_gradients, mask_view
from tinycompress.ops import RowGradient
from tinycompress.optimizers import adam, sgd
from tinycompress.pruning import apply_masks, magnitude_mask
from tinycompress.quantization import dequantize, fake_quantize, quantize
from tinycompress.recommender import Architecture, init
from tinycompress.training import View, compose, fit, supervised

OPTIMIZERS = {
    "sgd": sgd(0.1),
    "momentum": sgd(0.1, momentum=0.9),
    "momentum, decay": sgd(0.1, momentum=0.9, weight_decay=0.1),
    "adam": adam(0.1),
    "adam, decay": adam(0.1, weight_decay=0.1),
}


def pruned_and_trained(policy, optimizer, steps, gradient=1.0):
    """w = (1, .1), one step before pruning, then the second weight is pruned under a policy; what the model sees, and w."""
    w, mask = {"w": np.array([1.0, 0.1])}, {"w": np.array([True, False])}
    state = optimizer.init(w)
    g = {"w": np.full(2, gradient)}
    optimizer.update(w, g, state)
    if policy != "view":
        w = apply_masks(w, mask)
    hold = hold_masks(mask, buffers=policy == "hold")
    for _ in range(steps):
        optimizer.update(w, mask_gradients(g, mask) if policy in ("view", "gradient only") else g, state)
        if policy.startswith("hold"):
            hold(w, state)
    return (mask_view(mask).forward(w)["w"][1] if policy == "view" else w["w"][1]), w["w"][1], state


# The table at the head of masking, from the numbers of a float32 run of torch 2.13.0, rounded as there.
POLICIES = [
    ("view", 1, 0, -0.09),
    ("view", 3, 0, -0.244),
    ("none", 1, -0.19, -0.19),
    ("none", 3, -0.805, -0.805),
    ("gradient only", 1, -0.09, -0.09),
    ("gradient only", 3, -0.244, -0.244),
    ("hold, buffers left", 3, 0, 0),
    ("hold", 3, 0, 0),
]


@pytest.mark.parametrize("policy, steps, seen, hidden", POLICIES)
def test_policies(policy, steps, seen, hidden):
    model, raw, state = pruned_and_trained(policy, OPTIMIZERS["momentum"], steps)
    assert round(float(model), 3) == seen and round(float(raw), 3) == hidden
    if policy == "hold":
        assert state["velocity"]["w"][1] == 0
    if policy == "hold, buffers left":
        assert round(float(state["velocity"]["w"][1]), 3) == 3.439  # 1, then .9 u + 1 three times: it waits


def test_without_momentum_a_masked_gradient_is_enough():
    assert pruned_and_trained("gradient only", sgd(0.1), 5)[1] == 0
    assert abs(pruned_and_trained("gradient only", adam(0.1), 1)[1]) > 0.05  # Adam's m remembers


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=20)
@given(w=weights(min_size=2, max_size=8, infinities=False, dtypes=("float64",)), steps=st.integers(1, 4), seed=st.integers(0, 99))
def test_held_through_every_optimizer(name, w, steps, seed):
    rng = np.random.default_rng(seed)
    w = {"w": np.clip(w, -1e3, 1e3), "free": np.ones(2)}
    mask = {"w": rng.random(w["w"].size) < 0.5}
    state = OPTIMIZERS[name].init(w)
    hold = hold_masks(mask)
    hold(w, state)
    with np.errstate(under="ignore"):
        for _ in range(steps):
            OPTIMIZERS[name].update(w, {"w": rng.standard_normal(w["w"].size), "free": np.ones(2)}, state)
            hold(w, state)
            assert is_held(w, mask) and not np.signbit(w["w"][~mask["w"]]).any()
    for buffers in state.values():
        if isinstance(buffers, dict) and buffers:
            assert not buffers["w"][~mask["w"]].any() and np.all(buffers["free"] != 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=20)
@given(seed=st.integers(0, 99))
def test_from_a_masked_start_the_view_alone_moves_nothing(name, seed):
    """Weights and buffers 0, gradient 0: each optimizer leaves the raw weight exactly where it is."""
    rng = np.random.default_rng(seed)
    mask = {"w": rng.random(6) < 0.5}
    view = mask_view(mask)
    w = view.forward({"w": rng.standard_normal(6)})
    state = OPTIMIZERS[name].init(w)
    for _ in range(3):
        OPTIMIZERS[name].update(w, view.backward({"w": rng.standard_normal(6)}, w), state)
    assert is_held(w, mask) and np.all(w["w"][mask["w"]] != 0)


def test_row_gradients_are_masked_row_by_row():
    mask = np.array([[True, False], [False, True], [True, True]])
    g = RowGradient(np.array([0, 2]), np.array([[1.0, 2.0], [3.0, 4.0]]), (3, 2))
    got = mask_gradients({"table0": g}, {"table0": mask})["table0"]
    assert np.array_equal(got.dense(), np.where(mask, g.dense(), 0)) and np.array_equal(got.rows, g.rows)


@pytest.mark.parametrize("optimizer", [sgd(0.05, momentum=0.9, weight_decay=0.01), adam(0.01, weight_decay=0.01)])
def test_a_recommender_trains_under_masks(optimizer):
    """With a view, and with the masks put back after each step: pruned stays pruned, the rest learns, and both agree."""
    rng = np.random.default_rng(0)
    shape = Architecture(rows=(20, 15), columns=(4, 4), hidden=(8,))
    params = init(rng, shape)
    masks = {k: magnitude_mask(params[k], 0.5) for k in ("table0", "table1", "w0", "w1")}
    users, items = rng.integers(0, 20, 64), rng.integers(0, 15, 64)
    labels = ((users + items) % 2).astype(np.float32)
    batch = ([users, items], labels)
    objective = supervised(shape, "bce")
    common = (lambda rng: [batch], objective, optimizer, 6, np.random.default_rng(1))
    viewed = fit(apply_masks(params, masks), *common, view=mask_view(masks))
    held = fit(apply_masks(params, masks), *common, after_step=hold_masks(masks))
    for done in (viewed, held):
        assert is_held(done.params, masks) and done.history[-1].loss < done.history[0].loss
    # a gradient behind the mask changes nothing that is kept: both ways train the same model, to the bit
    assert all(np.array_equal(viewed.params[k], held.params[k]) for k in params)
    free = fit(apply_masks(params, masks), *common)
    assert not is_held(free.params, masks)


@settings(max_examples=20)
@given(w=weights(min_size=1, infinities=False, dtypes=("float32",)), bits=st.sampled_from([2, 4, 8]), s=st.floats(0, 1))
def test_pruned_zeros_survive_quantization(w, bits, s):
    w = np.clip(w, -1e6, 1e6)
    kept = magnitude_mask(w, s)
    pruned = apply_masks({"w": w}, {"w": kept})["w"]
    grid = symmetric_grid(pruned, bits)
    with np.errstate(under="ignore"):
        assert not dequantize(quantize(pruned, grid), grid)[~kept].any()
        assert not fake_quantize(pruned, grid)[~kept].any()


def test_views_compose_with_quantization():
    fake = View(lambda p: {k: fake_quantize(v, symmetric_grid(v, 4)) for k, v in p.items()}, lambda g, p: g)
    mask = {"w": np.array([True, False, True])}
    both = compose(mask_view(mask), fake)
    w = {"w": np.array([1.0, 0.9, -0.3], np.float32)}
    assert both.forward(w)["w"][1] == 0 and both.backward({"w": np.ones(3)}, w)["w"].tolist() == [1, 0, 1]


def test_refusals():
    view, w = mask_view({"w": np.array([True, False])}), {"w": np.ones(3)}
    for call in (
        lambda: view.forward(w),
        lambda: view.backward(w, w),
        lambda: mask_view({"v": np.array([True])}).forward(w),
        lambda: hold_masks({"w": np.array([True, False])})(w, {}),
        lambda: hold_masks({"v": np.array([True])})(w, {}),
        lambda: hold_masks({"w": np.array([0.5, 1.0, 1.0])}),
        lambda: is_held(w, {"w": np.array([True])}),
    ):
        with pytest.raises(ValueError):
            call()
    assert not is_held({"w": np.array([np.nan])}, {"w": np.array([False])})


def test_rows_held_together_learn_as_one():
    """`tied` against the dense chain rule: d held = P^T d seen, P (V, V') with a 1 where a row has its place."""
    from tinycompress.masking import only, tied
    from tinycompress.ops import RowGradient

    rng = np.random.default_rng(0)
    places = np.array([0, 2, 1, 2, 2])
    held, seen = rng.standard_normal((3, 2)), np.eye(3)[places]
    view = tied({"table0": places})
    assert (view.forward({"table0": held, "w0": held})["table0"] == seen @ held).all()
    used = RowGradient(np.array([1, 2, 4]), rng.integers(-8, 8, (3, 2)) / 4, (5, 2))
    back = view.backward({"table0": used, "w0": held}, {"table0": held})
    assert (back["table0"].dense() == seen.T @ used.dense()).all() and back["table0"].shape == (3, 2)
    assert (np.diff(back["table0"].rows) > 0).all() and back["w0"] is held
    assert set(only(["w0"]).backward({"w0": 1, "b0": 2}, {})) == {"w0"}
