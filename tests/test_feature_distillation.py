"""Hidden layers and relations between rows: each gradient along a random direction, each invariance, each kink by hand."""

import numpy as np
import pytest
from gradients import check_gradient

from tinycompress.dense_training import taught
from tinycompress.distillation import kd_loss_and_gradient
from tinycompress.feature_distillation import (
    angle_loss,
    angle_loss_backward,
    distance_loss,
    distance_loss_backward,
    hint_loss,
    hint_loss_backward,
)  # fmt: skip
from tinycompress.optimizers import sgd
from tinycompress.recommender import Architecture, forward, init
from tinycompress.similarity_distillation import (
    congruence_loss,
    congruence_loss_backward,
    correlation_kd_loss,
    correlation_kd_loss_backward,
    gram_loss,
    gram_loss_backward,
    neighbour_loss,
    neighbour_loss_backward,
)  # fmt: skip
from tinycompress.training import fit

RELATIONAL = {
    "distance": (distance_loss, distance_loss_backward), "angle": (angle_loss, angle_loss_backward),
    "gram": (gram_loss, gram_loss_backward), "neighbour": (neighbour_loss, neighbour_loss_backward),
}  # fmt: skip


def rows(seed, n=5, wide=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)), rng.standard_normal((n, wide)), rng


@pytest.mark.parametrize("name", RELATIONAL)
@pytest.mark.parametrize("n", [2, 3, 6])
def test_relational_gradients(name, n):
    loss, backward = RELATIONAL[name]
    f, t, rng = rows(0, n)
    check_gradient(lambda f: loss(f, t), backward(f, t), f, rng)
    f[0] *= 9  # beyond the bend of the smooth absolute value; a shorter step, because at the bend the curvature jumps
    check_gradient(lambda f: loss(f, t), backward(f, t), f, rng, step=1e-5)


@pytest.mark.parametrize("name", RELATIONAL)
def test_relations_ignore_scale_and_rotation(name):
    loss, backward = RELATIONAL[name]
    f, t, rng = rows(1)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    base = loss(f, t)
    assert base > 1e-3
    tolerance = 1e-6 if name == "neighbour" else 1e-13  # its eps of 1e-7 is not invariant
    assert abs(loss(4 * f @ turn, t) - base) <= tolerance
    assert abs(loss(f, f @ turn)) <= 1e-13 and abs(loss(4 * t, t)) <= (1e-6 if name == "neighbour" else 1e-25)
    if name in ("distance", "angle"):
        assert abs(loss(f + 8, t) - base) <= 1e-12
    # a gradient that does not scale the features: <f, df> = 0, up to that eps
    assert abs((f * backward(f, t)).sum()) <= tolerance


def test_rows_that_coincide():
    f, t, _ = rows(2)
    f[1] = f[0]
    for loss, backward in (RELATIONAL["distance"], RELATIONAL["angle"]):
        assert np.isfinite(loss(f, t)) and np.isfinite(backward(f, t)).all()
    assert distance_loss(np.ones((3, 2)), t[:3]) > 0  # no distance at all: its mean counts as 1
    assert (distance_loss_backward(np.ones((3, 2)), t[:3]) == 0).all()


def test_zero_rows():
    f, t, _ = rows(3)
    f[2] = 0
    assert np.isfinite(gram_loss_backward(f, t)).all()
    d = neighbour_loss_backward(f, t)
    assert np.isfinite(d).all()
    # f / (|f| + eps) is f / eps to first order: the loss is smooth there
    step = 1e-12 * np.random.default_rng(0).standard_normal(f.shape) * (np.arange(5) == 2)[:, None]
    moved = neighbour_loss(f + step, t) - neighbour_loss(f - step, t)
    assert abs(moved / 2 - (d * step).sum()) <= 1e-3 * abs((d * step).sum()) + 1e-15


def test_hint_gradients():
    f, t, rng = rows(4)
    x = {"f": f, "r": rng.standard_normal((3, 4))}
    d_f, d_r = hint_loss_backward(f, t, x["r"])
    check_gradient(lambda x: hint_loss(x["f"], t, x["r"]), {"f": d_f, "r": d_r}, x, rng)
    d, none = hint_loss_backward(f, t[:, :3])
    assert none is None
    check_gradient(lambda f: hint_loss(f, t[:, :3]), d, f, rng)


def test_a_projection_can_be_learned():
    f, _, rng = rows(5, 40)
    t = f @ rng.standard_normal((3, 4))
    r = np.zeros((3, 4))
    before = hint_loss(f, t, r)
    for _ in range(300):
        r -= 0.5 * hint_loss_backward(f, t, r)[1]
    assert hint_loss(f, t, r) < 1e-6 * before


def test_congruence():
    f, t, rng = rows(6, 5, 3)
    check_gradient(lambda f: congruence_loss(f, t), congruence_loss_backward(f, t), f, rng)
    order = [2, 0, 1, 4, 3]
    assert abs(congruence_loss(f[order], t[order]) - congruence_loss(f, t)) > 1e-3  # the batch's order is part of it


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("epsilon", [0.0, 1e-8, 0.5])
def test_correlation(temperature, added, epsilon):
    z_s, z_t, rng = rows(7, 5, 3)
    rest = (temperature, 1.5, 0.5, epsilon, added)
    d = correlation_kd_loss_backward(z_s, z_t, *rest)
    check_gradient(lambda z: correlation_kd_loss(z, z_t, *rest), d, z_s, rng)
    assert (abs(d.sum(axis=1)) <= 1e-14).all()


def test_a_constant_row_correlates_with_nothing():
    for classes in range(2, 40):  # for some of them the mean of equal numbers is another number
        z_t = np.random.default_rng(8).standard_normal((4, classes))
        flat = np.zeros((4, classes))
        assert correlation_kd_loss(flat, z_t, 1.0, rows=1.0, columns=0.0) == 1.0
        assert (correlation_kd_loss_backward(flat, z_t, 1.0) == 0).all()


def test_shapes_are_refused():
    f, t, _ = rows(9)
    for loss in (hint_loss, distance_loss, angle_loss, gram_loss, neighbour_loss):
        with pytest.raises(ValueError, match="same B"):
            loss(f, t[:2])
    with pytest.raises(ValueError, match="project"):
        hint_loss(f, t)
    with pytest.raises(ValueError, match="two rows"):
        congruence_loss(f[:1], f[:1])
    with pytest.raises(ValueError, match="equal"):
        correlation_kd_loss(f, t, 1.0)


# ---- the teacher ----

ARCHITECTURE = Architecture(rows=(30,), columns=(4,), hidden=(5,), outputs=3)


def taught_by(asked):
    knowledge = init(np.random.default_rng(1), ARCHITECTURE, np.float64)
    knowledge = {k: v + 1 for k, v in knowledge.items()}

    def teacher(inputs):
        asked.append(inputs[0].copy())
        return forward(knowledge, inputs, ARCHITECTURE)[0]

    return knowledge, taught(ARCHITECTURE, teacher, lambda s, t, y: kd_loss_and_gradient(s, t, 2.0))


def test_the_teacher_answers_the_batch_at_hand_however_it_is_shuffled():
    """The loss of an epoch is the same number for every order of the rows, because each row meets its own answer."""
    asked = []
    _, objective = taught_by(asked)
    student = init(np.random.default_rng(2), ARCHITECTURE, np.float64)
    codes = np.arange(30)
    whole = objective(student, ([codes], None))[0]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(30)
        parts = [objective(student, ([codes[order[i : i + 10]]], None))[0] for i in range(0, 30, 10)]
        assert abs(np.mean(parts) - whole) <= 1e-13 * whole
        assert np.array_equal(np.concatenate(asked[-3:]), codes[order])


def test_the_teacher_is_never_updated_and_the_student_comes_to_agree():
    asked = []
    knowledge, objective = taught_by(asked)
    before = {k: v.tobytes() for k, v in knowledge.items()}
    student = init(np.random.default_rng(2), ARCHITECTURE, np.float64)

    def batches(rng):
        order = rng.permutation(30)
        return [([order[i : i + 10]], None) for i in range(0, 30, 10)]

    fitted = fit(student, batches, objective, sgd(lr=0.5), 100, np.random.default_rng(3))
    assert fitted.history[-1].loss < 0.05 * fitted.history[0].loss
    assert {k: v.tobytes() for k, v in knowledge.items()} == before


def test_a_teacher_of_another_shape_is_refused():
    objective = taught(ARCHITECTURE, lambda inputs: np.zeros(3), lambda s, t, y: (0.0, s))
    with pytest.raises(ValueError, match="teacher"):
        objective(init(np.random.default_rng(0), ARCHITECTURE), ([np.arange(3)], None))
