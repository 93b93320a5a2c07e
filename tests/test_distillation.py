"""The distillation loss: right to float32's last bits at any temperature, its gradient, its limits, its identities."""

import math

import numpy as np
import pytest
from distillation_oracle import divergence
from distillation_oracle import kd_loss as exact_kd_loss
from gradients import check_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import logit_pairs, temperatures

from tinycompress import conventions, distillation, losses
from tinycompress.binary_distillation import soft_clicks
from tinycompress.conventions import SoftTargetRule
from tinycompress.decoupled_distillation import decoupled_kd_loss, decoupled_kd_loss_backward, raise_labels
from tinycompress.distillation import (
    binary_kd_loss,
    binary_kd_loss_backward,
    distillation_loss,
    distillation_loss_backward,
    kd_loss,
    kd_loss_and_gradient,
    kd_loss_backward,
    smooth_labels,
    split_alpha,
)  # fmt: skip
from tinycompress.divergences import DIVERGENCES
from tinycompress.ops import sigmoid, softmax
from tinycompress.soft_targets import BLOCK, kl_to_targets

Z_S, Z_T, Y = np.array([[1.0, 0, -1], [0.5, 0.5, 0]]), np.array([[2.0, 0, -2], [0, 1, -1]]), np.array([0, 1])
SOFTMAX_KINDS = ("forward_kl", "reverse_kl", "jensen_shannon", "cross_entropy", "squared_probabilities", "kl_of_probabilities")
TINY = 2.0**-126  # the smallest normal float32: below it there is no relative error to speak of


def pairs(seed, n=4, c=3, spread=2.0):
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((n, c)), spread * rng.standard_normal((n, c)), rng.integers(0, c, n), rng


# ---- accuracy, against 60-digit arithmetic ----


@settings(max_examples=150)
@given(logit_pairs(), temperatures())
def test_float32_loss_is_right_at_any_temperature(logits, temperature):
    """The bound of kd_loss, 2^-22 + 2^-51 Z sqrt(2 / L'), is below 1e-6 for Z <= 1e4 while L' > 1e-10; below that (2) rules."""
    student, teacher = logits
    exact = float(exact_kd_loss(student, teacher, temperature))
    assert abs(kd_loss(student, teacher, temperature) - exact) <= 1e-6 * exact + TINY


@pytest.mark.parametrize("temperature", [0.01, 1.0, 4.0, 30.0, 1e3, 1e4])
@pytest.mark.parametrize("classes", [3, 200])
def test_float32_loss_of_many_classes(temperature, classes):
    """Both layouts, and at each temperature the path that the rows of this size take."""
    student, teacher = (z.astype(np.float32) for z in pairs(1, 2, classes)[:2])
    exact = float(exact_kd_loss(student, teacher, temperature))
    assert abs(kd_loss(student, teacher, temperature) - exact) <= 2.0**-22 * exact


@settings(max_examples=80)
@given(logit_pairs(max_rows=1), temperatures())
def test_float32_gradient_keeps_its_digits(logits, temperature):
    student, teacher = logits
    ours = kd_loss_backward(student, teacher, temperature)[0]
    assert ours.dtype == np.float32
    with np.errstate(under="ignore"):  # exact slopes may be subnormal, and products with them 0
        exact = np.array([float(g) for g in divergence(student[0], teacher[0], temperature)[1]]) * temperature
        # rounded once (2^-24 of each), after p_t and exp(d) were off by at most 4 Z 2^-53 <= 4e4 2^-53 of the largest
        assert (abs(ours - exact) <= 2.0**-23 * abs(exact) + 2.0**-37 * abs(exact).max() + TINY).all()


@settings(max_examples=80)
@given(logit_pairs(dtypes=("float64",), max_rows=1, max_classes=4), temperatures())
@pytest.mark.parametrize("kind", ["forward_kl", "reverse_kl", "jensen_shannon", "cross_entropy"])
def test_divergences_in_float64(kind, logits, temperature):
    """float64 logits of size Z T are themselves only good to Z 2^-53, and a divergence D moves by sqrt(2 D) of that."""
    student, teacher = logits
    exact, slope = divergence(student[0], teacher[0], temperature, kind)
    rows, ours = DIVERGENCES[kind](student, teacher, temperature)
    exact, slope = float(exact), np.array([float(g) for g in slope])
    size = max(abs(student).max(), abs(teacher).max()) / temperature
    noise = 8 * (size + 1) * 2.0**-53
    # an exponential below 1e-308 counts as 0, and JS and its slope are computed through p_s + p_t
    assert abs(rows[0] - exact) <= 2.0**-37 * exact + noise * math.sqrt(2 * exact) + noise**2 + 1e-300
    assert (abs(ours[0] - slope) <= 2.0**-37 * abs(slope).max() + 4 * noise * (1 + abs(math.log(noise)))).all()


@pytest.mark.parametrize("exponent", range(-30, -1, 4))
def test_close_rows_keep_their_digits(exponent):
    """Here d is exact, so that only its function is judged: K is d^2 / 6 and smaller, and still good to a few roundings."""
    student, teacher = np.array([[1.0, 0.0, -0.5]]) * 2.0**exponent, np.array([[0.0, 0.0, 0.5]]) * 2.0**exponent
    for kind in ("forward_kl", "reverse_kl", "jensen_shannon"):
        exact = float(divergence(student[0], teacher[0], 1.0, kind)[0])
        assert abs(DIVERGENCES[kind](student, teacher, 1.0)[0][0] - exact) <= 64 * 2.0**-53 * exact


def test_rows_far_apart_in_one_block():
    """The block's maximum is another row's: what is small beside it must not count as nothing beside its own row."""
    teacher = np.array([[0.0, 0.0, 0.0], [-450.0, -750.0, -451.0], [-735.0, -735.5, -735.25]])
    student = np.array([[0.0, 1.0, 0.0], [-450.0, -151.0, -455.0], [-735.0, -736.0, -733.0]])
    loss, gradient = kd_loss_and_gradient(student, teacher, 1.0, "sum")
    alone = [kd_loss_and_gradient(s[None], t[None], 1.0, "sum") for s, t in zip(student, teacher, strict=True)]
    assert math.isclose(loss, sum(a[0] for a in alone), rel_tol=1e-12)
    assert np.allclose(gradient, np.concatenate([a[1] for a in alone]), rtol=0, atol=1e-12)
    assert math.isclose(loss, 3 * float(exact_kd_loss(student, teacher, 1.0)), rel_tol=1e-12)


def test_huge_float32_logits_stay_finite():
    rng = np.random.default_rng(0)
    student, teacher = (rng.choice([-1e4, 0, 1, 1e4], (50, 6)).astype(np.float32) for _ in range(2))
    for temperature in (0.01, 1.0, 1e4):
        for kind in SOFTMAX_KINDS:
            loss, gradient = kd_loss_and_gradient(student, teacher, temperature, None, SoftTargetRule(kind))
            assert math.isfinite(loss) and np.isfinite(gradient).all()


def test_the_loss_at_a_large_temperature():
    student, teacher = np.array([[3, -1, 1]], np.float32), np.array([[1, 2, 0]], np.float32)
    measured = {1.0: 2.151561, 4.0: 2.376585, 20.0: 2.348394, 1e4: 2.333367}  # not monotone in T
    for temperature, value in measured.items():
        assert round(kd_loss(student, teacher, temperature), 6) == value


# ---- laws ----


@given(logit_pairs(dtypes=("float32", "float64")), temperatures())
def test_never_negative_and_zero_at_equality(logits, temperature):
    student, teacher = logits
    for kind in ("forward_kl", "reverse_kl", "jensen_shannon"):
        rows, slope = DIVERGENCES[kind](student, teacher, temperature)
        assert (rows >= 0).all()
        assert (abs(slope.sum(axis=1)) <= 2.0**-45 * abs(slope).sum(axis=1) + 1e-15).all()
        rows, slope = DIVERGENCES[kind](teacher, teacher, temperature)
        assert (rows == 0).all() and (slope == 0).all()


@given(logit_pairs(limit=64.0), temperatures(), st.integers(-64, 64))
def test_a_common_shift_changes_nothing(logits, temperature, shift):
    student, teacher = (np.round(z * 8) / 8 for z in logits)  # so that the shifted logits are exact
    a = kd_loss_and_gradient(student, teacher, temperature)
    b = kd_loss_and_gradient(student + np.float32(shift), teacher - np.float32(shift), temperature)
    assert abs(a[0] - b[0]) <= 2.0**-21 * a[0] + TINY
    assert (abs(a[1] - b[1]) <= 2.0**-22 * abs(a[1]).max() + TINY).all()


def test_gradient_rows_sum_to_zero():
    student, teacher, labels, _ = pairs(2, 50, 7)
    for gradient in (
        kd_loss_backward(student, teacher, 3.0),
        distillation_loss_backward(student, teacher, labels, 3.0, 0.5, 0.5),
        decoupled_kd_loss_backward(student, teacher, labels, 3.0),
    ):
        assert (abs(gradient.sum(axis=1)) <= 16 * 2.0**-53 * abs(gradient).sum(axis=1)).all()


@pytest.mark.parametrize("kind", list(DIVERGENCES))
@pytest.mark.parametrize("factor", ["squared", "linear", "one"])
@pytest.mark.parametrize("reduction", ["batchmean", "mean", "sum"])
def test_gradients(kind, factor, reduction):
    student, teacher, _, rng = pairs(3)
    for temperature in (0.5, 1.0, 5.0):
        rule = SoftTargetRule(kind, factor, reduction)
        gradient = kd_loss_backward(student, teacher, temperature, None, rule)
        check_gradient(lambda z: kd_loss(z, teacher, temperature, None, rule), gradient, student, rng)  # noqa: B023


@pytest.mark.parametrize("convention", ["hinton", "torchdistill.KDLoss", "KD_Lib.VanillaKD", "torch.kl_div.sum"])
@pytest.mark.parametrize("hard", [0.0, 0.3])
def test_joint_gradients(convention, hard):
    student, teacher, labels, rng = pairs(4)
    rest = (labels, 2.0, 0.7, hard, None, convention)
    gradient = distillation_loss_backward(student, teacher, *rest)
    check_gradient(lambda z: distillation_loss(z, teacher, *rest), gradient, student, rng)


def test_reductions_and_factors_are_exact_multiples():
    student, teacher, _, _ = pairs(5, 4, 8)
    base = kd_loss(student, teacher, 4.0)
    assert kd_loss(student, teacher, 4.0, "sum") == 4 * base  # powers of two: no rounding
    assert kd_loss(student, teacher, 4.0, "mean") == base / 8
    assert kd_loss(student, teacher, 4.0, convention=SoftTargetRule(temperature_factor="one")) == base / 16
    assert kd_loss(student, teacher, 4.0, convention=SoftTargetRule(temperature_factor="linear")) == base / 4


# ---- limits ----


@pytest.mark.parametrize("temperature", [1e3, 1e5])
def test_hot_limit_is_centred_logit_matching(temperature):
    """With R, S the ranges of z_s - z_t and z_t: K differs from half the variance of d under p_t by at most
    (R / T)^3 exp(R / T) / 6, and that variance from the one under equal weights by a factor within exp(S / T): together
    (R^3 / 6 + S R^2 / 2) exp((R + S) / T) / T."""
    student, teacher, _, _ = pairs(6, 1, 5)
    gap = student - teacher
    centred = gap - gap.mean()
    r, s = np.ptp(gap), np.ptp(teacher)
    bound = (r**3 / 6 + s * r**2 / 2) * math.exp((r + s) / temperature) / temperature
    assert abs(kd_loss(student, teacher, temperature) - (centred**2).sum() / (2 * 5)) <= bound
    assert abs(kd_loss_backward(student, teacher, temperature) - centred / 5).max() <= (r * s + r * r) / temperature
    # logits as they are, not centred, are another limit as soon as the shift of a row differs
    shifted = student + 7
    assert abs(kd_loss(shifted, teacher, temperature) - kd_loss(student, teacher, temperature)) <= 1e-9
    assert ((shifted - teacher) ** 2).sum() / 10 > (centred**2).sum() / 10 + 1


def test_cold_limit_depends_on_the_best_class_alone():
    """At T the teacher is sure to exp(-gap / T), so T K is max z_s - z_s[best] up to T log C and less than rounding."""
    rng = np.random.default_rng(7)
    student = rng.permutation(6.0 * np.arange(8)).reshape(2, 4)
    one, other = np.array([[9.0, 1, 2, 3], [0, 1, 2, 5]]), np.array([[4.0, 3, 2, 3], [3, 2, -9, 5]])
    for temperature in (0.02, 0.005):
        expected = np.mean(student.max(axis=1) - student[[0, 1], one.argmax(axis=1)])
        a, b = (kd_loss(student, z, temperature) / temperature for z in (one, other))
        assert abs(a - expected) <= temperature * math.log(4)
        assert abs(a - b) <= 50 * 1e3 * math.exp(-1 / temperature) + 1e-12
        assert kd_loss(student, one, temperature) <= temperature * (student.max() - student.min() + 1)  # -> 0


def test_label_smoothing_is_a_uniform_teacher():
    student, _, labels, _ = pairs(8, 6, 5)
    eps, log_p = 0.1, np.log(softmax(student))
    smoothed = kd_loss(student, smooth_labels(labels, 5, eps), 1.0, None, "TextBrewer.kd_ce_loss")
    from_uniform = kd_loss(student, np.zeros_like(student), 1.0)  # KL(uniform || p_s)
    by_hand = -np.mean([(1 - eps) * log_p[i, y] + eps * log_p[i].mean() for i, y in enumerate(labels)])
    assert abs(smoothed - by_hand) <= 1e-14 * by_hand
    expected = (1 - eps) * losses.cross_entropy(student, labels) + eps * (from_uniform + math.log(5))
    assert abs(smoothed - expected) <= 1e-14 * expected


def test_mixed_targets_are_the_joint_loss_at_temperature_one_only():
    student, teacher, labels, _ = pairs(9, 6, 5)
    for temperature, equal in ((1.0, True), (2.0, False)):
        mixed = 0.3 * np.eye(5)[labels] + 0.7 * softmax(teacher, temperature)
        one_target = kl_to_targets(np.log(softmax(student)), mixed) - float((mixed * np.log(mixed)).sum()) / 6
        joint = distillation_loss(student, teacher, labels, temperature, 0.7, 0.3, convention="hinton")
        assert (abs(one_target - joint) <= 1e-14 * joint) is equal


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_decoupling_is_an_identity_of_each_row(temperature):
    student, teacher, labels, _ = pairs(10, 6, 5)
    sure = softmax(teacher, temperature)[np.arange(6), labels]
    by_row = [decoupled_kd_loss(student[[i]], teacher[[i]], labels[[i]], temperature, 1.0, 1 - sure[i]) for i in range(6)]
    whole = [kd_loss(student[[i]], teacher[[i]], temperature) for i in range(6)]
    assert np.allclose(by_row, whole, rtol=1e-13, atol=0)
    of_means = decoupled_kd_loss(student, teacher, labels, temperature, 1.0, 1 - sure.mean())
    assert abs(of_means - np.mean(whole)) > 1e-3 * np.mean(whole)


def test_two_classes_have_no_rest():
    student, teacher, labels, _ = pairs(11, 6, 2)
    assert decoupled_kd_loss(student, teacher, labels, 2.0, 0.0, 8.0) == 0
    whole = kd_loss(student, teacher, 2.0)
    assert abs(decoupled_kd_loss(student, teacher, labels, 2.0, 1.0, 8.0) - whole) <= 1e-14 * whole


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("convention", ["mdistiller.dkd_loss", "paddleslim.dkd_loss"])
def test_decoupled_gradients(classes, convention):
    student, teacher, labels, rng = pairs(12, 4, classes)
    rest = (labels, 3.0, 0.5, 2.0, convention)
    gradient = decoupled_kd_loss_backward(student, teacher, *rest)
    check_gradient(lambda z: decoupled_kd_loss(z, teacher, *rest), gradient, student, rng)


def test_raised_labels_lead_by_the_margin():
    rng = np.random.default_rng(13)
    teacher, labels = rng.standard_normal((40, 5)), rng.integers(0, 5, 40)
    p, q = softmax(teacher, 2.0), softmax(raise_labels(teacher, labels, 2.0, 0.2), 2.0)
    own = np.arange(40), labels
    wrong = p.argmax(axis=1) != labels
    assert wrong.any() and not wrong.all()
    lead = q[own] - np.where(np.eye(5, dtype=bool)[labels], 0, q).max(axis=1)
    assert np.allclose(lead[wrong], 0.2, rtol=0, atol=1e-14)
    assert np.allclose(q[own][~wrong], np.minimum(1, p[own][~wrong] + 0.2), rtol=0, atol=1e-14)


# ---- clicks ----


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_one_logit_is_two_classes_zero_and_z(temperature):
    z_s, z_t, _, rng = (np.ravel(x) if isinstance(x, np.ndarray) else x for x in pairs(14))
    q, x = sigmoid(z_t / temperature), z_s / temperature
    by_hand = np.mean(np.maximum(x, 0) - x * q + np.log1p(np.exp(-np.abs(x))))
    assert abs(binary_kd_loss(z_s, z_t, temperature, None, "torch.bce_with_logits") - by_hand) <= 1e-14
    entropy = -np.mean(q * np.log(q) + (1 - q) * np.log1p(-q))
    assert abs(binary_kd_loss(z_s, z_t, temperature) - temperature**2 * (by_hand - entropy)) <= 1e-13 * temperature**2
    gradient = binary_kd_loss_backward(z_s, z_t, temperature)
    assert np.allclose(gradient, temperature * (sigmoid(x) - q) / len(q), rtol=1e-12, atol=1e-15)
    check_gradient(lambda z: binary_kd_loss(z, z_t, temperature), gradient, z_s, rng)


def test_one_logit_in_the_limits():
    z_s, z_t = np.array([3.0, -2.0, 0.5]), np.array([-1.0, -1.0, 2.5])
    hot = 1e6
    assert abs(binary_kd_loss(z_s, z_t, hot) - np.mean((z_s - z_t) ** 2) / 8) <= 100 / hot  # no centring: a logit is a difference
    assert abs(binary_kd_loss_backward(z_s, z_t, hot) - (z_s - z_t) / 12).max() <= 100 / hot
    cold = 0.01
    assert abs(binary_kd_loss(z_s, z_t, cold) / cold - 3.0 / 3) <= cold * math.log(2)  # |z_s| where the signs differ
    z = np.array([2.0])
    assert binary_kd_loss(z, -z, 1.0) != binary_kd_loss(2 * z, -2 * z, 1.0) / 4  # [-z, z] is another temperature


def test_columns_of_one_logit_keep_their_shape():
    z = np.array([[1.0], [2.0]], np.float32)
    d = binary_kd_loss_backward(z, 2 * z, 1.0)
    assert d.shape == (2, 1) and d.dtype == np.float32
    with pytest.raises(ValueError, match="one per row"):
        binary_kd_loss(np.ones((2, 2)), np.ones((2, 2)), 1.0)


# ---- presets ----

SOFT_AT_4 = {
    "hinton": None, "RepDistiller.DistillKL": 0.251594, "mdistiller.kd_loss": 0.251594,
    "ModelOpt.LogitsDistillationLoss": 0.251594, "sparseml.kd": 0.251594, "torchdistill.KDLoss": 0.251594,
    "TextBrewer.kd_ce_loss": 1.064870, "TextBrewer.kd_mse_loss": None,
    "paddleslim.soft_label": 1.064870, "DistilBERT": 0.251594, "keras.example": 0.251594, "keras.example.2020": 0.015725,
    "torch.kl_div.batchmean": 0.015725, "torch.kl_div.mean": 0.005242, "torch.kl_div.sum": 0.031449,
}  # fmt: skip


def test_what_each_library_gives():
    for name, value in SOFT_AT_4.items():
        if value is not None:
            assert round(kd_loss(Z_S, Z_T, 4.0, convention=name), 6) == value, name
    assert kd_loss(Z_S, Z_T, 4.0, convention="hinton") == 16 * kd_loss(Z_S, Z_T, 4.0, convention="TextBrewer.kd_ce_loss")
    assert kd_loss(Z_S, Z_T, 4.0, convention="TextBrewer.kd_mse_loss") == ((Z_S - Z_T) ** 2).mean() / 16
    assert np.array_equal(kd_loss_backward(Z_S, Z_T, 4.0, convention="hinton"), kd_loss_backward(Z_S, Z_T, 4.0))
    with pytest.raises(ValueError, match="decoupled_kd_loss"):
        kd_loss(Z_S, Z_T, 4.0, convention="mdistiller.dkd_loss")


def test_alpha_of_each_library():
    assert split_alpha(0.9, "torchdistill.KDLoss") == (1 - 0.9, 0.9)
    assert split_alpha(0.9, "peterliht.loss_fn_kd") == (0.9, 1 - 0.9)
    assert split_alpha(0.9, "torchdistill.KDLoss", beta=2.0) == (2.0, 0.9)
    assert split_alpha(None, "torchdistill.KDLoss") == (1.0, 0.0)
    assert split_alpha(0.9, "mdistiller.kd_loss", beta=0.1) == (0.9, 0.1)
    for alpha, beta, name in ((0.9, None, "mdistiller.kd_loss"), (None, None, "peterliht.loss_fn_kd")):
        with pytest.raises(ValueError, match="beta"):
            split_alpha(alpha, name, beta)


def test_totals_of_each_library():
    kl = distillation_loss(Z_S, Z_T, Y, 4.0, 0.5, 0.5, convention="INC.KL")
    ce = distillation_loss(Z_S, Z_T, Y, 4.0, 0.5, 0.5, convention="INC.CE")
    assert (round(kl, 6), round(ce, 6)) == (0.383339, 8.860367)
    total = distillation_loss(Z_S, Z_T, Y, 4.0, *split_alpha(0.5, "KD_Lib.VanillaKD"), convention="KD_Lib.VanillaKD")
    assert round(total, 6) == 0.369327
    assert round(distillation_loss(Z_S, Z_T, Y, 4.0, 0.5, 0.5, convention="distiller.KnowledgeDistillationPolicy"), 6) == 0.467203
    # no labels in the loss: torchdistill forgets T^2 too
    assert round(distillation_loss(Z_S, Z_T, Y, 4.0, 1.0, 0.0, convention="torchdistill.KDLoss"), 6) == 0.015725
    assert round(distillation_loss(Z_S, Z_T, Y, 4.0, 1.0, 1e-12, convention="torchdistill.KDLoss"), 6) == 0.251594


@pytest.mark.parametrize("factor", ["squared", "linear", "one"])
def test_without_labels_bare_means_without_factor_and_weight(factor):
    bare = SoftTargetRule(without_hard="bare", temperature_factor=factor)
    plain = SoftTargetRule(temperature_factor="one")
    arguments = (Z_S, Z_T, None, 4.0, 0.25, 0.0)  # T is a power of two: the factor and its inverse round nothing
    assert distillation_loss(*arguments, convention=bare) == kd_loss(Z_S, Z_T, 4.0, convention=plain)
    gradient = distillation_loss_backward(*arguments, convention=bare)
    assert np.array_equal(gradient, kd_loss_backward(Z_S, Z_T, 4.0, convention=plain))


@pytest.mark.parametrize("said", [{"reduction": "sum"}, {"convention": SoftTargetRule(reduction="sum")}])
def test_under_sum_both_terms_are_sums(said):
    for function in (distillation_loss, distillation_loss_backward):
        mean = function(Z_S, Z_T, Y, 4.0, 0.5, 0.5)  # over two rows
        np.testing.assert_array_equal(function(Z_S, Z_T, Y, 4.0, 0.5, 0.5, **said), 2 * mean)


def test_the_hard_term_can_be_softened_too():
    rule = SoftTargetRule(hard_temperature="same")
    at_four = distillation_loss(Z_S, Z_T, Y, 4.0, 0.0, 1.0, convention=rule)
    assert at_four == losses.cross_entropy(Z_S / 4, Y) != distillation_loss(Z_S, Z_T, Y, 4.0, 0.0, 1.0)
    gradient = distillation_loss_backward(Z_S, Z_T, Y, 4.0, 0.0, 1.0, convention=rule)
    check_gradient(
        lambda z: distillation_loss(z, Z_T, Y, 4.0, 0.0, 1.0, convention=rule), gradient, Z_S, np.random.default_rng(0)
    )


def test_every_soft_target_name_is_known():
    for name in [*SOFT_AT_4, "mdistiller.dkd_loss"]:
        assert isinstance(conventions.get(name), SoftTargetRule), name


# ---- shapes, dtypes, refusals ----


def test_blocks_do_not_show():
    rng = np.random.default_rng(15)
    n = 2 * BLOCK // 50 + 7
    student, teacher = rng.standard_normal((n, 50)), rng.standard_normal((n, 50))
    loss, gradient = kd_loss_and_gradient(student, teacher, 2.0, "sum")
    parts = [kd_loss_and_gradient(student[i : i + 100], teacher[i : i + 100], 2.0, "sum") for i in range(0, n, 100)]
    assert abs(loss - sum(p[0] for p in parts)) <= 1e-12 * loss
    assert np.allclose(gradient, np.concatenate([p[1] for p in parts]), rtol=1e-12, atol=1e-15)
    assert kd_loss(student, teacher, 2.0, "sum") == loss
    assert np.array_equal(kd_loss_backward(student, teacher, 2.0, "sum"), gradient)
    assert np.getbufsize() == 8192


@pytest.mark.parametrize("classes", [3, 40])
def test_strides_and_read_only(classes):
    student, teacher, _, _ = pairs(16, 6, classes)
    expected = kd_loss_and_gradient(student, teacher, 2.0)
    for z_s, z_t in (
        (np.asfortranarray(student), np.asfortranarray(teacher)),
        (np.repeat(student, 2, axis=1)[:, ::2], np.repeat(teacher, 2, axis=0)[::2]),
        (student[::-1][::-1], teacher[:, ::-1][:, ::-1]),
    ):
        z_s.flags.writeable = z_t.flags.writeable = False
        before = z_s.tobytes(), z_t.tobytes()
        loss, gradient = kd_loss_and_gradient(z_s, z_t, 2.0)
        assert loss == expected[0] and np.array_equal(gradient, expected[1])
        assert (z_s.tobytes(), z_t.tobytes()) == before


def test_empty_one_class_integers_and_half():
    for shape in ((0, 3), (0, 40), (0, 0)):
        loss, gradient = kd_loss_and_gradient(np.zeros(shape, np.float32), np.zeros(shape, np.float32), 2.0)
        assert loss == 0 and gradient.shape == shape and gradient.dtype == np.float32
    loss, gradient = kd_loss_and_gradient(np.array([[5.0], [7.0]]), np.array([[-5.0], [1.0]]), 0.1)
    assert loss == 0 and (gradient == 0).all()
    assert kd_loss(np.array([[1, 0]]), np.array([[0, 1]]), 1.0) == kd_loss(np.array([[1.0, 0]]), np.array([[0.0, 1]]), 1.0)
    assert kd_loss_backward(Z_S.astype(np.float16), Z_T, 1.0).dtype == np.float16
    assert distillation_loss(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0, int), 2.0, 0.5, 0.5) == 0
    assert binary_kd_loss(np.zeros(0), np.zeros(0), 1.0) == 0
    assert distillation_loss(Z_S, Z_T, None, 2.0, 1.0, 0.0) == kd_loss(Z_S, Z_T, 2.0)


@pytest.mark.parametrize(
    "student,teacher,temperature,text",
    [
        (Z_S, Z_T[:1], 1.0, "shape"),
        (Z_S[0], Z_T[0], 1.0, "classes"),
        (np.zeros((2, 0)), np.zeros((2, 0)), 1.0, "class"),
        (Z_S, Z_T, 0.0, "temperature"),
        (Z_S, Z_T, -1.0, "temperature"),
        (Z_S, Z_T, math.nan, "temperature"),
        (Z_S, Z_T, math.inf, "temperature"),
        (Z_S * np.nan, Z_T, 1.0, "NaN"),
        (Z_S, Z_T + np.array([np.inf, 0, 0]), 1.0, "infinite"),
        (Z_S, Z_T - np.array([np.inf, 0, 0]), 1.0, "infinite"),
    ],
)
def test_bad_input(student, teacher, temperature, text):
    for f in (kd_loss, kd_loss_backward):
        with pytest.raises(ValueError, match=text):
            f(student, teacher, temperature)


def test_a_temperature_of_any_type():
    for t in (3.3, np.float32(3.3), np.float64(3.3), np.array(3.3)):
        assert kd_loss(Z_S, Z_T, t) == kd_loss(Z_S, Z_T, float(t))
        assert np.array_equal(kd_loss_backward(Z_S, Z_T, t), kd_loss_backward(Z_S, Z_T, float(t)))
        assert decoupled_kd_loss(Z_S, Z_T, Y, t) == decoupled_kd_loss(Z_S, Z_T, Y, float(t))
        assert distillation_loss(Z_S, Z_T, Y, t, 0.5, 0.5) == distillation_loss(Z_S, Z_T, Y, float(t), 0.5, 0.5)
    assert kd_loss(Z_S.tolist(), Z_T.tolist(), 3) == kd_loss(Z_S, Z_T, 3.0)


def test_more_classes_than_a_block_holds():
    z_s, z_t = np.zeros((2, BLOCK + 1)), np.zeros((2, BLOCK + 1))
    z_s[:, 0], z_t[:, 0] = (1.0, 2.0), (2.0, 1.0)
    loss, gradient = kd_loss_and_gradient(z_s, z_t, 1.0, "sum")
    alone = [kd_loss_and_gradient(z_s[i : i + 1], z_t[i : i + 1], 1.0, "sum") for i in (0, 1)]
    assert loss == alone[0][0] + alone[1][0] > 0 and np.array_equal(gradient, np.concatenate([g for _, g in alone]))


def test_targets_of_zero_cost_nothing():
    log_p = np.log([[0.5, 0.25, 0.25], [0.5, 0.5, 1.0]])
    log_p[1, 2] = -np.inf  # 0 log 0 is 0 on both sides
    assert kl_to_targets(log_p, np.array([[1.0, 0, 0], [0.5, 0.5, 0]]), "sum") == np.log(2)


def test_clicks_follow_a_convention_too():
    z_s, z_t = np.array([0.5, -1.0]), np.array([2.0, 0.25])
    rule = SoftTargetRule(temperature_factor="one", reduction="sum")
    for function in (binary_kd_loss, binary_kd_loss_backward):  # 4^2 and 2 rows are powers of two: no rounding
        assert np.array_equal(function(z_s, z_t, 4.0), 8 * function(z_s, z_t, 4.0, convention=rule))


def test_soft_clicks_divide_and_do_not_shift_unless_asked():
    assert np.array_equal(soft_clicks(np.array([1.0, -2.0]), 0.5), sigmoid(np.array([2.0, -4.0])))
    assert soft_clicks([3.0], 1.0, -3.0).tolist() == [0.5]
    for scale in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"scale is {scale}"):
            soft_clicks(np.zeros(1), scale)


def test_bad_words():
    with pytest.raises(ValueError, match="use 'batchmean', 'mean' or 'sum'"):
        kd_loss(Z_S, Z_T, 1.0, "none")
    with pytest.raises(ValueError, match="no labels"):
        distillation_loss(Z_S, Z_T, None, 1.0, 0.5, 0.5)
    with pytest.raises(ValueError, match="classes"):
        decoupled_kd_loss(Z_S, Z_T, np.array([0, 3]), 1.0)
    with pytest.raises(ValueError, match="C >= 2"):
        decoupled_kd_loss(Z_S[:, :1], Z_T[:, :1], np.array([0, 0]), 1.0)
    for smoothing in (0.0, 1.5):
        with pytest.raises(ValueError, match="smoothing"):
            smooth_labels(Y, 3, smoothing)
    for labels in ([-1, 1], [0, 2]):
        with pytest.raises(ValueError, match="the classes are 0 to 1"):
            smooth_labels(np.array(labels), 2, 0.5)
    with pytest.raises(ValueError, match="targets"):
        kl_to_targets(np.zeros((1, 2)), np.array([[-0.1, 1.1]]))


def test_all_names_are_reachable():
    for name in distillation.__all__:
        assert callable(getattr(distillation, name))


def test_a_block_whose_rows_live_on_other_scales_has_a_finite_slope():
    """The block is shifted by its largest teacher logit; a row far below it must not be divided by what has underflowed."""
    student, teacher = np.array([[0.0, -95.6], [0.0, 0.0]]), np.array([[0.0, 323.0], [0.0, 730.0]])
    slope = kd_loss_backward(student, teacher, 1.0)
    p_s, p_t = (np.exp(z - z.max(axis=1, keepdims=True)) for z in (student, np.maximum(teacher - teacher.max(axis=1, keepdims=True), -700)))
    expected = (p_s / p_s.sum(axis=1, keepdims=True) - p_t / p_t.sum(axis=1, keepdims=True)) / 2
    # probabilities are 0 or 1 up to 1e-41 here, so a handful of roundings of numbers up to 1 is all that can differ
    assert np.abs(slope - expected).max() <= 16 * np.finfo(float).eps
