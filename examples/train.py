"""How is a recommender trained, and how does one know that it has learned what there is to learn?

The loop stands here in full: scores, loss, its slope, the way back, a step of Adam. `training.fit` is this loop and no more. The
loss on training rows falls for ever; on unseen rows it turns, and NDCG turns too, but later: stop by what is asked for. The best
possible scores of the synthetic shop are known. And nobody told the model which words are alike: clicks did.

    python examples/train.py        (with matplotlib: also train.png)

It prints:

    loss, training   0.878 0.725 0.689 0.668 0.655 0.642 0.632 0.616 0.604 0.590 0.577 0.568
    loss, unseen     0.790 0.747 0.748 0.753 0.752 0.759 0.759 0.769 0.785 0.789 0.819 0.826
    NDCG@10, unseen  0.636 0.660 0.675 0.677 0.679 0.679 0.681 0.681 0.683 0.670 0.658 0.656
    fit tells the same story to the bit: True
    test: AUC 0.840, best possible 0.876; NDCG@10 0.661, best possible 0.724
    more than half of what tells queries apart lies in 2 of 16 directions: True
"""
import numpy as np
from pictures import draw, lines

from tinycompress import evaluation, fields, losses, optimizers, problems, recommender, training
from tinycompress.metrics import ndcg
from tinycompress.recipes import architecture_for
from tinycompress.shop import CATALOGUE, make_shop

shop, epochs = make_shop(np.random.default_rng(0), n_impressions=40_000), range(1, 13)
problem = problems.shop_problem(shop)
valid, shape = problem.valid, architecture_for(problem, columns=16, hidden=(32, 16))
start, batches, optimizer = recommender.init(np.random.default_rng(0), shape), problem.batches(512), optimizers.adam(lr=8e-3)

params, rng, story = {name: p.copy() for name, p in start.items()}, np.random.default_rng(1), []
state = optimizer.init(params)
for _ in epochs:
    met = []
    for inputs, labels in batches(rng):
        logits, layers = recommender.forward(params, inputs, shape)
        met.append(losses.cross_entropy(logits, labels))
        slope = losses.cross_entropy_backward(logits, labels)
        optimizer.update(params, recommender.backward(slope, layers, params, inputs, shape), state)
    logits, _ = recommender.forward(params, fields.batch_inputs(problem.fields, valid.rows), shape)
    loss = losses.cross_entropy(logits, valid.relevance.ravel().astype(int))
    story.append((np.mean(met), loss, ndcg(evaluation.list_scores(params, shape, problem, valid), valid.relevance, 10)))
for name, values in zip(("loss, training", "loss, unseen", "NDCG@10, unseen"), zip(*story)):
    print(f"{name:<16}", *(f"{v:.3f}" for v in values))
objective = training.supervised(shape, "cross_entropy")
fitted = training.fit(start, batches, objective, optimizer, len(epochs), np.random.default_rng(1),
                      validate=lambda p: ndcg(evaluation.list_scores(p, shape, problem, valid), valid.relevance, 10))  # fmt: skip
print("fit tells the same story to the bit:", [(e.loss, e.quality) for e in fitted.history] == [(a, c) for a, _, c in story])
quality, best = evaluation.judge(fitted.params, shape, problem), evaluation.best_possible(problem)
print(f"test: AUC {quality.auc:.3f}, best possible {best.auc:.3f}; NDCG@10 {quality.ndcg:.3f}, best possible {best.ndcg:.3f}")
vectors = recommender.look_up(fitted.params["table1"], problem.fields[1].values, "sum")  # of each query: the sum of its words
u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
print("more than half of what tells queries apart lies in 2 of 16 directions:", (s[:2]**2).sum() > (s[2:]**2).sum())
asked, kinds = [query.split()[-1] for query in shop.queries], ("kitchen", "office", "tools", "garden", "bath")
draw("train",
     lines({"training": (epochs, [a for a, _, _ in story]), "unseen": (epochs, [b for _, b, _ in story])},
           xlabel="epoch", ylabel="cross entropy, nats"),
     lines({"unseen": (epochs, [c for _, _, c in story])}, xlabel="epoch", ylabel="NDCG@10, unseen sessions"),
     lines({kind: (u * s)[np.isin(asked, CATALOGUE[kind]), :2].T for kind in kinds}, "o", legend="outside",
           xlabel="direction 1", ylabel="direction 2", title="queries by category"))  # fmt: skip
