"""The ways to make a recommender smaller, each a few lines over the files that hold its idea.

A recipe takes a trained model and a problem and returns what a file would hold: tensors, some of them `Quantized`. `decoded`
turns them back into the parameters that score. Training is always `training.fit`; only views and objectives differ.

Letters     T temperature
Not here: the formulas (pruning, quantization, distillation), files (storage), tables of results (comparison).
Read next: small_models, comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.coded_tables import decode_tables
from tinycompress.dense_training import taught
from tinycompress.distillation import binary_kd_loss, binary_kd_loss_backward, kd_loss, kd_loss_backward
from tinycompress.evaluation import list_scores
from tinycompress.losses import LOSSES
from tinycompress.masking import hold_masks, mask_view
from tinycompress.metrics import ndcg
from tinycompress.optimizers import adam
from tinycompress.problems import Problem
from tinycompress.pruning import Masks, apply_masks, magnitude_mask
from tinycompress.quantization import Quantized, dequantize, quantize, symmetric_grid
from tinycompress.recommender import Architecture, Params, forward, init
from tinycompress.training import Epoch, Objective, fit, supervised

Array = NDArray[np.floating]
Tensors = Mapping[str, "NDArray[Any] | Quantized"]
Progress = Callable[[Epoch], None]


@dataclass(frozen=True, eq=False)
class Model:
    """A model as a file holds it."""

    tensors: Tensors
    architecture: Architecture

    @property
    def params(self) -> Params:
        """The parameters that score: codes decoded, half floats widened, all else as it is.

        NAME.codes and NAME.levels are a table of one codebook per column: see coded_tables.decode_tables.
        """
        decoded: Params = {}
        for name, t in decode_tables(self.tensors).items():
            if isinstance(t, Quantized):
                decoded[name] = dequantize(t.codes, t.grid)
            else:
                decoded[name] = t.astype(np.float32) if t.dtype == np.float16 else t
        return decoded


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a model is trained."""

    epochs: int  # at the most
    patience: int = 3  # epochs without a better validation before training stops
    batch_size: int = 1024
    lr: float = 2e-3
    weight_decay: float = 0.0  # smaller weights are cheaper to code; a little also helps the model


def architecture_for(problem: Problem, columns: int, hidden: tuple[int, ...], join: str = "concat") -> Architecture:
    """Return the architecture of a model for this problem's fields, every table equally wide.

    Shapes      takes no arrays
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> architecture_for(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000)), 4, (8,)).widths
    (20, 8, 3)
    """
    fields = problem.fields
    return Architecture(
        tuple(f.size for f in fields), (columns,) * len(fields), hidden, problem.outputs, tuple(f.pooling for f in fields), join
    )


def train(
    problem: Problem,
    architecture: Architecture,
    schedule: Schedule,
    rng: np.random.Generator,
    objective: Objective | None = None,
    progress: Progress | None = None,
) -> Model:
    """Return a model trained on the problem's training rows, by default on their labels.

    Shapes      takes no arrays
    Convention  the validation lists choose the number of epochs, by NDCG@10. If the problem lets the validation rows be learned
                from afterwards (`whole` is not `examples`), a new model is trained on all of them for that many epochs: in
                leave-one-out data the validation item is the latest one known, and leaving it out costs more than anything
                that compression does.
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> model = train(problem, architecture_for(problem, 2, (4,)), Schedule(epochs=1), np.random.default_rng(0))
    >>> model.tensors["w1"].shape
    (4, 3)
    """
    return train_twice(problem, architecture, schedule, rng, objective, progress)[1]


def train_twice(
    problem: Problem,
    architecture: Architecture,
    schedule: Schedule,
    rng: np.random.Generator,
    objective: Objective | None = None,
    progress: Progress | None = None,
) -> tuple[Model, Model]:
    """Return the two models of `train`: the one that never saw the validation rows, and the one to use.

    Shapes      takes no arrays
    Convention  whatever else is chosen on the validation lists must be tried on the first, for which they are new. Where the
                validation rows are not learned from, both are the same
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 2, (4,))
    >>> judged, used = train_twice(problem, shape, Schedule(epochs=1), np.random.default_rng(0))
    >>> judged is used
    True
    """
    objective = objective or supervised(architecture, problem.loss)
    start = init(rng, architecture)
    optimizer = adam(schedule.lr, weight_decay=schedule.weight_decay)

    def validate(params: Params) -> float:
        return float(ndcg(list_scores(params, architecture, problem, problem.valid), problem.valid.relevance, 10))

    fitted = fit(
        start, problem.batches(schedule.batch_size), objective, optimizer, schedule.epochs, rng,
        validate=validate, patience=schedule.patience, progress=progress,
    )  # fmt: skip
    judged = Model(fitted.params, architecture)
    if problem.whole is problem.examples:
        return judged, judged
    whole = problem.batches(schedule.batch_size, whole=True)
    return judged, Model(fit(start, whole, objective, optimizer, fitted.best, rng, progress=progress).params, architecture)


def prune(
    model: Model,
    problem: Problem,
    sparsity: float,
    schedule: Schedule,
    rng: np.random.Generator,
    progress: Progress | None = None,
) -> Model:
    """Return the model with the smallest weights at zero, and the others trained on to make up for them.

    Shapes      sparsity: the fraction of each table row, and of each layer, that becomes zero
    Convention  tables row by row, layers each for itself: one threshold for all would delete the layers, whose weights are
                smaller than the embeddings' (or the reverse). Biases stay. Masks are put back after every step, buffers too.
    Source      Zhu, Gupta 2017 (arXiv 1710.01878); Han et al. 2015 (arXiv 1506.02626)

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 4, (4,))
    >>> small = prune(Model(init(np.random.default_rng(0), shape), shape), problem, 0.5, Schedule(1), np.random.default_rng(0))
    >>> [(small.tensors[name] == 0).mean().item() for name in ("table0", "w0")]
    [0.5, 0.5]
    """
    params = model.params
    masks: Masks = {
        name: magnitude_mask(p, sparsity, axis=-1 if name.startswith("table") else None)
        for name, p in params.items()
        if p.ndim == 2
    }
    fitted = fit(
        apply_masks(params, masks), problem.batches(schedule.batch_size, whole=True),
        supervised(model.architecture, problem.loss), adam(schedule.lr), schedule.epochs, rng,
        view=mask_view(masks), after_step=hold_masks(masks), progress=progress,
    )  # fmt: skip
    return Model(fitted.params, model.architecture)


def quantize_weights(model: Model, bits: int, per_row: bool = True) -> Model:
    """Return the model with every table and weight as integers of that many bits, on symmetric grids; biases stay float32.

    Shapes      grids: one scale per row of a table and per output of a layer, or, without `per_row`, one per tensor
    Bound       |w - decoded w| <= scale (1/2 + 2^(bits - 20)), as symmetric_grid's, and decoding;
                zero stays exactly zero, so a pruned model stays pruned
    Source      quantization

    >>> shape = Architecture(rows=(2,), columns=(2,), hidden=())
    >>> model = quantize_weights(Model({"table0": np.float32([[1, -2], [0.5, 0]])}, shape), 8)
    >>> model.tensors["table0"].codes.tolist(), model.params["table0"].tolist()
    ([[64, -127], [127, 0]], [[1.0078740119934082, -2.0], [0.5, 0.0]])
    """

    def quantized(name: str, w: NDArray[np.floating]) -> Quantized:
        axis = (0 if name.startswith("table") else 1) if per_row else None
        grid = symmetric_grid(w, bits, axis=axis)
        return Quantized(quantize(w, grid), grid, bits)

    return Model({name: quantized(name, w) if w.ndim == 2 else w for name, w in model.params.items()}, model.architecture)


def distilled_objective(
    problem: Problem, student: Architecture, teacher: Model, temperature: float, soft_weight: float
) -> Objective:
    """Return the objective hard + soft: the loss of the labels and the distillation loss, weighted.

    Equation    L = (1 - a) loss(z, y) + a T^2 mean KL(p_T(teacher), p_T(z)),  a = soft_weight
                dL/dz = (1 - a) dloss + a T (p_T(z) - p_T(teacher)) / N
    Shapes      batch = (inputs, labels)
    Convention  the teacher scores the same batch, so its rows are aligned by construction; it is never updated. One logit: the
                two classes of the logits (0, z), because a softmax over one logit is always 1 and teaches nothing.
    Source      Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 2, (4,))
    >>> same = Model(init(np.random.default_rng(0), shape), shape)
    >>> batch = next(problem.batches(8)(np.random.default_rng(0)))
    >>> distilled_objective(problem, shape, same, 2.0, 1.0)(same.params, batch)[0]  # a student equal to its teacher
    0.0
    """
    hard = LOSSES[problem.loss]
    soft, soft_backward = (binary_kd_loss, binary_kd_loss_backward) if problem.outputs == 1 else (kd_loss, kd_loss_backward)
    theirs = teacher.params

    def loss(logits: Array, target: Array, labels: Any) -> tuple[float, Array]:
        weight = logits.dtype.type(soft_weight)
        value = (1 - soft_weight) * hard.value(logits, labels) + soft_weight * soft(logits, target, temperature)
        return value, (1 - weight) * hard.backward(logits, labels) + weight * soft_backward(logits, target, temperature)

    return taught(student, lambda inputs: forward(theirs, inputs, teacher.architecture)[0], loss)
