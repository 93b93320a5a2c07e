"""Real data, judged honestly: train, make smaller, judge; the mean of several seeds.

    python examples/real_data.py PATH/u.data [--history] [--seeds 3] [--columns 32] [--hidden 64,32] [--epochs 20] [--lr .002]

PATH is anything `tinycompress compress` takes. The epoch is chosen on the validation items, never on the test items; negatives of
training avoid what the training part holds and nothing else. Where some test items were never seen in training, hit rate and NDCG
are also given on those that were: a scorer that simply prefers unseen items can look good overall.
"""
import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: two threads wait for each other on small matrices

import numpy as np

from tinycompress import evaluation, metrics, problems
from tinycompress.recipes import Schedule, architecture_for, quantize_weights, train


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--columns", type=int, default=32)
    parser.add_argument("--hidden", default="64,32")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=2e-3)
    a = parser.parse_args()
    found = {}
    for seed in range(a.seeds):
        rng = np.random.default_rng(seed)
        split, negatives = problems.read_split(a.path, rng)
        problem = problems.implicit(a.path, split, negatives, rng, history=a.history)
        shape = architecture_for(problem, a.columns, tuple(map(int, a.hidden.split(","))))
        model = train(problem, shape, Schedule(a.epochs, lr=a.lr), rng)
        seen = np.isin(split.test.items, split.train.items)
        for name, one in {
            "float32": model, "int8 per row": quantize_weights(model, 8), "int4 per row": quantize_weights(model, 4),
            "int4 per tensor": quantize_weights(model, 4, per_row=False),
        }.items():  # fmt: skip
            scores, relevance = evaluation.judge(one.params, shape, problem).scores, problem.test.relevance
            numbers = [metrics.hit_rate(scores, relevance, 10), metrics.ndcg(scores, relevance, 10)]
            numbers += [metrics.hit_rate(scores[seen], relevance[seen], 10), metrics.ndcg(scores[seen], relevance[seen], 10)]
            found.setdefault(name, []).append(numbers)
    print(f"{a.path}: mean of {a.seeds} seeds; {seen.mean():.1%} of the test items were seen in training")
    print("                  HR@10  NDCG@10   seen: HR@10  NDCG@10")
    for name, numbers in found.items():
        hr, ndcg, seen_hr, seen_ndcg = np.mean(numbers, axis=0)
        print(f"{name:<16} {hr:>6.4f}   {ndcg:>6.4f}        {seen_hr:>6.4f}   {seen_ndcg:>6.4f}")


if __name__ == "__main__":
    main()
