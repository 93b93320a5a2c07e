"""When does distillation help? A study that can say no: the student alone against the same student taught, at equal budget.

Every student has the same shape, batches and epochs; only the weight a of the teacher's part and the temperature T differ. The
verdict compares NDCG list by list (mean over the seeds) with the student alone: BETTER or WORSE where the paired bootstrap
interval of the difference is on one side of 0 and every seed agrees in sign, INCONCLUSIVE where only one of the two holds, else NO
BETTER. The last rows say what else could be had: the teacher itself in eight bits, and steps in several orders.

    python examples/distill.py [PATH]      on the synthetic shop, or on a file as `tinycompress compress` takes it
                                           (with matplotlib: also distill.png)
It prints:

    shop: 4 seeds, 80 lists
                        bytes   NDCG@10  calibration   against the student alone
    a = 0.0, T = 1     15,655    0.5756       0.0410   the student alone
    a = 0.5, T = 1     15,666    0.6090       0.0454   +0.0334 [+0.0216, +0.0454]  BETTER
    a = 0.5, T = 2     15,662    0.6047       0.0422   +0.0291 [+0.0177, +0.0408]  BETTER
    a = 0.5, T = 4     15,660    0.6048       0.0477   +0.0292 [+0.0175, +0.0414]  BETTER
    a = 0.5, T = 8     15,654    0.6059       0.0466   +0.0303 [+0.0174, +0.0440]  BETTER
    a = 1.0, T = 1     15,651    0.6235       0.0391   +0.0479 [+0.0289, +0.0694]  BETTER
    a = 1.0, T = 2     15,658    0.6114       0.0421   +0.0358 [+0.0196, +0.0530]  BETTER
    a = 1.0, T = 4     15,633    0.6124       0.0463   +0.0368 [+0.0189, +0.0557]  BETTER
    a = 1.0, T = 8     15,638    0.6042       0.0476   +0.0286 [+0.0132, +0.0452]  BETTER
    teacher            68,566    0.6378       0.0379   +0.0622 [+0.0378, +0.0901]  BETTER
    teacher in int8    23,139    0.6380       0.0370   +0.0624 [+0.0373, +0.0876]  BETTER
    distil, int4        6,099    0.6036       0.0443   +0.0280 [+0.0159, +0.0407]  BETTER
    prune, int4        11,220    0.6358       0.0364   +0.0602 [+0.0347, +0.0871]  BETTER
    int4, prune        11,198    0.6400       0.0335   +0.0644 [+0.0396, +0.0906]  BETTER
"""
import os
import sys
import tempfile

import numpy as np

from tinycompress import problems
from tinycompress.comparison import save_model
from tinycompress.evaluation import judge
from tinycompress.metrics import calibration_error, ndcg, paired_bootstrap
from tinycompress.ops import softmax
from tinycompress.recipes import Schedule, architecture_for, distilled_objective, prune, quantize_weights, train
from tinycompress.scoring import per_entity, predictor
from tinycompress.shop import make_shop

SEEDS = 4


def calibration(model, problem):
    """Expected calibration error of the probability of any outcome but class 0."""
    params, shape = per_entity(model.params, problem.fields, model.architecture)
    logits = predictor(params, shape)([problem.pairs.rows[field.entity] for field in problem.fields])
    p = 1 / (1 + np.exp(-logits)) if logits.ndim == 1 else 1 - softmax(logits)[:, 0]
    return calibration_error((problem.pairs.labels > 0).astype(int), p)


def size(model):
    with tempfile.TemporaryDirectory() as folder:
        return save_model(os.path.join(folder, "m.tcz"), model)


def per_list(model, problem):
    scores = judge(model.params, model.architecture, problem).scores
    return ndcg(scores, problem.test.relevance, 10, average=None)


def verdict(rng, new, old):
    """new, old: (seeds, lists)."""
    difference = new - old
    interval = paired_bootstrap(rng, difference.mean(axis=0))
    apart, agree = not interval.low <= 0 <= interval.high, len(set(np.sign(difference.mean(axis=1)))) == 1
    word = "INCONCLUSIVE" if apart != agree else "NO BETTER" if not apart else "BETTER" if interval.mean > 0 else "WORSE"
    return f"{interval.mean:+.4f} [{interval.low:+.4f}, {interval.high:+.4f}]  {word}"


def main(path=None):
    if path is None:
        problem = problems.shop_problem(make_shop(np.random.default_rng(0), n_impressions=20_000))
        big, small, schedule = (16, (32, 16)), (4, (8,)), Schedule(6, lr=8e-3)
    else:
        rng = np.random.default_rng(0)
        problem = problems.implicit(path, *problems.read_split(path, rng), rng)
        big, small, schedule = (32, (64, 32)), (8, (16, 8)), Schedule(15)
    teachers = [train(problem, architecture_for(problem, *big), schedule, np.random.default_rng(seed)) for seed in range(SEEDS)]
    shape = architecture_for(problem, *small)

    def student(seed, weight, temperature):
        objective = distilled_objective(problem, shape, teachers[seed], temperature, weight)
        return train(problem, shape, schedule, np.random.default_rng(100 + seed), objective)

    grid = [(0.0, 1.0), *((a, t) for a in (0.5, 1.0) for t in (1.0, 2.0, 4.0, 8.0))]
    students = {key: [student(seed, *key) for seed in range(SEEDS)] for key in grid}
    alone = np.array([per_list(m, problem) for m in students[0.0, 1.0]])
    extras = {
        "teacher": teachers,
        "teacher in int8": [quantize_weights(m, 8) for m in teachers],
        "distil, int4": [quantize_weights(m, 4) for m in students[0.5, 2.0]],
        "prune, int4": [quantize_weights(prune(m, problem, 0.5, Schedule(1), np.random.default_rng(0)), 4) for m in teachers],
        "int4, prune": [quantize_weights(prune(quantize_weights(m, 4), problem, 0.5, Schedule(1), np.random.default_rng(0)), 4) for m in teachers],
    }
    print(f"{problem.name}: {SEEDS} seeds, {alone.shape[1]} lists\n                    bytes   NDCG@10  calibration   against the student alone")
    rng, points = np.random.default_rng(0), {}
    for name, models in [*((f"a = {a}, T = {t:g}", students[a, t]) for a, t in grid), *extras.items()]:
        lists = np.array([per_list(m, problem) for m in models])
        points[name] = lists.mean()
        words = verdict(rng, lists, alone) if lists is not alone and name != "a = 0.0, T = 1" else "the student alone"
        error = np.mean([calibration(m, problem) for m in models])
        print(f"{name:<16} {np.mean([size(m) for m in models]):>8,.0f}    {lists.mean():.4f}       {error:.4f}   {words}")
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(figsize=(5, 3.5), constrained_layout=True)
    for a in (0.5, 1.0):
        axes.plot([1, 2, 4, 8], [points[f"a = {a}, T = {t}"] for t in (1, 2, 4, 8)], "o-", label=f"weight of the teacher {a:g}")
    axes.axhline(points["a = 0.0, T = 1"], color="gray", label="student alone")
    axes.axhline(points["teacher"], color="black", ls=":", label="teacher")
    axes.set(xscale="log", xlabel="temperature", ylabel="NDCG@10", xticks=[1, 2, 4, 8], xticklabels=[1, 2, 4, 8])
    axes.minorticks_off(), axes.legend(frameon=False, loc="center right")
    figure.savefig("distill.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
