"""Dense training: what does "training on raw + compressed data" buy? Fewer rows, drawn, chosen, or labelled by a teacher.

Every run takes as many steps; only the rows differ. Herded rows keep the mean of random features, and are not shown to be better
than random ones, the honest baseline. A teacher that was trained on all rows says more of a row than one label does: with its
answers the same 10 % are worth .10 more, half of the rows nearly as much as all; they do not beat all. Nor does (1 - b) raw +
b compressed, b = .2, gain anything over raw alone, whatever the rows. NDCG@10 and its standard error over seeds.

    python examples/dense.py [SEEDS]        (with matplotlib: also dense.png)

It prints:

    all rows: 0.6291 +- 0.0005           1 %              10 %              50 %        raw + 10 %
    random                       0.4265 +- 0.0167   0.4657 +- 0.0100   0.5964 +- 0.0039   0.6295 +- 0.0029
    herded                       0.3832 +- 0.0162   0.4630 +- 0.0200   0.6042 +- 0.0058   0.6253 +- 0.0053
    random, by a teacher         0.4595 +- 0.0059   0.5681 +- 0.0072   0.6211 +- 0.0062   0.6265 +- 0.0002
"""
import sys

import numpy as np
from pictures import draw, lines

from tinycompress import dense_training, evaluation, fields, ops, optimizers, problems, recipes, recommender, shop, training
from tinycompress.condensation import herd

count, rng, shares = " ".join(sys.argv[1:]) or "3", np.random.default_rng(0), (0.01, 0.1, 0.5)
if not count.isdecimal() or int(count) < 2:
    sys.exit(f"SEEDS is {count!r}; give a number from 2 up: one seed has no standard error")
problem = problems.shop_problem(shop.make_shop(rng, n_impressions=20_000))
shape, rows, n, seeds = recipes.architecture_for(problem, 8, (16,)), problem.whole(rng), 16_000, range(int(count))
objectives = training.supervised(shape, problem.loss), dense_training.weighted(shape, problem.loss)

def inputs_of(part):
    return fields.batch_inputs(problem.fields, {kind: r[part] for kind, r in rows.rows.items()})

def herded(rng, share):  # on what an untrained network makes of a row, and its label; part by part: the cost grows as the square
    _, layers = recommender.forward(recommender.init(rng, shape), inputs_of(slice(n)), shape)
    phi, parts = np.hstack([layers[-1], np.eye(3)[rows.labels]]), np.array_split(rng.permutation(n), 8)
    phi /= phi.std(axis=0).clip(1e-6)
    return np.concatenate([part[herd(phi[part], round(share * len(part)))] for part in parts])

def ndcg(seed, choose, labels, share, b):
    rng = np.random.default_rng(seed)
    start, objective = recommender.init(rng, shape), dense_training.joint(*objectives, share=b)
    chosen = choose(rng, share) if choose else rng.choice(n, round(share * n), replace=False)
    pairs = ((raw, rng.choice(chosen, len(raw))) for _ in range(6) for raw in np.array_split(rng.permutation(n), n // 1000))
    batches = [((inputs_of(raw), rows.labels[raw]), (inputs_of(few), labels[few], np.ones(len(few)))) for raw, few in pairs]
    fitted = training.fit(start, lambda rng: batches, objective, optimizers.adam(8e-3), 1, rng)
    return evaluation.judge(fitted.params, shape, problem).ndcg

teacher = recipes.train(problem, shape, recipes.Schedule(6, lr=8e-3), rng)
answers = ops.softmax(recommender.forward(teacher.params, inputs_of(slice(n)), shape)[0])
raw, curves, root = np.array([ndcg(seed, None, rows.labels, 0.1, 0) for seed in seeds]), {}, (len(seeds) - 1) ** 0.5
print(f"all rows: {raw.mean():.4f} +- {raw.std() / root:.4f}           1 %              10 %              50 %        raw + 10 %")
for name, *way in (("random", None, rows.labels), ("herded", herded, rows.labels), ("random, by a teacher", None, answers)):
    ndcgs = np.array([[ndcg(seed, *way, share, b) for seed in seeds] for share, b in ((0.01, 1), (0.1, 1), (0.5, 1), (0.1, 0.2))])
    mean, error = ndcgs.mean(axis=1), ndcgs.std(axis=1) / root
    print(f"{name:<26}", *(f"  {m:.4f} +- {e:.4f}" for m, e in zip(mean, error)))
    curves[name] = shares, mean[:3], error[:3]
draw("dense", lines(curves, levels={"all rows": raw.mean()}, xlabel="share of the rows", ylabel="NDCG@10"))
