"""Recipes for the smallest file: a model with fewer and simpler numbers, its tables codes that the loss chose.

Two students. "same" is the model itself: its first layer folded into the tables and turned out of them again with the columns in
order of energy (factorization.narrow); rows that stand in few histories share one. "product" is u . i by least squares
(alternating), turned to its balanced basis. Then tables are coded one after the other (coded_tables), and what is left is fitted
anew around each that is coded: the errors of the first are data to the second. Layers are small beside tables: six bits, no more.

Letters     H (V, D, D) how much a change of each row costs
Not here: which recipe is best (smallest), the formulas (factorization, alternating, coded_tables). Read next: search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tinycompress.alternating import alternate, row_quadratics
from tinycompress.bags import Bag
from tinycompress.coded_tables import code_table
from tinycompress.column_codebooks import ColumnCodebooks, decode
from tinycompress.factorization import balance, narrow, shared_rows
from tinycompress.fields import batch_inputs
from tinycompress.masking import only, tied
from tinycompress.optimizers import adam
from tinycompress.problems import Problem
from tinycompress.quantization import Quantized, quantize, symmetric_grid
from tinycompress.recipes import Model, Tensors
from tinycompress.recommender import Architecture, Params
from tinycompress.row_curvature import floored, table_curvature, without_shift
from tinycompress.training import compose, fit, supervised

Array = NDArray[Any]
UNMET, DECAY = 0.02, 0.03  # of the product student, as in alternating; settled on one data set, a gift shop's
_LOOK_UPS = 1 << 21  # of one table, if bags are as long as they are on average: H is read off that many training rows


@dataclass(frozen=True)
class Recipe:
    """What is done to a model, part by part; each part can be left out."""

    student: str  # "same" or "product"
    columns: int  # kept of each table; not heeded where they are not turned
    price: float  # of a bit, in units of the summed loss
    below: int = 0  # rows that stand in fewer histories than this share one
    turned: bool = True  # columns in order of energy, before they are coded
    by_loss: bool = True  # codes by all of H; else by its diagonal, each number for itself
    refitted: bool = True  # what is left is fitted again around the table that was coded first
    weight_decay: float = 0.0  # of that fitting
    layer_bits: int = 6

    def __post_init__(self) -> None:
        if self.student not in ("same", "product") or self.columns < 1 or not 0 < self.price < float("inf"):
            raise ValueError(
                f"student {self.student!r}, {self.columns} columns, price {self.price}; use 'same' or 'product', from 1, above 0"
            )
        if self.below < 0 or not 0 <= self.weight_decay < float("inf") or not 2 <= self.layer_bits <= 8:
            raise ValueError(
                f"below {self.below}, weight_decay {self.weight_decay}, layer_bits {self.layer_bits}; use from 0, from 0, 2 to 8"
            )


def make_small(recipe: Recipe, model: Model, problem: Problem, rng: np.random.Generator, whole: bool = True) -> Model:
    """Return the small model: codes and levels for tables, codes of a few bits for layers, half floats for biases.

    Shapes      takes no arrays
    Bound       a file holds the model bit for bit: what is written and loaded has the same params
    Convention  whole: learn from the validation rows too; False where these have still to choose. H is read off two million
                training rows at the most, fewer where bags are long. "product" does not look at the model: it learns from the
                rows alone
    Raises      ValueError if the student is "product" and the problem is not users and items by their ids
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> from tinycompress.recipes import architecture_for
    >>> from tinycompress.recommender import init
    >>> problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> shape = architecture_for(problem, 4, (4,))
    >>> model = Model(init(np.random.default_rng(0), shape), shape)
    >>> small = make_small(Recipe("same", 2, 0.01), model, problem, np.random.default_rng(0))
    >>> small.architecture.columns, small.tensors["table0.codes"].dtype, small.params["table0"].shape == (shape.rows[0], 2)
    ((2, 2, 2, 2, 2), dtype('uint8'), True)
    """
    made = _product if recipe.student == "product" else _same
    return made(recipe, model, problem, rng, whole)


def _product(recipe: Recipe, model: Model, problem: Problem, rng: np.random.Generator, whole: bool) -> Model:
    x = met(problem, rng, whole)
    users, items = alternate(x, recipe.columns, rng, UNMET, DECAY)
    shape = Architecture(x.shape, (recipe.columns,) * 2, (), join="product")
    params = {"table0": users, "table1": items, "w0": np.ones((recipe.columns, 1)), "b0": np.zeros(1)}
    if recipe.turned:
        params, shape = balance(params, shape)
        users, items = params["table0"], params["table1"]
    wanted = row_quadratics(csr_array(x.T), users, UNMET, DECAY)
    coded_items = _coded(wanted.best if recipe.refitted else items, wanted.h, recipe)
    seen = decode(coded_items).astype(np.float64)
    wanted = row_quadratics(x, seen, UNMET, DECAY)
    s = x @ seen + UNMET * seen.sum(axis=0)
    m = np.asarray(x.sum(axis=1)) + UNMET * len(seen)
    coded_users = _coded(wanted.best if recipe.refitted else users, without_shift(wanted.h, s, m), recipe)
    tensors = {**_tensors("table0", coded_users), **_tensors("table1", coded_items)}
    # Scores are near 1 for what was met and near 0 for the rest: -1/2 puts the logit's 0 between them.
    layer = {"w0": np.ones((shape.columns[0], 1), np.float16), "b0": np.array([-0.5], np.float16)}
    return Model({**tensors, **layer}, shape)


def _same(recipe: Recipe, model: Model, problem: Problem, rng: np.random.Generator, whole: bool) -> Model:
    rows = (problem.whole if whole else problem.examples)(rng).rows
    count = len(next(iter(rows.values())))
    each = max(len(f.values.codes) / len(f.values) if isinstance(f.values, Bag) else 1.0 for f in problem.fields)
    some = rng.permutation(count)[: int(_LOOK_UPS / each)]
    inputs = batch_inputs(problem.fields, {entity: r[some] for entity, r in rows.items()})
    uses = [np.bincount(x.codes if isinstance(x, Bag) else x, minlength=f.size) for x, f in zip(inputs, problem.fields)]
    params, shape = model.params, model.architecture
    if recipe.turned:
        params, shape = narrow(params, shape, [recipe.columns] * len(uses), uses)
    places = [np.arange(f.size) for f in problem.fields]
    for f, field in enumerate(problem.fields):
        if recipe.below and isinstance(field.values, Bag):
            histories = np.bincount(field.values.codes, minlength=field.size)
            small, places[f] = shared_rows(params[f"table{f}"], histories, recipe.below)
            params[f"table{f}"] = small[places[f]]
    first = [np.unique(p, return_index=True)[1] for p in places]  # a row for each place
    objective, batches = supervised(shape, problem.loss), problem.batches(1024, whole)
    coded: dict[str, ColumnCodebooks] = {}
    layers = [name for name in params if not name.startswith("table")]

    def code(f: int, params: Params) -> Params:
        name, field = f"table{f}", problem.fields[f]
        owns = field.entity == "user" and not isinstance(field.values, Bag) and problem.outputs == 1
        h = table_curvature(params, inputs, shape, f, shift_free=owns)
        if owns and not _definite(floored(h)):  # all logits of every user move alike: what is left of H is rounding
            h = table_curvature(params, inputs, shape, f)
        h *= count / len(some)  # of all rows, seen by some
        summed = np.zeros((len(first[f]), *h.shape[1:]))
        np.add.at(summed, places[f], h)
        coded[name] = _coded(params[name][first[f]], summed, recipe)
        return {**params, name: decode(coded[name]).astype(np.float32)[places[f]]}

    def fitted(params: Params, free: list[str], lr: float) -> Params:
        if not recipe.refitted:
            return params
        held = {**params, **{f"table{f}": params[f"table{f}"][rows] for f, rows in enumerate(first)}}
        view = compose(tied({f"table{f}": p for f, p in enumerate(places)}), only(free))
        found = fit(held, batches, objective, adam(lr, weight_decay=recipe.weight_decay), 1, rng, view=view)
        return view.forward(found.params)

    order = sorted(range(len(uses)), key=lambda f: problem.fields[f].entity == "user")  # whose tables bear most, last
    for f in order[:-1]:
        params = code(f, params)
    params = fitted(params, [f"table{order[-1]}", *layers], 5e-4)
    params = code(order[-1], params)
    params = fitted(params, layers, 5e-4)
    tensors: dict[str, Any] = {}
    for f in range(len(uses)):
        tensors |= _tensors(f"table{f}", coded[f"table{f}"], places[f])
    return Model({**tensors, **{name: _layer(params[name], recipe.layer_bits) for name in layers}}, shape)


def met(problem: Problem, rng: np.random.Generator, whole: bool = True) -> csr_array:
    """Return the matrix of who met what, from the training rows of a problem of users and items by their ids.

    Shapes      -> (users, items), 1 where a pair is a positive training row
    Raises      ValueError if the problem's fields are not one user id and one item id, or it has classes
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> from tinycompress.problems import shop_problem
    >>> met(shop_problem(make_shop(np.random.default_rng(0), n_impressions=2_000)), np.random.default_rng(0))
    Traceback (most recent call last):
    ValueError: a product of users and items needs these two ids as the only fields and one logit; here are 5 fields and 3 logits
    """
    fields = problem.fields
    if [f.entity for f in fields] != ["user", "item"] or any(isinstance(f.values, Bag) for f in fields) or problem.outputs > 1:
        raise ValueError(
            "a product of users and items needs these two ids as the only fields and one logit; "
            f"here are {len(fields)} fields and {problem.outputs} logits"
        )
    pairs = (problem.whole if whole else problem.examples)(rng)
    user, item = (pairs.rows[name][pairs.labels > 0] for name in ("user", "item"))
    x = csr_array((np.ones(len(user)), (user, item)), (fields[0].size, fields[1].size))
    x.data[:] = 1.0  # a pair that stands twice was met once
    return x


def _coded(t: Array, h: Array, recipe: Recipe) -> ColumnCodebooks:
    h = floored(h)
    return code_table(t, h if recipe.by_loss else np.einsum("vii->vi", h), recipe.price)


def _definite(h: Array) -> bool:
    try:
        np.linalg.cholesky(h)
    except np.linalg.LinAlgError:
        return False
    return True


def _tensors(name: str, book: ColumnCodebooks, places: Array | None = None) -> Tensors:
    longest = max(map(len, book.levels))
    levels = np.stack([np.pad(c, (0, longest - len(c)), mode="edge") for c in book.levels])
    tensors: dict[str, Any] = {f"{name}.codes": book.codes, f"{name}.levels": levels}
    if places is not None and not np.array_equal(places, np.arange(len(places))):  # one lone rare row moves last, too
        tensors[f"{name}.kept"] = places < len(book.codes) - 1
    return tensors


def _layer(p: Array, bits: int) -> Any:
    """A bias in half floats, a weight matrix as codes of a few bits on one grid."""
    if p.ndim == 1:
        return p.astype(np.float16)
    grid = symmetric_grid(p, bits)
    return Quantized(quantize(p, grid), grid, bits)
