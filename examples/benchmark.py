"""Is hand-written NumPy slower than a framework? Training steps and scoring, against the same model in eager PyTorch.

One thread each, float32, Adam, two id tables of 32 columns and an MLP 64-32-16-8-1, sizes of MovieLens-100K. Each round times both
sides, in an order that alternates; the ratio is the median over rounds, so a busy machine slows both alike. Without torch, only
our own times are printed. The second table shows that a training step does not get slower as the tables grow: a step of lazy Adam
touches the rows of its batch and no others (optimizers.adam says how that differs from dense Adam).

    python examples/benchmark.py
"""
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from tinycompress.cost import compare_latency, measure_latency
from tinycompress.optimizers import adam
from tinycompress.recommender import Architecture, init
from tinycompress.scoring import predictor
from tinycompress.training import supervised

try:
    import torch
except ImportError:
    torch = None


def ours(users, items, batch, columns=32, hidden=(32, 16, 8)):
    """A training step and a scoring call of this package's model on one batch."""
    rng = np.random.default_rng(0)
    architecture = Architecture((users, items), (columns, columns), hidden)
    inputs = rng.integers(0, users, batch), rng.integers(0, items, batch)
    labels = (rng.random(batch) < 0.2).astype(np.float32)
    params, optimizer = init(rng, architecture), adam(2e-3)
    state, objective = optimizer.init(params), supervised(architecture, "bce")
    score = predictor(params, architecture)

    def step():
        _, grads = objective(params, (inputs, labels))
        optimizer.update(params, grads, state)

    return step, lambda: score(inputs), (*inputs, labels)


def theirs(users, items, batch):
    """The same in eager PyTorch."""
    torch.set_num_threads(1)
    nn, (u, i, y) = torch.nn, map(torch.from_numpy, batch)
    tables = nn.ModuleList([nn.Embedding(users, 32), nn.Embedding(items, 32)])
    mlp = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam([*tables.parameters(), *mlp.parameters()], 2e-3)
    loss = nn.BCEWithLogitsLoss()

    def logits():
        return mlp(torch.cat([tables[0](u), tables[1](i)], 1))[:, 0]

    def step():
        optimizer.zero_grad()
        value = loss(logits(), y)
        value.backward()
        optimizer.step()
        value.item()

    def score():
        with torch.no_grad():
            logits()

    return step, score


def main(repeats=60):
    print("rows of a batch       256    1,024    4,096")
    lines = {"training, ms": [], "scoring, ms": [], "training, torch / ours": [], "scoring, torch / ours": []}
    for batch in (256, 1024, 4096):
        mine = ours(943, 1682, batch)
        for name, k in (("training", 0), ("scoring", 1)):
            if torch is None:
                lines[f"{name}, ms"].append(1e3 * measure_latency(mine[k], repeats).median)
                continue
            found = compare_latency(theirs(943, 1682, mine[2])[k], mine[k], repeats)
            lines[f"{name}, ms"].append(1e3 * found.second.median)
            lines[f"{name}, torch / ours"].append(found.ratio)
    for name, values in lines.items():
        if values:
            print(f"{name:<22}" + "".join(f"{v:>6.2f}   " for v in values))
    print("\nrows of each table    step of 4,096 rows, ms")
    for rows in (10_000, 100_000, 1_000_000):
        print(f"{rows:>12,}          {1e3 * measure_latency(ours(rows, rows, 4096)[0], repeats).median:.2f}")


if __name__ == "__main__":
    main()
