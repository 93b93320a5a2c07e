"""What is distillation, when does it help, and what does T^2 do? A study that can say no: a student alone, and the same taught.

A small model learns from labels and from a larger one's softened answers: L = (1 - a) hard + a T^2 KL(p_T || q_T); here a = .5.
KL's slope (q_T - p_T) / T vanishes as 1 / T^2 beside the hard one's; T^2 lets it grow at first, then holds it still (below, of a
student alone). Who forgets T^2 turns the teacher off by turning T up. With a = 1 Adam hides it: no constant changes its steps.
The taught gain where pairs are few and the student falls short of its teacher. With twice as many nothing is left to gain, and a
teacher heard at T = 8 does harm. In brackets: the gain in NDCG@10, 95 % bootstrap interval over lists; means of 3 seeds.

    python examples/distill.py        (with matplotlib: also distill.png)
It prints:

    pairs               16,000                                 32,000
    student             0.5718  +0.0000 [+0.0000, +0.0000]     0.6488  +0.0000 [+0.0000, +0.0000]
    teacher             0.6425  +0.0707 [+0.0425, +0.1025]     0.6617  +0.0128 [-0.0008, +0.0258]
    T = 1, with T^2     0.5849  +0.0131 [+0.0020, +0.0233]     0.6490  +0.0001 [-0.0050, +0.0053]
    T = 2, with T^2     0.5912  +0.0194 [+0.0086, +0.0303]     0.6461  -0.0027 [-0.0080, +0.0023]
    T = 8, with T^2     0.5801  +0.0083 [-0.0023, +0.0190]     0.6322  -0.0167 [-0.0236, -0.0099]
    T = 2, without      0.5834  +0.0116 [+0.0043, +0.0189]     0.6518  +0.0030 [-0.0002, +0.0062]
    T = 8, without      0.5703  -0.0015 [-0.0063, +0.0029]     0.6489  +0.0001 [-0.0015, +0.0017]
    soft / hard slope at T = 1, 2, 4, 8, 16, with T^2: 0.289 0.464 0.568 0.581 0.573   without: 0.289 0.116 0.035 0.009 0.002
"""
import numpy as np
from pictures import bars, draw, lines

from tinycompress import evaluation, losses, metrics, ops, optimizers, problems, recipes, recommender, shop, training
from tinycompress.dense_training import taught
from tinycompress.distillation import kd_loss_and_gradient

SEEDS, adam, table, curves, ndcg = range(3), optimizers.adam(8e-3), {"pairs": f"{'16,000':>11}{'32,000':>39}"}, {}, {}
def trained(shape, seed, objective=None):
    rng, objective = np.random.default_rng(seed), objective or training.supervised(shape, problem.loss)
    return training.fit(recommender.init(rng, shape), problem.batches(pairs // 16), objective, adam, 6, rng).params
def joint(seed, t, way):
    def loss(z_s, z_t, y):
        (soft, slope), f = kd_loss_and_gradient(z_s, z_t, t), 1 if way == "with T^2" else 1 / t**2  # both come with T^2
        return (losses.cross_entropy(z_s, y) + f * soft) / 2, (losses.cross_entropy_backward(z_s, y) + f * slope) / 2
    return taught(small, lambda inputs: recommender.forward(models["teacher"][seed], inputs, large)[0], loss)
for pairs in (16_000, 32_000):  # to train on, 80 % of what the shop shows, in as many steps
    problem = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=pairs * 5 // 4))
    small, large = recipes.architecture_for(problem, 4, (8,)), recipes.architecture_for(problem, 16, (32, 16))
    models = {"student": [trained(small, 100 + seed) for seed in SEEDS], "teacher": [trained(large, seed) for seed in SEEDS]}
    for t, way in ((1, "with T^2"), (2, "with T^2"), (8, "with T^2"), (2, "without"), (8, "without")):
        models[f"T = {t}, {way}"] = [trained(small, 100 + seed, joint(seed, t, way)) for seed in SEEDS]
    for name, some in models.items():
        scores = [evaluation.judge(params, large if name == "teacher" else small, problem).scores for params in some]
        ndcg[name] = np.mean([metrics.ndcg(s, problem.test.relevance, 10, average=None) for s in scores], axis=0)
        g = metrics.paired_bootstrap(np.random.default_rng(0), ndcg[name] - ndcg["student"])
        table[name] = table.get(name, "") + f"     {ndcg[name].mean():.4f}  {g.mean:+.4f} [{g.low:+.4f}, {g.high:+.4f}]"
        if name[0] == "T":
            curves.setdefault(f"{pairs:,} pairs, {name[7:]}", []).append((int(name[4]), g.mean, g.mean - g.low, g.high - g.mean))
print(*(f"{name:<15}{cells}" for name, cells in table.items()), sep="\n")
hot, norm, (inputs, y) = np.array([1, 2, 4, 8, 16]), np.linalg.norm, next(problem.batches(512)(np.random.default_rng(0)))
z_s, z_t = (recommender.forward(models[name][0], inputs, shape)[0] for name, shape in (("student", small), ("teacher", large)))
soft = np.array([norm(kd_loss_and_gradient(z_s, z_t, t)[1]) for t in hot]) / norm(losses.cross_entropy_backward(z_s, y))
print("soft / hard slope at T = 1, 2, 4, 8, 16, with T^2:", *soft.round(3), "  without:", *(soft / hot**2).round(3))
draw("distill",
     bars({f"T = {t}": ops.softmax(z_t[0], t) for t in (1, 2, 8)}, ("skip", "click", "buy"), title="one pair: the teacher's p_T"),
     lines({"with T^2": (hot, soft), "without": (hot, soft / hot**2)}, xlabel="T", ylabel="soft slope / hard slope"),
     lines({n: (t + i / 20, g, e) for i, (n, p) in enumerate(curves.items()) for t, g, *e in [np.transpose(p)]},
           levels={"student alone": 0}, xlabel="T", ylabel="gain in NDCG@10"))  # fmt: skip
