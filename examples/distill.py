"""What is distillation, when does it help, and why T^2? A study that can say no: a student alone against the same student taught.

A small model learns from labels and from a larger one's softened answers: L = (1 - a) hard + a T^2 KL(p_T || q_T), whose slope is
a T (q_T - p_T), and q_T - p_T shrinks as 1 / T: without T^2 the teacher falls silent as T grows. Here a = 1.
In this shop it helps where rows are few and the student falls short of its teacher; with twice as many nothing is left to gain.
A high T costs. In brackets: the bootstrap interval, over lists, of the gain in NDCG@10 over the student alone; mean of 3 seeds.

    python examples/distill.py        (with matplotlib: also distill.png)

It prints:

    rows            20,000                                 40,000
    student         0.5718  +0.0000 [+0.0000, +0.0000]     0.6488  +0.0000 [+0.0000, +0.0000]
    teacher         0.6425  +0.0707 [+0.0425, +0.1025]     0.6617  +0.0128 [-0.0008, +0.0258]
    T = 1           0.6138  +0.0420 [+0.0239, +0.0615]     0.6465  -0.0024 [-0.0088, +0.0040]
    T = 2           0.5816  +0.0098 [-0.0018, +0.0218]     0.6031  -0.0457 [-0.0598, -0.0318]
    T = 8           0.5621  -0.0097 [-0.0247, +0.0039]     0.6091  -0.0397 [-0.0543, -0.0262]
    T = 1, int4     0.6133  +0.0415 [+0.0230, +0.0620]     0.6480  -0.0008 [-0.0078, +0.0061]
    slope at T = 1, 2, 8: 0.2283 0.3738 0.4535 and without T^2: 0.2283 0.0935 0.0071
"""
import numpy as np
from pictures import bars, draw, lines

from tinycompress import evaluation, metrics, ops, optimizers, problems, recipes, recommender, shop, soft_targets, training

SEEDS, TEMPERATURES, table, curves = range(3), (1, 2, 8), {"rows": f"     {'20,000':<39}40,000"}, {}


def trained(problem, shape, seed, objective):
    rng, batches = np.random.default_rng(seed), problem.batches(rows // 20)  # as many steps, however many rows
    fitted = training.fit(recommender.init(rng, shape), batches, objective, optimizers.adam(8e-3), 6, rng)
    return recipes.Model(fitted.params, shape)


for rows in (20_000, 40_000):
    problem, lists, gains = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=rows)), {}, {}
    large, small = recipes.architecture_for(problem, 16, (32, 16)), recipes.architecture_for(problem, 4, (8,))
    models = {"student": [trained(problem, small, 100 + seed, training.supervised(small, problem.loss)) for seed in SEEDS],
              "teacher": [trained(problem, large, seed, training.supervised(large, problem.loss)) for seed in SEEDS]}
    for t in TEMPERATURES:
        taught = [recipes.distilled_objective(problem, small, teacher, t, soft_weight=1.0) for teacher in models["teacher"]]
        models[f"T = {t}"] = [trained(problem, small, 100 + seed, taught[seed]) for seed in SEEDS]
    models["T = 1, int4"] = [recipes.quantize_weights(m, 4) for m in models["T = 1"]]
    for name, some in models.items():
        scores = [evaluation.judge(m.params, m.architecture, problem).scores for m in some]
        lists[name] = np.mean([metrics.ndcg(s, problem.test.relevance, 10, average=None) for s in scores], axis=0)
        gains[name] = g = metrics.paired_bootstrap(np.random.default_rng(0), lists[name] - lists["student"])
        table[name] = table.get(name, "") + f"     {lists[name].mean():.4f}  {g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}]"
    mean, low, high = np.transpose([[getattr(gains[f"T = {t}"], end) for end in ("mean", "low", "high")] for t in TEMPERATURES])
    curves[f"{rows:,} rows"] = TEMPERATURES, mean, (mean - low, high - mean)
for name, cells in table.items():
    print(f"{name:<11}{cells}")
inputs, _ = next(problem.batches(512)(np.random.default_rng(0)))
z_s, z_t = (recommender.forward(some[0].params, inputs, some[0].architecture)[0] for some in list(models.values())[:2])
slopes = np.array([np.abs(soft_targets.kd_loss_backward(z_s, z_t, t)).sum() for t in TEMPERATURES])
silent = slopes / np.square(TEMPERATURES)
print("slope at T = 1, 2, 8:", *(f"{s:.4f}" for s in slopes), "and without T^2:", *(f"{s:.4f}" for s in silent))
draw("distill", bars({f"T = {t}": ops.softmax(z_t[0], t) for t in TEMPERATURES}, ("skip", "click", "buy"), xlabel="p_T"),
     lines({"with T^2": (TEMPERATURES, slopes), "without": (TEMPERATURES, silent)}, xlabel="T", ylabel="size of the slope"),
     lines(curves, levels={"student alone": 0}, xlabel="T", ylabel="gain in NDCG@10"))  # fmt: skip
