"""The view shows what will be stored, to the bit; its gradient is the straight-through one; sparse and dense agree."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.grids import asymmetric_grid, symmetric_grid
from tinycompress.ops import RowGradient
from tinycompress.optimizers import adam, sgd
from tinycompress.quantization import dequantize
from tinycompress.quantization_aware import add_scales, freeze, learned_grids, learned_scale_view, straight_through_view
from tinycompress.training import fit

SEEDS = st.integers(0, 2**32 - 1)
GRIDS = {
    "rows": lambda w: symmetric_grid(w, 4, axis=0),
    "tensor": lambda w: symmetric_grid(w, 4),
    "low": lambda w: asymmetric_grid(w, 2, axis=0, signed=False),
}


@pytest.mark.parametrize("kind", GRIDS)
@given(seed=SEEDS)
def test_the_view_shows_what_is_frozen_to_the_bit(kind, seed):
    w = np.random.default_rng(seed).standard_normal((5, 3)).astype(np.float32)
    params = {"table0": w, "b0": w[0]}
    seen = straight_through_view({"table0": GRIDS[kind]}).forward(params)
    frozen = freeze(params, {"table0": GRIDS[kind]}, {"table0": 4})
    assert (dequantize(frozen["table0"].codes, frozen["table0"].grid) == seen["table0"]).all()
    assert seen["b0"] is params["b0"] and frozen["b0"] is params["b0"]


@pytest.mark.parametrize("kind", GRIDS)
@given(seed=SEEDS)
def test_sparse_gradients_are_rows_of_the_dense_one(kind, seed):
    rng = np.random.default_rng(seed)
    w, g, rows = rng.standard_normal((6, 3)).astype(np.float32), rng.standard_normal((6, 3)).astype(np.float32), np.array([1, 4])
    view = straight_through_view({"w": GRIDS[kind]})
    dense = view.backward({"w": g}, {"w": w})["w"]
    sparse = view.backward({"w": RowGradient(rows, g[rows], w.shape)}, {"w": w})["w"]
    assert (sparse.rows == rows).all() and (sparse.values == dense[rows]).all()
    assert (dense == g).all(), "an absolute-maximum grid clips nothing, so the whole gradient passes"


@given(seed=SEEDS, axis=st.sampled_from([None, 0]))
def test_learned_scales_sparse_and_dense_agree(seed, axis):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((6, 3)).astype(np.float32)
    params = add_scales({"w": w}, 3, {"w": axis})
    rows, g = np.array([0, 5]), np.zeros((6, 3), np.float32)
    g[rows] = rng.standard_normal((2, 3))
    view = learned_scale_view(3, {"w": axis})
    dense = view.backward({"w": g}, params)
    sparse = view.backward({"w": RowGradient(rows, g[rows], w.shape)}, params)
    assert (sparse["w"].dense() == dense["w"]).all()
    ds = sparse["scale_w"].dense() if axis == 0 else sparse["scale_w"]
    # one float64 sum each, over at most 18 terms in two orders, then one rounding to float32
    assert np.abs(ds - dense["scale_w"]).max() <= 4 * np.finfo(np.float32).eps * np.abs(g).sum() * 3


def test_learned_scales_are_not_seen_by_the_model_and_freeze_to_what_was_shown():
    w = np.float32([[0.2, -0.9, 3.0], [1.0, 0.4, -0.1]])
    params = add_scales({"w": w, "b": w[0]}, 4, {"w": 0})
    view = learned_scale_view(4, {"w": 0})
    seen = view.forward(params)
    assert set(seen) == {"w", "b"} and params["scale_w"].shape == (2,)
    frozen = freeze(params, learned_grids(params, 4, {"w": 0}), {"w": 4})
    assert (dequantize(frozen["w"].codes, frozen["w"].grid) == seen["w"]).all()


def test_training_moves_codes_where_rounding_the_result_would_not():
    """Least squares on two coupled weights: rounding the optimum is not the best pair of codes; training under the view finds better."""
    h = np.array([[1.0, 0.9], [0.9, 1.0]])
    target = np.array([[0.45, 0.45]])
    lay = lambda w: symmetric_grid(np.array([[1.0]]), 2)  # noqa: E731  codes -1, 0, 1 of scale 1

    def objective(params, batch):
        d = params["w"] - target
        return float((d @ h * d).sum()), {"w": 2 * d @ h}

    rounded = objective(straight_through_view({"w": lay}).forward({"w": target}), None)[0]
    view = straight_through_view({"w": lay})
    fitted = fit(
        {"w": target + np.array([[0.03, 0.0]])}, lambda rng: [None], objective, sgd(0.02), 60, np.random.default_rng(0),
        view=view, validate=lambda p: -objective(p, None)[0],
    )  # fmt: skip
    assert objective(view.forward(fitted.params), None)[0] < 0.5 * rounded


def test_a_scale_that_is_too_large_is_learned_down():
    w = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    params = add_scales({"w": w}, 4, {"w": None})
    params["scale_w"] = np.float32(3.0)
    view = learned_scale_view(4, {"w": None})

    def objective(p, batch):
        d = p["w"] - w
        return float((d * d).mean()), {"w": (2 * d / d.size).astype(np.float32)}

    before = objective(view.forward(params), None)[0]
    fitted = fit(params, lambda rng: [None] * 50, objective, adam(0.02), 4, np.random.default_rng(0), view=view)
    assert 0 < fitted.params["scale_w"] < 1 and objective(view.forward(fitted.params), None)[0] < before / 5


def test_a_scale_carried_below_zero_does_not_break_the_view():
    view = learned_scale_view(4, {"w": None})
    seen = view.forward({"w": np.float32([1.0]), "scale_w": np.float32(-0.5)})
    assert np.isfinite(seen["w"]).all()


def test_missing_names_and_too_few_bits_are_refused():
    with pytest.raises(ValueError, match="no parameter 'w9'"):
        straight_through_view({"w9": GRIDS["rows"]}).forward({"w0": np.ones((1, 1), np.float32)})
    with pytest.raises(ValueError, match="no parameter 'scale_w'"):
        learned_scale_view(4, {"w": None}).forward({"w": np.ones(1, np.float32)})
    with pytest.raises(ValueError, match="bits is 1"):
        add_scales({"w": np.ones(1, np.float32)}, 1, {"w": None})
