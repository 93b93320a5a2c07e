"""Losses and gradients against torch's own functions and automatic differentiation, live, in float64: within 1e-12.

Peers' losses are written out here in torch from their formulas, epsilons included, so that automatic differentiation gives the
gradient that their users get.
"""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from tinycompress import conventions  # noqa: E402
from tinycompress.binary_distillation import binary_kd_loss, binary_kd_loss_backward  # noqa: E402
from tinycompress.decoupled_distillation import decoupled_kd_loss, decoupled_kd_loss_backward  # noqa: E402
from tinycompress.distillation import distillation_loss, distillation_loss_backward, smooth_labels, split_alpha  # noqa: E402
from tinycompress.feature_distillation import (  # noqa: E402
    angle_loss,
    angle_loss_backward,
    distance_loss,
    distance_loss_backward,
    hint_loss,
    hint_loss_backward,
)  # fmt: skip
from tinycompress.ranking_distillation import positional_loss, positional_loss_backward, ranking_kd_loss, ranking_kd_loss_backward  # noqa: E402
from tinycompress.relaxed_ranking import relaxed_ranking_loss, relaxed_ranking_loss_backward  # noqa: E402
from tinycompress.similarity_distillation import (  # noqa: E402
    congruence_loss,
    congruence_loss_backward,
    correlation_kd_loss,
    correlation_kd_loss_backward,
    gram_loss,
    gram_loss_backward,
    neighbour_loss,
    neighbour_loss_backward,
)  # fmt: skip
from tinycompress.soft_targets import kd_loss, kd_loss_backward  # noqa: E402


def torch_says(f, *arrays):
    """Value and gradients of f at float64 leaves."""
    leaves = [torch.tensor(np.array(a), requires_grad=True) for a in arrays]
    with np.errstate(all="ignore"):
        loss = f(*leaves)
        loss.backward()
    return loss.item(), [leaf.grad.numpy() for leaf in leaves]


def assert_same(ours, gradients, f, *arrays):
    theirs, their_gradients = torch_says(f, *arrays)
    assert abs(ours - theirs) <= 1e-12 * max(abs(theirs), 1e-3)
    for g, t in zip(gradients, their_gradients, strict=True):
        assert np.abs(g - t).max(initial=0) <= 1e-12 * max(np.abs(t).max(initial=0), 1e-3)


def logits(seed, n=5, c=4, spread=3.0):
    rng = np.random.default_rng(seed)
    return spread * rng.standard_normal((n, c)), spread * rng.standard_normal((n, c)), rng.integers(0, c, n)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 10.0])
@pytest.mark.parametrize("reduction", ["batchmean", "mean", "sum"])
@pytest.mark.parametrize("seed", range(3))
def test_kl_div(temperature, reduction, seed):
    z_s, z_t, _ = logits(seed)

    def form(zs):
        p_t = F.softmax(torch.tensor(z_t) / temperature, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns that its 'mean' is not the mean
            return F.kl_div(F.log_softmax(zs / temperature, 1), p_t, reduction=reduction)

    arguments = (z_s, z_t, temperature, None, f"torch.kl_div.{reduction}")
    assert_same(kd_loss(*arguments), [kd_loss_backward(*arguments)], form, z_s)
    arguments = (z_s, z_t, temperature, reduction)
    assert_same(kd_loss(*arguments), [kd_loss_backward(*arguments)], lambda zs: temperature**2 * form(zs), z_s)


@pytest.mark.parametrize(
    "divergence", ["reverse_kl", "jensen_shannon", "cross_entropy", "squared_logits", "squared_probabilities"]
)
def test_other_divergences(divergence):
    z_s, z_t, _ = logits(7)
    t = torch.tensor(z_t) / 2

    def form(zs):
        log_s, log_t = F.log_softmax(zs / 2, 1), F.log_softmax(t, 1)
        s, p = log_s.exp(), log_t.exp()
        m = ((s + p) / 2).log()
        rows = {
            "reverse_kl": s * (log_s - log_t),
            "jensen_shannon": p * (log_t - m) / 2 + s * (log_s - m) / 2,
            "cross_entropy": -p * log_s,
            "squared_logits": (zs / 2 - t) ** 2,
            "squared_probabilities": (s - p) ** 2,
        }[divergence]
        return rows.sum() / len(zs)

    rule = conventions.SoftTargetRule(divergence, temperature_factor="one")
    assert_same(kd_loss(z_s, z_t, 2.0, None, rule), [kd_loss_backward(z_s, z_t, 2.0, None, rule)], form, z_s)


@pytest.mark.parametrize("alpha", [None, 0.0, 1e-12, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("reduction", ["batchmean", "sum"])
def test_torchdistill(alpha, reduction):
    z_s, z_t, y = logits(3)

    def form(zs):
        soft = F.kl_div(F.log_softmax(zs / 4, 1), F.softmax(torch.tensor(z_t) / 4, 1), reduction=reduction)
        if not alpha:
            return soft
        hard = F.cross_entropy(zs, torch.tensor(y), reduction="mean" if reduction == "batchmean" else reduction)
        return alpha * hard + (1 - alpha) * 16 * soft

    arguments = (z_s, z_t, y, 4.0, *split_alpha(alpha, "torchdistill.KDLoss"), reduction, "torchdistill.KDLoss")
    assert_same(distillation_loss(*arguments), [distillation_loss_backward(*arguments)], form, z_s)


def test_label_smoothing():
    z_s, _, y = logits(4)
    arguments = (z_s, smooth_labels(y, 4, 0.1), 1.0, None, "TextBrewer.kd_ce_loss")
    assert_same(
        kd_loss(*arguments), [kd_loss_backward(*arguments)],
        lambda zs: F.cross_entropy(zs, torch.tensor(y), label_smoothing=0.1), z_s,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_decoupled(classes):
    z_s, z_t, y = logits(5, c=classes)
    own = F.one_hot(torch.tensor(y), classes).bool()

    def form(zs):
        def parts(z):
            p = F.softmax(z / 4, 1)
            b = torch.stack([p[own], (p * ~own).sum(1)], 1)
            return b, F.log_softmax(z / 4 - 1000.0 * own, 1)

        (b_s, q_s), (b_t, q_t) = parts(zs), parts(torch.tensor(z_t))
        first, second = F.kl_div(b_s.log(), b_t, reduction="sum"), F.kl_div(q_s, q_t.exp(), reduction="sum")
        return 16 * (0.5 * first + 8 * second) / len(zs)

    arguments = (z_s, z_t, y, 4.0, 0.5, 8.0, "mdistiller.dkd_loss")
    assert_same(decoupled_kd_loss(*arguments), [decoupled_kd_loss_backward(*arguments)], form, z_s)


def test_clicks():
    z_s, z_t = (z[:, 0] for z in logits(6)[:2])
    for t in (0.5, 1.0, 4.0):

        def form(zs, t=t):
            return F.binary_cross_entropy_with_logits(zs / t, torch.sigmoid(torch.tensor(z_t) / t))

        arguments = (z_s, z_t, t, None, "torch.bce_with_logits")
        assert_same(binary_kd_loss(*arguments), [binary_kd_loss_backward(*arguments)], form, z_s)


def test_lists():
    z_s, z_t, _ = logits(8, 6, 5)
    mask = np.random.default_rng(1).random((6, 5)) < 0.7
    mask[0] = False
    mask[1:, 0] = True

    def form(zs):
        keep = torch.tensor(mask)
        s, t = (torch.where(keep, z / 2, -torch.inf)[1:] for z in (zs, torch.tensor(z_t)))
        log_s, log_t = (torch.where(keep[1:], F.log_softmax(z, 1), 0) for z in (s, t))
        return 4 * (torch.where(keep[1:], log_t.exp(), 0) * (log_t - log_s)).sum() / len(zs)

    assert_same(ranking_kd_loss(z_s, z_t, 2.0, mask), [ranking_kd_loss_backward(z_s, z_t, 2.0, mask)], form, z_s)


def test_positions():
    z, weights, _ = logits(9)
    weights = np.abs(weights)
    assert_same(
        positional_loss(z, weights), [positional_loss_backward(z, weights)],
        lambda zs: (-torch.tensor(weights) * F.logsigmoid(zs)).sum() / len(zs), z,
    )  # fmt: skip


@pytest.mark.parametrize("k,m", [(1, 1), (4, 3), (3, 0)])
def test_relaxed_ranking(k, m):
    rng = np.random.default_rng(10)
    s, u = rng.standard_normal((3, k)), rng.standard_normal((3, m))

    def form(s, u):
        below = s.flip(1).exp().cumsum(1) + u.exp().sum(1, keepdim=True)
        return below.log().sum() - s.sum()

    rule = "DE-RRD.relaxed_ranking_loss"
    assert_same(relaxed_ranking_loss(s, u, rule), relaxed_ranking_loss_backward(s, u, rule), form, s, u)


def rows(seed, coincident=False):
    rng = np.random.default_rng(seed)
    f, t = rng.standard_normal((5, 3)), rng.standard_normal((5, 4))
    if coincident:
        f[1] = f[0]
    return f, t


def test_hint():
    f, t = rows(11)
    r = np.random.default_rng(12).standard_normal((3, 4))
    assert_same(hint_loss(f, t, r), hint_loss_backward(f, t, r), lambda f, r: F.mse_loss(f @ r, torch.tensor(t)), f, r)


@pytest.mark.parametrize("coincident", [False, True])
def test_distances(coincident):
    f, t = rows(13, coincident)

    def scaled(x):
        d = ((x[:, None] - x[None]) ** 2).sum(2).clamp(min=1e-12).sqrt()
        d = d * (1 - torch.eye(len(x), dtype=x.dtype))
        return d / d[d > 0].mean()

    assert_same(
        distance_loss(f, t, 1e-12), [distance_loss_backward(f, t, 1e-12)],
        lambda x: F.smooth_l1_loss(scaled(x), scaled(torch.tensor(t))), f,
    )  # fmt: skip


@pytest.mark.parametrize("coincident", [False, True])
def test_angles(coincident):
    f, t = rows(14, coincident)

    def angles(x):
        u = F.normalize(x[None] - x[:, None], p=2, dim=2)
        return torch.bmm(u, u.transpose(1, 2)).view(-1)

    assert_same(
        angle_loss(f, t, 1e-12), [angle_loss_backward(f, t, 1e-12)],
        lambda x: F.smooth_l1_loss(angles(x), angles(torch.tensor(t))), f,
    )  # fmt: skip


@pytest.mark.parametrize("zero", [False, True])
def test_gram(zero):
    f, t = rows(15)
    f[2] *= not zero

    def unit(x):
        return F.normalize(x @ x.T)

    assert_same(
        gram_loss(f, t, 1e-12),
        [gram_loss_backward(f, t, 1e-12)],
        lambda x: ((unit(torch.tensor(t)) - unit(x)) ** 2).sum() / 25,
        f,
    )


def test_neighbours():
    f, t = rows(16)

    def chances(x):
        v = x / ((x**2).sum(1, keepdim=True).sqrt() + 1e-7)
        c = (v @ v.T + 1) / 2
        return c / c.sum(1, keepdim=True)

    def form(x):
        q = chances(torch.tensor(t))
        return (q * torch.log((q + 1e-7) / (chances(x) + 1e-7))).mean()

    assert_same(neighbour_loss(f, t), [neighbour_loss_backward(f, t)], form, f)


def test_congruence():
    f, _ = rows(17)
    t, _ = rows(18)

    def form(x):
        d = (x - torch.tensor(t)).abs()
        return (d[:-1] * d[1:]).sum(1).mean()

    assert_same(congruence_loss(f, t), [congruence_loss_backward(f, t)], form, f)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("constant", [False, True])
def test_correlations(added, constant):
    z_s, z_t, _ = logits(19)
    z_s[1] *= not constant

    def rho(x, y):
        x, y = x - x.mean(1, keepdim=True), y - y.mean(1, keepdim=True)
        if added:
            return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + 1e-8)
        return F.cosine_similarity(x, y, eps=1e-8)

    def form(zs):
        p, q = F.softmax(zs / 2, 1), F.softmax(torch.tensor(z_t) / 2, 1)
        return 4 * (1 - rho(p, q).mean()) + 4 * 2 * (1 - rho(p.T, q.T).mean())

    arguments = (z_s, z_t, 2.0, 1.0, 2.0, 1e-8, added)
    assert_same(correlation_kd_loss(*arguments), [correlation_kd_loss_backward(*arguments)], form, z_s)


def test_torch_loses_the_loss_at_a_large_temperature():
    z_s, z_t = np.array([[3.0, -1.0, 1.0]], np.float32), np.array([[1.0, 2.0, 0.0]], np.float32)
    s, t = (torch.tensor(z) / 1e4 for z in (z_s, z_t))
    theirs = 1e8 * F.kl_div(F.log_softmax(s, 1), F.softmax(t, 1), reduction="batchmean").item()
    assert abs(theirs - 2.333367) > 1  # rounding of 6e-8 times T^2; it was -2.64 on one build, 0 on another
    assert abs(kd_loss(z_s, z_t, 1e4) - 2.333367) < 1e-6
