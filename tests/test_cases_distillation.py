"""Answers that a dozen libraries gave, measured on their own code, against the conventions that claim to reproduce them.

A carried selection runs always; the whole file runs where it lies beside the project. Equal means: within 1e-12 of the largest
number of the answer. Some libraries answer in float32 (paddle, a formula evaluated by torch): an answer all of whose numbers are
float32 numbers, and not short ones, is compared within 4 roundings of float32 instead.
"""

import json
import pathlib

import numpy as np
import pytest

from tinycompress import condensation, conventions, losses, synthetic_rows
from tinycompress.binary_distillation import binary_kd_loss, binary_kd_loss_backward, soft_clicks
from tinycompress.decoupled_distillation import decoupled_kd_loss, decoupled_kd_loss_backward, raise_labels
from tinycompress.distillation import distillation_loss, distillation_loss_backward, smooth_labels, split_alpha
from tinycompress.feature_distillation import (
    angle_loss,
    angle_loss_backward,
    distance_loss,
    distance_loss_backward,
    hint_loss,
    hint_loss_backward,
)  # fmt: skip
from tinycompress.ranking_distillation import dynamic_weights, hybrid_weights, positional_loss, static_weights
from tinycompress.relaxed_ranking import relaxed_ranking_loss, relaxed_ranking_loss_backward
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
from tinycompress.soft_targets import kd_loss, kd_loss_backward, kl_to_targets

CARRIED = pathlib.Path(__file__).parent / "cases" / "distillation.json"
TOPICS = ("distillation", "ranking_distillation", "dataset_compression")
# Known differences: which cases, and the reason; everything else must agree.
MISSES = (
    (lambda c: "PKT" in c["op"] and "NaN" in str(c["output"]),
     "a zero row: torch says NaN, the derivative of f / (|f| + eps) at 0 is I / eps; loss and other rows agree"),
    (lambda c: "dkd_loss" in c["op"] and "NaN" in str(c["output"]),
     "logits so far apart that a probability is 0 before its logarithm is taken: inf and NaN there, finite here"),
    (lambda c: c["output"] == "NaN" and ("kl_div" in c["op"] or "mistake" in c["op"]),
     "targets that are no probabilities are refused here"),
)  # fmt: skip


class NotOffered(Exception):
    """The package has nothing that corresponds; the text says what."""


def reason(case):
    return next((text for applies, text in MISSES if applies(case)), None)


def array(values, dtype=np.float64):
    if isinstance(values, list):
        return np.array([array(v, dtype) for v in values], dtype)
    return dtype(float(values))


def kd(convention, **more):
    """The soft term alone, by the convention's own reduction."""

    def run(i, p):
        t = p.get("T", 1.0)
        t = 2.0 if t == "fixed 2" else t
        arguments = (array(i["zs"]), array(i["zt"]), t, p.get("reduction") if more.get("asked") else None, convention)
        return {"loss": kd_loss(*arguments), "grad": kd_loss_backward(*arguments)}

    return run


def joint(convention, soft_and_hard):
    def run(i, p):
        soft, hard = soft_and_hard(p)
        rule = conventions.get(convention)
        arguments = (array(i["zs"]), array(i["zt"]), np.array(i["y"]), p["T"], soft, hard, p.get("reduction"), rule)
        return {"loss": distillation_loss(*arguments), "grad": distillation_loss_backward(*arguments)}

    return run


def torchdistill(p):
    return split_alpha(p["alpha"], "torchdistill.KDLoss", p.get("beta"))


def inc(i, p):
    kinds = set(p["loss_types"][1:])
    convention = "INC.KL" if kinds == {"KL"} else "INC.CE"
    return joint(convention, lambda p: (p["loss_weights"][1], p["loss_weights"][0]))(i, p)


def dkd(convention):
    def run(i, p):
        z_s, z_t = array(i["zs"]), array(i["zt"])
        y = np.array(i["y"]) if "y" in i else z_t.argmax(axis=1)
        arguments = (z_s, z_t, y, p["T"], p["alpha"], p["beta"], convention)
        return {"loss": decoupled_kd_loss(*arguments), "grad": decoupled_kd_loss_backward(*arguments)}

    return run


def minifinetuning(i, p):
    z_t = raise_labels(array(i["zt"]), np.array(i["y"]), p["T"], p["threshold"], epsilon=1e-7)
    arguments = (array(i["zs"]), z_t, p["T"])
    return {"loss": kd_loss(*arguments), "grad": kd_loss_backward(*arguments)}


def label_smoothing(i, p):
    z, y, eps = array(i["zs"]), np.array(i["y"]), p["eps"]
    if eps == 0:
        return {"loss": losses.cross_entropy(z, y), "grad": losses.cross_entropy_backward(z, y)}
    arguments = (z, smooth_labels(y, z.shape[1], eps), 1.0, None, "TextBrewer.kd_ce_loss")
    return {"loss": kd_loss(*arguments), "grad": kd_loss_backward(*arguments)}


def mistake(i, p, op):
    """The wrong form, spelled with the right functions."""
    z_s, z_t = array(i["zs"]), array(i["zt"])
    reduction = p.get("reduction", "batchmean")
    t = p.get("T", 1.0)
    rule = "torch.kl_div.batchmean"
    if "swapped" in op:
        return kd_loss(z_t, z_s, t, reduction, rule)
    if "batch dim" in op or "dim 0" in op or "dim=0" in op:
        return kd_loss(z_s.T, z_t.T, t, "sum", rule) / len(z_s)
    if "prob" in op:
        return kd_loss(z_s, z_t, t, reduction, conventions.SoftTargetRule("kl_of_probabilities", temperature_factor="one"))
    if "mean" in op or "reduction" in op:
        return kd_loss(z_s, z_t, t, reduction, rule)
    raise NotOffered(op)


def clicks(i, p, op):
    z_s, z_t, t = array(i["zs"]), array(i["zt"]), p.get("T", 1.0)
    if "[-z" in op:
        t = t / 2
    rule = conventions.SoftTargetRule("cross_entropy", "squared" if "T^2" in op or "T²" in op else "one")
    return {"loss": binary_kd_loss(z_s, z_t, t, None, rule), "grad": binary_kd_loss_backward(z_s, z_t, t, None, rule)}


def features(loss, backward, **more):
    def run(i, p):
        f, t = (array(i[k]) for k in ("fs", "ft"))
        d = backward(f, t, **more)
        return {"loss": loss(f, t, **more), "grad": d[0] if isinstance(d, tuple) else d}

    return run


def relational(i, p):
    f, t = (array(i[k]) for k in ("fs", "ft"))
    w = p.get("w_d", p.get("wd", 25)), p.get("w_a", p.get("wa", 50))
    loss = w[0] * distance_loss(f, t, 1e-12) + w[1] * angle_loss(f, t, 1e-12)
    return {"loss": loss, "grad": w[0] * distance_loss_backward(f, t, 1e-12) + w[1] * angle_loss_backward(f, t, 1e-12)}


def dist(added):
    def run(i, p):
        arguments = (
            array(i["zs"]),
            array(i["zt"]),
            p.get("tau", p.get("T", 1.0)),
            p.get("beta", 1.0),
            p.get("gamma", 1.0),
            1e-8,
            added,
        )
        return {"loss": correlation_kd_loss(*arguments), "grad": correlation_kd_loss_backward(*arguments)}

    return run


def positional(i, p):
    rule = "rank_distill.weighted_sigmoid_log_loss"
    pos, neg, candidates = (array(i[k]) for k in ("pos", "neg", "cand"))
    weights = array(i["weight"]) if i.get("weight") is not None else np.ones(candidates.shape[1])
    if (pos < -700).any():  # as the library computes it: the logarithm of a sigmoid that is 0
        regular = positional_loss(pos, np.ones(pos.shape[1]), rule)
    else:
        regular = losses.bce(pos.ravel(), np.ones(pos.size), "sum") / len(pos)
    regular += losses.bce(neg.ravel(), np.zeros(neg.size), "sum") / len(pos)
    alpha = 1.0 if p.get("alpha") is None else p["alpha"]
    return [regular + alpha * positional_loss(candidates, weights, rule), regular]


def ranked_weights(i, p, op):
    """Static, dynamic or hybrid weights of a case, whatever its inputs are called."""
    rule = "KDs.RD" if "KDs" in op else "rank_distill.weighted_sigmoid_log_loss"
    scale = p.get("lambda", p.get("T", p.get("lam", 1.0)))
    scores = next((array(i[k]) for k in ("cand", "student", "S", "scores", "top") if k in i), None)
    static = static_weights(p.get("K", scores.shape[1] if scores is not None else None), scale)
    if scores is None:
        return static
    samples = next(array(i[k]) for k in ("dynamic", "sampled", "samples", "dyn") if k in i)
    items = next(p[k] for k in ("n_items", "num_items", "items") if k in p)
    dynamic = dynamic_weights(scores, samples, items, p["mu"], rule)
    return dynamic if "dynamic" in op else hybrid_weights(static, dynamic, rule)


def plackett_luce(i, p, op):
    dtype = np.float32 if "float32" in op else np.float64
    s, u = array(i["S1"], dtype), array(i["S2"], dtype)
    rule = "DE-RRD.relaxed_ranking_loss"
    if "overflow" in op:
        return relaxed_ranking_loss(s, u, rule)
    ds, du = relaxed_ranking_loss_backward(s, u, rule)
    return {"loss": relaxed_ranking_loss(s, u, rule), "gradS1": ds, "gradS2": du}


def collaborative(i, p):
    s, t = array(i["student"]), array(i["teacher"])
    return losses.bce(s.ravel(), soft_clicks(t, p["t1"], p["t2"]).ravel(), "sum")


def ridge(i, p):
    x, q = array(i["X"]), array(i["Xt"])
    kernel = (lambda a, b: a @ b.T) if p["kernel"] == "linear" else lambda a, b: synthetic_rows.gaussian_kernel(a, b, p["gamma"])
    return synthetic_rows.ridge_predict(kernel(q, x), kernel(x, x), array(i["y"]), p["alpha"])


def herding(i, p, peer):
    phi = array(i.get("Phi", i.get("phi")))
    return (condensation.kernel_herd if "kernel" in peer else condensation.herd)(phi, p["m"])


def answer(case):
    """What this package says, in the layout of the case's output."""
    peer, op, i, p = case["peer"], case["op"], case["inputs"], case["params"]
    if case["topic"] == "dataset_compression":
        return ridge(i, p) if "KernelRidge" in op else herding(i, p, peer + op)
    if "input" in i:
        targets = array(i.get("label", i.get("target")))
        return kl_to_targets(array(i["input"]), np.exp(targets) if p.get("log_target") else targets, p.get("reduction", "mean"))
    if op.startswith("mistake"):
        return clicks(i, p, op) if "[-z" in op else mistake(i, p, op)
    if "weights" in op and case["topic"] == "ranking_distillation":
        return ranked_weights(i, p, peer + op)
    for start, part, run in (
        ("PaddlePaddle", "_dkd_loss", dkd("paddleslim.dkd_loss")),
        ("PaddlePaddle", "soft_label", kd("paddleslim.soft_label")),
        ("torch ", "label_smoothing", label_smoothing),
        ("torch ", "BCE", lambda i, p: clicks(i, p, op)),
        ("torch ", "T^2*KL", kd("RepDistiller.DistillKL")),
        ("torch ", "kl_div", kd("torch.kl_div.batchmean", asked=True)),
        ("HobbitLong", "DistillKL", kd("RepDistiller.DistillKL")),
        ("HobbitLong", "Hint", features(hint_loss, hint_loss_backward)),
        ("HobbitLong", "RKD", relational),
        ("lenscloth", "RKD", relational),
        ("HobbitLong", "PKT", features(neighbour_loss, neighbour_loss_backward)),
        ("HobbitLong", "Correlation", features(congruence_loss, congruence_loss_backward)),
        ("HobbitLong", "CC", features(congruence_loss, congruence_loss_backward)),
        ("HobbitLong", "S", features(gram_loss, gram_loss_backward, epsilon=1e-12)),
        ("megvii", "dkd_loss", dkd("mdistiller.dkd_loss")),
        ("megvii", "kd_loss", kd("mdistiller.kd_loss")),
        ("megvii", "rkd", relational),
        ("airaria", "kd_ce_loss", kd("TextBrewer.kd_ce_loss")),
        ("airaria", "kd_mse_loss", kd("TextBrewer.kd_mse_loss")),
        ("yoshitomo", "KDLoss", joint("torchdistill.KDLoss", torchdistill)),
        ("yoshitomo", "DIST", dist(added=False)),
        ("hunto", "DIST", dist(added=True)),
        ("NVIDIA", "MFTLoss", minifinetuning),
        ("NVIDIA", "LogitsDistillationLoss", kd("ModelOpt.LogitsDistillationLoss", asked=True)),
        ("neuralmagic", "kl_logsoftmax", kd("sparseml.kd")),
        ("intel", "Loss", inc),
        ("microsoft", "kl", kd("NNI.DynamicLayerwiseDistiller")),
        ("SforAiDl", "VanillaKD", joint("KD_Lib.VanillaKD", lambda p: split_alpha(p["distil_weight"], "KD_Lib.VanillaKD"))),
        ("IntelLabs", "Policy", joint("distiller.KnowledgeDistillationPolicy", lambda p: (p["distill"], p["student"]))),
        ("peterliht", "", joint("peterliht.loss_fn_kd", lambda p: split_alpha(p["alpha"], "peterliht.loss_fn_kd"))),
        ("graytowne", "log_loss", positional),
        ("SeongKu", "relaxed_ranking_loss", lambda i, p: plackett_luce(i, p, op)),
        ("woriazzc", "CD", collaborative),
    ):
        if peer.startswith(start) and part in op:
            return run(i, p)
    raise NotOffered(f"{peer}: {op}")


def difference(ours, theirs):
    """The largest difference, relative to the largest number of the answer; nan and infinity equal themselves."""
    if isinstance(ours, dict) and not isinstance(theirs, dict):
        ours = ours["loss"]
    if isinstance(theirs, dict):
        return max(difference(ours[key], theirs[key]) for key in theirs)
    a, b = np.asarray(ours, np.float64), array(theirs)
    if a.shape != b.shape:
        return np.inf
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return 0.0
    if not (np.isfinite(a[~same]).all() and np.isfinite(b[~same]).all()):
        return np.inf
    # a gradient that is 0 in theory is as large as its terms' rounding: measured against numbers of size 1e-3 at least
    return float(np.abs(a - b)[~same].max() / max(np.abs(b[np.isfinite(b)]).max(), 1e-3))


def in_float32(output):
    """Whether the answer was computed in float32: all its numbers fit, as 1 in 2^29 of others does, and some are not short."""
    if isinstance(output, dict):
        return all(in_float32(v) for v in output.values())
    b = array(output).ravel()
    b = b[np.isfinite(b)]
    return bool(b.size and (b == b.astype(np.float32)).all() and (b * 4096 % 1 != 0).any())


def judge(cases):
    """{id: what is wrong, and why if that is known} of the cases that do not agree."""
    wrong = {}
    for case in cases:
        tolerance = 2.0**-22 if in_float32(case["output"]) else 1e-12
        try:
            d = difference(answer(case), case["output"])
        except (NotOffered, ValueError) as e:
            wrong[case["id"]] = f"not offered: {e}", reason(case)
            continue
        if not d <= tolerance:
            wrong[case["id"]] = f"differs by {d:.2e}: {case['peer']}, {case['op']}", reason(case)
    return wrong


def load(path):
    cases = json.loads(path.read_text(encoding="utf-8"))
    return [c for c in (cases["cases"] if path == CARRIED else cases) if c["topic"] in TOPICS]


@pytest.mark.parametrize("where", ["carried", "all"])
def test_cases_agree(where, request):
    path = CARRIED if where == "carried" else request.getfixturevalue("peers_dir") / "pruning_distillation_cases.json"
    cases = load(path)
    assert len(cases) >= 30
    wrong = judge(cases)
    assert all(why for _, why in wrong.values()), wrong
    assert len(wrong) <= 0.03 * len(cases), wrong


def test_a_wrong_answer_would_be_seen():
    cases = [c for c in load(CARRIED) if c["id"] == "kd-0695"]
    assert cases and not judge(cases)
    for factor in (1 + 1e-11, -1):
        assert judge([dict(c, output={"loss": c["output"]["loss"] * factor}) for c in cases])


def test_what_a_miss_still_agrees_on():
    case = next(c for c in load(CARRIED) if c["id"] == "kd-0760")
    ours, theirs = answer(case), case["output"]
    assert difference(ours["loss"], theirs["loss"]) <= 1e-12
    assert difference(ours["grad"][1:], theirs["grad"][1:]) <= 1e-12 and np.isfinite(ours["grad"]).all()
