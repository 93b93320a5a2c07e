"""The loop, its views and its optimizers: laws, exact small cases, and what lazy updates leave alone."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.ops import RowGradient
from tinycompress.optimizers import adam, adam_step, sgd
from tinycompress.recommender import Architecture, init
from tinycompress.training import IDENTITY, Epoch, View, compose, fit, supervised

SEEDS = st.integers(0, 2**32 - 1)


def quadratic(params, batch):
    return float((params["w"] ** 2).sum()), {"w": 2 * params["w"]}


def test_sgd_with_momentum_in_exact_fractions():
    p = {"w": np.array([1.0])}
    o = sgd(lr=0.5, momentum=0.5, weight_decay=0.25)
    state = o.init(p)
    w, u = Fraction(1), Fraction(0)
    for g in (1.0, -2.0, 0.5):
        o.update(p, {"w": np.array([g])}, state)
        u = Fraction(1, 2) * u + Fraction(g) + Fraction(1, 4) * w
        w -= Fraction(1, 2) * u
        assert p["w"][0] == float(w)  # all numbers are short dyadic fractions, so float64 is exact
    assert state["step"] == 3


@given(SEEDS)
def test_adam_step_equals_the_formula(seed):
    """Against (2) in float64 as the paper writes it: m^ and v^ formed first. Both sides round about 10 times: 16 ulps of each term."""
    rng = np.random.default_rng(seed)
    p, g, m = rng.standard_normal((3, 4))
    v, t, lr, b1, b2, eps = rng.random(4), int(rng.integers(1, 100)), 0.01, 0.9, 0.999, 1e-8
    m2, v2 = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
    expected = p - lr * (m2 / (1 - b1**t)) / (np.sqrt(v2 / (1 - b2**t)) + eps)
    before = p.copy()
    found, found_m, found_v = adam_step(p, g, m, v, t, lr, b1, b2, eps)
    assert (p == before).all(), "the arguments are not changed"
    # 1 - b^t cancels: its relative error is up to eps / (1 - b^t), which is why the bound carries 1 / (t (1 - b2))
    assert (np.abs(found - expected) <= 16 * np.finfo(float).eps * (np.abs(p) + np.abs(expected - p) / (1 - b2**t))).all()
    np.testing.assert_allclose(found_m, m2, rtol=8e-16, atol=1e-16)
    np.testing.assert_allclose(found_v, v2, rtol=8e-16)


def test_adam_step_counts_from_one():
    with pytest.raises(ValueError, match="t is 0"):
        adam_step(*np.zeros((4, 1)), t=0, lr=0.1)


@pytest.mark.parametrize("optimizer", [adam(0.1), adam(0.1, weight_decay=0.1), sgd(0.1), sgd(0.1, 0.9), sgd(0.1, 0.9, 0.1)])
def test_lazy_equals_dense_when_every_row_is_used_and_leaves_other_rows_alone(optimizer):
    rng = np.random.default_rng(0)
    table = rng.standard_normal((4, 3)).astype(np.float32)
    lazy, dense, some = ({"t": table.copy()} for _ in range(3))
    states = [optimizer.init(p) for p in (lazy, dense, some)]
    for _ in range(5):
        g = rng.standard_normal((4, 3)).astype(np.float32)
        optimizer.update(lazy, {"t": RowGradient(np.arange(4), g, (4, 3))}, states[0])
        optimizer.update(dense, {"t": g}, states[1])
        optimizer.update(some, {"t": RowGradient(np.array([1, 3]), g[[1, 3]], (4, 3))}, states[2])
    assert (lazy["t"] == dense["t"]).all()
    assert (some["t"][[0, 2]] == table[[0, 2]]).all() and (some["t"][[1, 3]] == dense["t"][[1, 3]]).all()


def test_a_step_touches_only_its_rows_of_a_million():
    """The work of a step is that of its batch: it reads and writes the rows it used, in a table whose other rows are never met."""
    table = np.zeros((1_000_000, 4), np.float32)
    p, o = {"t": table}, adam(0.1)
    state = o.init(p)
    rows = np.array([3, 999_999])
    o.update(p, {"t": RowGradient(rows, np.ones((2, 4), np.float32), table.shape)}, state)
    assert np.flatnonzero(p["t"].any(axis=1)).tolist() == rows.tolist()
    assert p["t"] is table, "the table is updated in place"


def test_adam_with_weight_decay_adds_it_to_the_gradient_and_counts_its_steps():
    """Decay is part of the gradient (L2), so the moments see it too: the same as a loss with weight_decay |p|^2 / 2 added."""
    rng = np.random.default_rng(2)
    decayed, plain = ({"w": np.array([1.0, -2.0, 0.5])} for _ in range(2))
    a, b = adam(0.1, weight_decay=0.25), adam(0.1)
    states = a.init(decayed), b.init(plain)
    for step in (1, 2, 3):
        g = rng.standard_normal(3)
        a.update(decayed, {"w": g}, states[0])
        b.update(plain, {"w": g + 0.25 * plain["w"]}, states[1])
        assert (decayed["w"] == plain["w"]).all() and (states[0]["v"]["w"] == states[1]["v"]["w"]).all()
        assert states[0]["step"] == step


def test_the_defaults_are_those_of_the_paper():
    p, g, m, v = np.array([1.0]), np.array([0.5]), np.array([0.25]), np.array([0.125])
    assert adam_step(p, g, m, v, 3, 0.1) == adam_step(p, g, m, v, 3, 0.1, 0.9, 0.999, 1e-8)
    for ours, said in ((adam(), adam(1e-3, 0.9, 0.999, 1e-8, 0.0)), (sgd(0.1), sgd(0.1, 0.0, 0.0))):
        moved = []
        for optimizer in (ours, said):
            params = {"w": p.copy()}
            state = optimizer.init(params)
            for step in (1.0, -0.25):
                optimizer.update(params, {"w": g * step}, state)
            moved.append(params["w"][0])
        assert moved[0] == moved[1] != 1


def test_sgd_without_momentum_keeps_no_buffers():
    assert sgd(0.1).init({"w": np.ones(3)})["velocity"] == {}


def test_a_step_is_computed_in_the_dtype_of_the_parameter():
    rng = np.random.default_rng(1)
    p, m, v = rng.random((3, 20)).astype(np.float32)
    g = rng.standard_normal(20)
    for found, expected in zip(adam_step(p, g, m, v, 5, 0.1), adam_step(p, g.astype(np.float32), m, v, 5, 0.1)):
        assert found.dtype == np.float32 and (found == expected).all()


@pytest.mark.parametrize("optimizer", [adam(0.5, 0.0, 0.0, eps=0.0), sgd(0.5, 0.5)])
def test_a_parameter_may_be_one_number(optimizer):
    p = {"scale": np.array(1.0)}
    state = optimizer.init(p)
    optimizer.update(p, {"scale": np.array(1.0)}, state)  # without memory and eps, Adam moves by lr times the sign
    assert p["scale"] == 0.5


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sgd(0), "lr is 0; it must be positive"),
        (lambda: sgd(0.1, 1.0), r"momentum is 1.0; it must be in \[0, 1\)"),
        (lambda: sgd(0.1, -0.5), r"momentum is -0.5; it must be in \[0, 1\)"),
        (lambda: adam(-1), "lr is -1; it must be positive"),
        (lambda: adam(0), "lr is 0; it must be positive"),
        (lambda: adam(0.1, 1.0), r"beta1 is 1.0; it must be in \[0, 1\)"),
        (lambda: adam(0.1, 0.9, 1.0), r"beta2 is 1.0; it must be in \[0, 1\)"),
        (lambda: adam(0.1, 0.9, -0.1), r"beta2 is -0.1; it must be in \[0, 1\)"),
    ],
)
def test_optimizers_refuse_what_cannot_work(make, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        make()


def test_views_compose_in_order_and_gradients_come_back_in_reverse():
    add = View(lambda p: {"w": p["w"] + 1}, lambda g, p: g)
    square = View(lambda p: {"w": p["w"] ** 2}, lambda g, p: {"w": 2 * p["w"] * g["w"]})
    both = compose(add, square)
    p = {"w": np.array([2.0])}
    assert both.forward(p)["w"] == 9
    assert both.backward({"w": np.array([1.0])}, p)["w"] == 6  # d (w + 1)^2 = 2 (w + 1)
    assert compose().forward(p) is p and compose(IDENTITY, square).forward(p)["w"] == 4


def test_raw_parameters_move_by_the_gradient_through_the_view():
    half = View(lambda p: {"w": p["w"] / 2}, lambda g, p: {"w": g["w"] / 2})
    fitted = fit({"w": np.array([4.0])}, lambda rng: [None], quadratic, sgd(0.5), 1, np.random.default_rng(0), view=half)
    assert fitted.params["w"] == 4 - 0.5 * (2 * 2 / 2)


def test_the_best_epoch_is_kept_and_patience_ends_training():
    quality = iter([-3.0, -1.0, -1.0, -2.0, 5.0])
    seen = []
    fitted = fit(
        {"w": np.array([1.0])}, lambda rng: [None], quadratic, sgd(0.25), 5, np.random.default_rng(0),
        validate=lambda p: next(quality), patience=2, progress=seen.append,
    )  # fmt: skip
    assert fitted.best == 2 and fitted.params["w"] == 0.25 and len(fitted.history) == 4
    assert seen == list(fitted.history) and seen[0] == Epoch(1, 1.0, -3.0)


def test_without_validation_the_last_epoch_is_kept():
    fitted = fit({"w": np.array([1.0])}, lambda rng: [None], quadratic, sgd(0.25), 3, np.random.default_rng(0))
    assert fitted.best == 3 and fitted.params["w"] == 0.125


def test_after_step_may_hold_a_parameter_and_its_buffers():
    def hold(params, state):
        params["w"][0] = 0
        for buffer in (state["m"], state["v"]):
            buffer["w"][0] = 0

    fitted = fit(
        {"w": np.array([0.0, 1.0])}, lambda rng: [None] * 4, quadratic, adam(0.1), 3, np.random.default_rng(0), after_step=hold
    )
    assert fitted.params["w"][0] == 0 and fitted.params["w"][1] < 0.1


def small_problem():
    architecture = Architecture((20, 30), (4, 4), (8,))
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 400), rng.integers(0, 30, 400)
    labels = ((users + items) % 3 == 0).astype(np.float32)

    def batches(rng):
        order = rng.permutation(400)
        for part in np.split(order, 8):
            yield (users[part], items[part]), labels[part]

    return architecture, batches


def test_same_seed_same_bits_and_the_initial_parameters_are_not_changed():
    architecture, batches = small_problem()
    start = init(np.random.default_rng(1), architecture)
    before = {k: p.copy() for k, p in start.items()}
    a, b = (fit(start, batches, supervised(architecture, "bce"), adam(0.01), 3, np.random.default_rng(5)) for _ in range(2))
    assert all((a.params[k] == b.params[k]).all() for k in start) and a.history == b.history
    assert all((start[k] == before[k]).all() for k in start)
    assert a.history[-1].loss < a.history[0].loss


@pytest.mark.parametrize("loss", ["bce", "cross_entropy", "listwise"])
def test_every_loss_trains(loss):
    architecture, batches = small_problem()
    if loss == "cross_entropy":
        architecture = Architecture(architecture.rows, architecture.columns, architecture.hidden, outputs=2)

    def shaped(rng):
        for inputs, labels in batches(rng):
            yield (
                inputs,
                labels.astype(int) if loss == "cross_entropy" else labels.reshape(10, 5) if loss == "listwise" else labels,
            )

    fitted = fit(
        init(np.random.default_rng(1), architecture),
        shaped,
        supervised(architecture, loss),
        adam(0.02),
        15,
        np.random.default_rng(5),
    )
    assert fitted.history[-1].loss < 0.8 * fitted.history[0].loss


def test_what_cannot_be_trained_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="epochs is 0"):
        fit({"w": np.ones(1)}, lambda rng: [None], quadratic, sgd(0.1), 0, rng)
    with pytest.raises(ValueError, match="no batches"):
        fit({"w": np.ones(1)}, lambda rng: [], quadratic, sgd(0.1), 1, rng)
    with pytest.raises(ValueError, match="lower the learning rate"):
        fit({"w": np.ones(1)}, lambda rng: [None], lambda p, b: (float("nan"), {"w": p["w"]}), sgd(0.1), 1, rng)
    for losses, first in (([np.inf, 0.5], "inf"), ([0.5, np.nan, np.inf, 0.25], "nan"), ([0.5, -np.inf], "-inf")):
        with pytest.raises(ValueError, match=f"^the loss is {first} in epoch 1; lower"):  # the one that went wrong, not the last
            fit({"w": np.ones(1)}, lambda rng: losses, lambda p, loss: (loss, {"w": p["w"]}), sgd(0.1), 1, rng)  # noqa: B023
    with pytest.raises(ValueError, match="no loss is named 'hinge'"):
        supervised(Architecture((1,), (1,)), "hinge")
