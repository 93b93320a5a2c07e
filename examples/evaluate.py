"""How is compression evaluated? Class by class, rank by rank, in bytes of a written file and in time, before and after.

No single number will do. Four bits leave accuracy where it was, as far as 240 lists can tell (95 % bootstrap interval below), but
one product in twenty of the top ten is another. Who always answers "skip" has most of the accuracy; in lists of 25 a random order
has a hit rate of .98: AUC, NDCG, macro F1 see that. Weighted recall, sum_c (n_c / n)(right_c / n_c), is accuracy, trace / n, of
any confusion matrix (below: truth down, by n): it adds nothing. The gap, training minus test NDCG, says how much is memory.

    python examples/evaluate.py        (with matplotlib: also evaluate.png; times, of which no two runs agree, go to stderr)
It prints:
                accuracy  macro P  macro R macro F1  wtd. F1      AUC    HR@10  NDCG@10  kept@10      gap    bytes
    original      0.6862   0.5881   0.5505   0.5634   0.6693   0.8476   1.0000   0.7084   1.0000   0.0381   82,871
    int8          0.6857   0.5873   0.5498   0.5626   0.6688   0.8477   1.0000   0.7083   0.9967   0.0381   27,426
    int4          0.6870   0.5885   0.5539   0.5661   0.6714   0.8467   1.0000   0.7103   0.9508   0.0371    9,194
    pruned        0.6870   0.5870   0.5416   0.5534   0.6645   0.8470   1.0000   0.7108   0.9321   0.0404   44,212
    distilled     0.6807   0.5794   0.5294   0.5437   0.6573   0.8409   1.0000   0.7030   0.9167   0.0215   31,884
    always skip   0.6103   0.2034   0.3333   0.2527   0.4626   0.5000   0.9811   0.3751   0.4000   0.0045    3,513
    weighted recall 0.6862 = 0.6862, the trace of [[0.536, 0.042, 0.032], [0.088, 0.075, 0.04], [0.075, 0.037, 0.076]]
    accuracy, int4 - original: +0.0008 [-0.0035, +0.0055]
"""
import sys
import tempfile

import numpy as np
from pictures import bars, draw, matrix

from tinycompress import comparison, cost, evaluation, fields, metrics, problems, recipes, scoring, shop

problem, rng = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=60_000)), np.random.default_rng(0)
inputs, truth = fields.batch_inputs(problem.fields, problem.pairs.rows), problem.pairs.labels
schedule, small = recipes.Schedule(6, lr=4e-3), recipes.architecture_for(problem, 8, (16,))
model = recipes.train(problem, recipes.architecture_for(problem, 16, (64, 32)), schedule, rng)
models = {
    "original": model, "int8": recipes.quantize_weights(model, 8), "int4": recipes.quantize_weights(model, 4, per_row=False),
    "pruned": recipes.prune(model, problem, 0.5, recipes.Schedule(2), rng),
    "distilled": recipes.train(problem, small, schedule, rng, recipes.distilled_objective(problem, small, model, 2.0, 0.7)),
    "always skip": recipes.Model({name: 0 * p for name, p in model.params.items()}, model.architecture)}  # fmt: skip
columns = ["accuracy", "macro P", "macro R", "macro F1", "wtd. F1", "AUC", "HR@10", "NDCG@10", "kept@10", "gap", "bytes"]
print(" " * 11, *(f"{column:>8}" for column in columns))
original, table, folder = (model.params, model.architecture), [], tempfile.TemporaryDirectory()
before, score = evaluation.judge(*original, problem), scoring.predictor(*original, 0)
for name, m in models.items():
    quality, theirs = evaluation.judge(m.params, m.architecture, problem), scoring.predictor(m.params, m.architecture, 0)
    macro = [f(truth, theirs(inputs).argmax(axis=1), "macro") for f in (metrics.precision, metrics.recall, metrics.f1)]
    kept = metrics.top_k_overlap(before.scores, quality.scores, 10)
    row = [quality.accuracy, *macro, quality.f1, quality.auc, quality.hit_rate, quality.ndcg, kept, quality.gap]
    size = comparison.save_model(f"{folder.name}/model.tcz", m)
    table.append([*row, size, cost.compare_latency(lambda: score(inputs), lambda: theirs(inputs)).ratio])
    print(f"{name:<11}", *(f"{v:>8.4f}" for v in row), f"{size:>8,}")
    print(f"{name}: {table[-1][-1]:.2f} times as fast", file=sys.stderr)
counts = metrics.confusion_matrix(truth, score(inputs).argmax(axis=1))
shares, actual, right = (x / counts.sum() for x in (counts, counts.sum(axis=1), counts.diagonal()))
print(f"weighted recall {(actual * (right / actual)).sum():.4f} = {right.sum():.4f}, the trace of {shares.round(3).tolist()}")
guesses = (scoring.predictor(m.params, m.architecture, 0)(inputs).argmax(axis=1) for m in (models["int4"], model))
lists = [(guess == truth).reshape(before.scores.shape).mean(axis=1) for guess in guesses]
i = metrics.paired_bootstrap(np.random.default_rng(0), lists[0] - lists[1])
print(f"accuracy, int4 - original: {i.mean:+.4f} [{i.low:+.4f}, {i.high:+.4f}]")
names, part = list(models)[:-1], dict(zip([*columns, "times"], (np.array(table) / table[0])[:-1].T))
draw("evaluate", matrix(counts, ("skip", "click", "buy"), xlabel="predicted", ylabel="true", title="original, pairs of the test"),
     bars({c: part[c] for c in ("accuracy", "macro F1", "NDCG@10", "kept@10")}, names, 1, "outside", True, xlabel="after/before"),
     bars({"times smaller": 1 / part["bytes"], "times faster": part["times"]}, names, 1, "best", xlabel="before/after"))
