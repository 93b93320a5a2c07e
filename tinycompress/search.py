"""A ranker for search: words of the query, words of the product, learned from judged lists of any length.

The model is the same recommender as everywhere (recommender), the loop the same (training.fit). Two things are special to search.
Lists have unequal length, so losses and scores pass through padding (ragged) and back. And there may be a good score already,
BM25, which a model should add to, not learn again: the *prior* of a list is added to the logits before the softmax, in training
and in scoring, so that a model that knows nothing ranks as the prior does.

Letters     z logits, r prior, M candidates, N lists, L the longest list, a weight of the teacher's part, T temperature
Not here: what a ranker is trained on (search_problems), files (storage), other compressions (recipes). Read next: comparison.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.dense_training import taught
from tinycompress.fields import Field, batch_inputs
from tinycompress.losses import listwise, listwise_backward
from tinycompress.masking import mask_view
from tinycompress.metrics import ndcg
from tinycompress.optimizers import adam
from tinycompress.pruning import apply_masks, magnitude_mask
from tinycompress.ragged import RaggedLists, list_batches, pad, unpad
from tinycompress.ranking_distillation import ranking_kd_loss, ranking_kd_loss_backward
from tinycompress.recommender import Architecture, Gradients, Params, backward, forward, init
from tinycompress.scoring import predictor, ranking_scores
from tinycompress.training import Objective, fit

Array = npt.NDArray[np.floating[Any]]


def list_loss(logits: Array, lists: RaggedLists) -> tuple[float, Array]:
    """Return the listwise cross-entropy of lists of unequal length, and d logits.

    Equation    losses.listwise of z + r, padded with -inf, against the relevance, padded with 0
    Shapes      logits (M,) -> number, (M,)
    Convention  a mean over lists, however long. A prior of -inf says "never": p is 0 there, whatever the logit
    Raises      ValueError if there are not as many logits as candidates, or a prior is NaN, inf in the logits' dtype, or -inf
                for what is relevant or for a whole list
    Source      losses.listwise (ListNet)

    >>> lists = RaggedLists({}, np.array([1.0, 0.0, 1.0]), np.array([2, 1]))
    >>> value, d = list_loss(np.zeros(3), lists)
    >>> round(value, 4), d.tolist()  # log 2 and log 1, over 2 lists
    (0.3466, [-0.25, 0.25, 0.0])
    """
    _refuse_unlearnable_prior(lists, logits.dtype)
    mask, relevance = lists.mask, pad(lists.relevance, lists.mask)
    z = pad(_with_prior(logits, lists), mask, -np.inf)
    return listwise(z, relevance), unpad(listwise_backward(z, relevance), mask)


def listwise_objective(architecture: Architecture) -> Objective:
    """Return the objective that fits judged lists of any length: forward, list_loss, backward.

    Shapes      batch = (inputs of M rows, RaggedLists of M candidates), as ragged.list_batches gives them
    Source      this package; for lists of equal length without a prior it is training.supervised(architecture, "listwise")

    >>> objective = listwise_objective(Architecture(rows=(2,), columns=(1,), hidden=()))
    >>> params = {"table0": np.array([[1.0], [3.0]]), "w0": np.array([[0.0]]), "b0": np.array([0.0])}
    >>> batch = [np.array([0, 1])], RaggedLists({}, np.array([1.0, 0.0]), np.array([2]))
    >>> objective(params, batch)[1]["w0"]
    array([[1.]])
    """

    def objective(params: Params, batch: Any) -> tuple[float, Gradients]:
        inputs, lists = batch
        logits, layers = forward(params, inputs, architecture)
        value, dlogits = list_loss(logits, lists)
        return value, backward(dlogits, layers, params, inputs, architecture)

    return objective


def taught_objective(
    student: Architecture, teacher: Params, teacher_architecture: Architecture, temperature: float, soft_weight: float
) -> Objective:
    """Return the objective of a student that learns from the judgments and from its teacher's order of the same lists.

    Equation    L = (1 - a) list_loss(z_s) + a ranking_kd_loss(z_s + r, z_t + r, T),  a = soft_weight
    Shapes      batch as listwise_objective's; student and teacher see the same fields
    Convention  the prior is added to both, so the student is taught the order that is wanted in the end
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2, with the candidates of a list as classes

    >>> shape = Architecture(rows=(2,), columns=(1,), hidden=())
    >>> same = {"table0": np.array([[1.0], [3.0]]), "w0": np.array([[1.0]]), "b0": np.array([0.0])}
    >>> batch = [np.array([0, 1])], RaggedLists({}, np.array([1.0, 0.0]), np.array([2]))
    >>> taught_objective(shape, same, shape, 2.0, 1.0)(same, batch)[0]  # a student equal to its teacher
    0.0
    """

    def loss(logits: Array, known: Array, lists: RaggedLists) -> tuple[float, Array]:
        mask, a = lists.mask, logits.dtype.type(soft_weight)
        z_s, z_t = (pad(_with_prior(z, lists), mask) for z in (logits, known))
        hard, d_hard = list_loss(logits, lists)
        soft = ranking_kd_loss(z_s, z_t, temperature, mask)
        d_soft = unpad(ranking_kd_loss_backward(z_s, z_t, temperature, mask), mask)
        return (1 - soft_weight) * hard + soft_weight * soft, (1 - a) * d_hard + a * d_soft

    return taught(student, lambda inputs: forward(teacher, inputs, teacher_architecture)[0], loss)


def architecture_of(fields: Sequence[Field], columns: int, hidden: tuple[int, ...] = (), join: str = "product") -> Architecture:
    """Return the architecture of a ranker for these fields, every table equally wide: by default query . product.

    Shapes      takes no arrays
    Raises      ValueError as Architecture
    Source      this package

    >>> from tinycompress.fields import id_field
    >>> architecture_of([id_field("query", 3), id_field("item", 5)], 4).widths
    (4, 1)
    """
    rows, pooling = tuple(f.size for f in fields), tuple(f.pooling for f in fields)
    return Architecture(rows, (columns,) * len(rows), hidden, 1, pooling, join)


def learn(
    architecture: Architecture,
    fields: Sequence[Field],
    lists: RaggedLists,
    rng: np.random.Generator,
    epochs: int = 20,
    size: int = 16,
    lr: float = 1e-2,
    objective: Objective | None = None,
    start: Params | None = None,
    sparsity: float = 0.0,
) -> Params:
    """Return parameters trained on these lists for a fixed number of epochs.

    Shapes      `size` lists per batch; `start` as recommender.init gives it, which is called without one; without an objective
                it is the listwise one
    Convention  no list chooses the epoch: a hundred queries are too few to give some of them away. Lists without relevance are
                left out. With a sparsity, that fraction of each table row, and of each layer, is zero from before the first step
                on, as in recipes.prune.
    Raises      ValueError as training.fit and list_loss
    Source      training.fit

    >>> from tinycompress.fields import id_field
    >>> lists = RaggedLists({"item": np.array([0, 1])}, np.array([1.0, 0.0]), np.array([2]))
    >>> shape, rng = Architecture(rows=(2,), columns=(1,), hidden=()), np.random.default_rng(0)
    >>> start = {"table0": np.array([[1.0], [3.0]]), "w0": np.array([[1.0]]), "b0": np.array([0.0])}
    >>> learn(shape, [id_field("item", 2)], lists, rng, epochs=1, lr=0.5, start=start)["table0"].round(4).tolist()
    [[1.5], [2.5]]
    """
    params = init(rng, architecture) if start is None else start
    teaching = pad(lists.relevance > 0, lists.mask).any(axis=1)
    batches = list_batches(fields, lists.part(np.flatnonzero(teaching)), size)
    masks = {
        name: magnitude_mask(p, sparsity, axis=-1 if name.startswith("table") else None)
        for name, p in params.items()
        if p.ndim == 2 and sparsity
    }
    objective = objective or listwise_objective(architecture)
    params = apply_masks(params, masks)  # a weight and buffers that start at 0, and a gradient of 0: nothing moves (masking)
    return fit(params, batches, objective, adam(lr), epochs, rng, mask_view(masks)).params


def make_rankers(
    fields: Sequence[Field],
    lists: RaggedLists,
    rng: np.random.Generator,
    large: Architecture,
    small: Architecture,
    epochs: int = 20,
    sparsity: float = 0.5,
    soft_weight: float = 0.7,
) -> Iterator[tuple[str, Params, Architecture]]:
    """Yield (name, parameters, architecture) of a ranker and of its smaller versions that need training, each when it is made.

    Shapes      sparsity: the fraction of each table row, and of each layer, that is zero in "half pruned" and stays so in a few
                epochs more at a fifth of the rate; soft_weight that of the teacher in "small, taught", at temperature 1
    Convention  "small" is the same student without a teacher: what teaching is worth is the difference of these two, which start
                from the same numbers and meet the same batches. Quantizing needs no training: recipes.quantize_weights.
    Source      Han et al. 2015 (arXiv 1506.02626); Hinton, Vinyals, Dean 2015 (arXiv 1503.02531)

    >>> from tinycompress.fields import id_field
    >>> fields, lists = [id_field("item", 2)], RaggedLists({"item": np.array([0, 1])}, np.array([1.0, 0.0]), np.array([2]))
    >>> shapes = architecture_of(fields, 4), architecture_of(fields, 2)
    >>> [(name, p["w0"].shape) for name, p, _ in make_rankers(fields, lists, np.random.default_rng(0), *shapes, epochs=1)]
    [('whole', (4, 1)), ('half pruned', (4, 1)), ('small', (2, 1)), ('small, taught', (2, 1))]
    """
    own, pruning, student = rng.spawn(3)
    whole = learn(large, fields, lists, own, epochs)
    yield "whole", whole, large
    yield "half pruned", learn(large, fields, lists, pruning, 3, lr=2e-3, start=whole, sparsity=sparsity), large
    state = student.bit_generator.state
    yield "small", learn(small, fields, lists, student, epochs), small
    student.bit_generator.state = state  # the same draws again
    taught_so = taught_objective(small, whole, large, 1.0, soft_weight)
    yield "small, taught", learn(small, fields, lists, student, epochs, objective=taught_so), small


def list_scores(params: Params, architecture: Architecture, fields: Sequence[Field], lists: RaggedLists) -> Array:
    """Return the scores of the candidates, prior added, as a rectangle for the measures: call those with mask=lists.mask.

    Equation    z + r
    Shapes      -> (N, L), 0 where padded
    Raises      ValueError if a field describes an entity that the lists do not name
    Source      this package

    >>> from tinycompress.fields import id_field
    >>> lists = RaggedLists({"item": np.array([0, 1, 1])}, np.zeros(3), np.array([2, 1]), prior=np.array([0.0, 0.5, 0.5]))
    >>> params = {"table0": np.array([[1.0], [3.0]]), "w0": np.array([[1.0]]), "b0": np.array([0.0])}
    >>> list_scores(params, Architecture(rows=(2,), columns=(1,), hidden=()), [id_field("item", 2)], lists)
    array([[1. , 3.5],
           [3.5, 0. ]])
    """
    logits = predictor(params, architecture)(batch_inputs(fields, lists.rows))
    return pad(_with_prior(ranking_scores(logits), lists), lists.mask)


def list_ndcg(scores: Array, lists: RaggedLists, k: int = 10) -> npt.NDArray[np.float64]:
    """Return NDCG@K of each list, NaN where nothing is relevant; ties by expectation, gains linear.

    Shapes      scores (N, L), as list_scores gives them -> (N,)
    Convention  a list without relevance cannot be ranked well or badly: it is left out of the mean (np.nanmean), not counted as 0
    Raises      ValueError as metrics.ndcg
    Source      metrics.ndcg, with lists.mask and empty="skip"

    >>> lists = RaggedLists({}, np.array([2.0, 0.0, 0.0]), np.array([2, 1]))
    >>> list_ndcg(np.array([[1.0, 0.0], [5.0, 9.0]]), lists)
    array([ 1., nan])
    """
    found: npt.NDArray[np.float64] = ndcg(
        scores, pad(lists.relevance, lists.mask), k, mask=lists.mask, empty="skip", average=None
    )
    return found


def _with_prior(logits: Array, lists: RaggedLists) -> Array:
    if lists.prior is None:
        return logits
    with np.errstate(over="ignore"):  # beyond the dtype is inf
        return logits + lists.prior.astype(logits.dtype)


def _refuse_unlearnable_prior(lists: RaggedLists, dtype: npt.DTypeLike) -> None:
    """No logit makes up for a prior of NaN or inf, nor for -inf on what is relevant."""
    prior = _with_prior(np.zeros(len(lists.relevance), dtype), lists)
    if (wrong := ~np.isfinite(prior) & ((prior != -np.inf) | (lists.relevance > 0))).any():
        assert lists.prior is not None
        at = int(wrong.argmax())
        raise ValueError(
            f"a candidate has the prior {lists.prior[at]} and the relevance {lists.relevance[at]}; give every candidate a prior "
            f"that is finite in {np.dtype(dtype)}, or -inf if it is not relevant"
        )

