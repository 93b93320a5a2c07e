"""Dense training: what does "training on raw + compressed data" buy? Fewer rows, chosen, weighted or labelled by a teacher.

Every run has the same number of steps and batches of the same size; only the rows differ. Herded rows are chosen so that the mean
of fixed random features, label included, stays that of all rows; random rows are the honest baseline; teacher-labelled rows are the
same random rows with the teacher's probabilities for labels. The last rows train on raw and condensed rows together, loss
(1 - b) raw + b condensed: at b = 0 that is raw training to the bit.

    python examples/dense.py [PATH [SEEDS]]      on the synthetic shop, or on a file as `tinycompress compress` takes it
                                                 (with matplotlib: also dense.png)
It prints:

    shop: 16,000 rows, mean of 3 seeds       NDCG@10              HR@10
    all rows                           0.6388 +- 0.0025   0.9875
    1% random                          0.4150 +- 0.0123   0.9792
    1% herded                          0.4027 +- 0.0061   0.9792
    1% random, labelled by the teacher 0.4393 +- 0.0092   0.9792
    10% random                         0.4698 +- 0.0107   0.9833
    10% herded                         0.4755 +- 0.0041   0.9958
    10% random, labelled by the teacher 0.6059 +- 0.0055   0.9958
    raw + 10% herded, b = .2           0.6370 +- 0.0037   0.9875
    raw + 10% by the teacher, b = .2   0.6354 +- 0.0018   0.9917
    50% random                         0.6305 +- 0.0038   0.9958
    50% herded                         0.6246 +- 0.0049   1.0000
    50% random, labelled by the teacher 0.6420 +- 0.0044   0.9917
"""
import sys

import numpy as np

from tinycompress import problems
from tinycompress.condensation import herd
from tinycompress.dense_training import joint, weighted
from tinycompress.evaluation import judge
from tinycompress.fields import batch_inputs
from tinycompress.ops import sigmoid, softmax
from tinycompress.optimizers import adam
from tinycompress.recipes import Schedule, architecture_for, train
from tinycompress.recommender import forward, init
from tinycompress.shop import make_shop
from tinycompress.splits import shuffled_batches
from tinycompress.training import fit, supervised

SHARES, SEEDS, BATCH = (0.01, 0.1, 0.5), 3, 512


def herded(rng, inputs_of, labels, share, shape):
    """Rows herded chunk by chunk on the last layer of an untrained network, beside their label: cost grows with the rows, not their square."""
    network, chosen = init(rng, shape), []
    for part in np.array_split(rng.permutation(len(labels)), max(1, len(labels) // 2000)):
        features = np.hstack([forward(network, inputs_of(part), shape)[1][-1], np.eye(labels.max() + 1)[labels[part]]])
        chosen.append(part[herd(features / features.std(axis=0).clip(1e-6), max(1, round(share * len(part))))])
    return np.concatenate(chosen)


def main(path=None, seeds=SEEDS):
    rng = np.random.default_rng(0)
    if path is None:
        problem = problems.shop_problem(make_shop(rng, n_impressions=20_000))
        size, schedule = (8, (16,)), Schedule(6, lr=8e-3, batch_size=512)
    else:
        problem = problems.implicit(path, *problems.read_split(path, rng), rng)
        size, schedule = (32, (64, 32)), Schedule(8)
    shape = architecture_for(problem, *size)
    rows = problem.whole(rng)
    hard = rows.labels.astype(np.int64)
    teacher = train(problem, shape, schedule, rng)

    def inputs_of(part):
        return batch_inputs(problem.fields, {kind: r[part] for kind, r in rows.rows.items()})

    def taught(part):
        logits = forward(teacher.params, inputs_of(part), shape)[0]
        return sigmoid(logits) if logits.ndim == 1 else softmax(logits)

    def trained(seed, chosen, soft=False, share=1.0):
        """`share` of the loss on the chosen rows, the rest on all rows; the number of steps is that of raw training."""
        rng = np.random.default_rng(seed)
        objective = joint(supervised(shape, problem.loss), weighted(shape, problem.loss), share)

        def batches(rng):
            few = iter(())
            for part in shuffled_batches(rng, len(hard), BATCH):
                raw = inputs_of(part), rows.labels[part]
                if share == 0:
                    yield raw, None
                    continue
                some = next(few, None)
                if some is None:
                    few = shuffled_batches(rng, len(chosen), BATCH)
                    some = next(few)
                some = chosen[some]
                yield raw, (inputs_of(some), taught(some) if soft else rows.labels[some], np.ones(len(some), np.float32))

        fitted = fit(init(rng, shape), batches, objective, adam(schedule.lr), schedule.epochs, rng)
        return judge(fitted.params, shape, problem)

    def line(name, run):
        found = [run(seed) for seed in range(int(seeds))]
        values = [quality.ndcg for quality in found]
        hits = np.mean([quality.hit_rate for quality in found])
        print(f"{name:<34} {np.mean(values):.4f} +- {np.std(values) / max(int(seeds) - 1, 1) ** 0.5:.4f}   {hits:.4f}", flush=True)
        return np.mean(values)

    print(f"{problem.name}: {len(hard):,} rows, mean of {seeds} seeds       NDCG@10              HR@10")
    raw = line("all rows", lambda seed: trained(seed, None, share=0))
    curves = {}
    for share in SHARES:
        count = round(share * len(hard))
        draws = {
            "random": lambda seed: np.random.default_rng(seed).choice(len(hard), count, replace=False),
            "herded": lambda seed: herded(np.random.default_rng(seed), inputs_of, hard, share, shape),
        }
        for kind, draw in draws.items():
            curves.setdefault(kind, []).append(line(f"{share:.0%} {kind}", lambda seed: trained(seed, draw(seed))))
        name = "random, labelled by the teacher"
        curves.setdefault(name, []).append(line(f"{share:.0%} {name}", lambda seed: trained(seed, draws["random"](seed), soft=True)))
        if share == 0.1:
            line("raw + 10% herded, b = .2", lambda seed: trained(seed, draws["herded"](seed), share=0.2))
            line("raw + 10% by the teacher, b = .2", lambda seed: trained(seed, draws["random"](seed), soft=True, share=0.2))
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(figsize=(5, 3.5), constrained_layout=True)
    for kind, values in curves.items():
        axes.plot(SHARES, values, "o-", label=kind)
    axes.axhline(raw, color="gray", label="all rows")
    axes.set(xscale="log", xlabel="share of the rows", ylabel="NDCG@10")
    axes.legend(frameon=False, loc="lower right")
    figure.savefig("dense.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
