"""Small models: what the file holds is what is scored, each part of a recipe does what it says, and nobody looks ahead."""

import dataclasses

import numpy as np
import pytest
from toy import kinds, part

from tinycompress import small_models, storage
from tinycompress.bags import Bag
from tinycompress.comparison import load_model, save_model
from tinycompress.evaluation import list_scores
from tinycompress.quantization import Quantized
from tinycompress.recipes import Model, Schedule, architecture_for, train
from tinycompress.recommender import init
from tinycompress.small_models import Recipe, make_small, met, only
from tinycompress.splits import Split

USERS, ITEMS = 30, 40


@pytest.fixture(scope="module")
def split():
    """Users like the items of their own parity; the last items stand with one user each, or with none."""
    rng = np.random.default_rng(0)
    pairs = [(u, 2 * i + u % 2) for u in range(USERS) for i in rng.choice(15, 8, replace=False)]
    train = [p for n, p in enumerate(pairs) if n % 8 > 1]
    parts = [*train, (0, 32), (1, 33), (1, 34)], pairs[1::8], pairs[0::8]
    return Split(*(part(some, USERS, ITEMS) for some in parts))


@pytest.fixture(scope="module")
def problems(split):
    negatives = np.random.default_rng(1).integers(30, ITEMS, (USERS, 5))
    return kinds(split, negatives, 3_000)


@pytest.fixture(scope="module")
def models(problems):
    return {
        name: train(problem, architecture_for(problem, 6, (5,)), Schedule(2, lr=0.02), np.random.default_rng(3))
        for name, problem in problems.items()
    }


RECIPES = [
    ("shop", Recipe("same", 4, 0.05)),
    ("ids", Recipe("same", 3, 0.01)),
    ("ids", Recipe("product", 5, 0.01)),
    ("history", Recipe("same", 4, 0.01, below=2)),
]


def made(problems, models, name, recipe, seed=4, whole=True):
    return make_small(recipe, models[name], problems[name], np.random.default_rng(seed), whole)


def equal(a, b):
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and a[k].tobytes() == b[k].tobytes() for k in a)


@pytest.mark.parametrize("name, recipe", RECIPES)
@pytest.mark.parametrize("codec", ["smallest", "zlib"])
def test_the_file_decodes_to_the_same_bits(problems, models, name, recipe, codec, tmp_path):
    small = made(problems, models, name, recipe)
    size = save_model(tmp_path / "m.tcz", small, codec=codec)
    back = load_model(tmp_path / "m.tcz")
    assert equal(back.params, small.params) and back.architecture == small.architecture
    shape = small.architecture
    drawn = init(np.random.default_rng(0), shape)
    assert {k: p.shape for k, p in small.params.items()} == {k: p.shape for k, p in drawn.items()}
    assert all(p.dtype == np.float32 and np.isfinite(p).all() for p in small.params.values())
    lists = problems[name].test
    scores = [list_scores(m.params, shape, problems[name], lists) for m in (small, back)]
    assert scores[0].tobytes() == scores[1].tobytes() and scores[0].shape == lists.relevance.shape
    assert size < save_model(tmp_path / "original.tcz", models[name], codec="none")


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_codes_stand_for_levels_and_layers_for_few(problems, models, name, recipe):
    small = made(problems, models, name, recipe)
    for f, (v, d) in enumerate(zip(small.architecture.rows, small.architecture.columns)):
        codes, levels = small.tensors[f"table{f}.codes"], small.tensors[f"table{f}.levels"]
        assert codes.shape[1] == d == len(levels) and d <= recipe.columns and codes.dtype == np.uint8 and levels.dtype == np.float16
        assert v == problems[name].fields[f].size and int(codes.max()) < levels.shape[1]
        for column, c in zip(codes.T, levels.astype(np.float32)):
            used = np.unique(column)
            assert used.tolist() == list(range(len(used))) and (np.diff(c[used]) > 0).all(), "all levels are used, in order"
            assert (c[len(used) :] == c[used[-1]]).all(), "what pads a short codebook is its last level"
        assert np.isin(small.params[f"table{f}"], levels.astype(np.float32)).all()
    for layer, t in small.tensors.items():
        if layer[0] == "b":
            assert t.dtype == np.float16
        elif layer[0] == "w" and recipe.student == "same":
            assert isinstance(t, Quantized) and t.bits == 6 and np.abs(t.codes).max() <= 31
            assert len(np.unique(small.params[layer])) <= 2**6
    coarse = made(problems, models, name, dataclasses.replace(recipe, layer_bits=2))
    for layer, t in coarse.params.items():
        assert layer[0] != "w" or len(np.unique(t)) <= 2**2


def test_a_product_scores_by_its_two_tables(problems, models):
    small = made(problems, models, "ids", Recipe("product", 5, 0.01))
    lists = problems["ids"].test
    u, i = (small.params[f"table{f}"][lists.rows[entity]].astype(np.float64) for f, entity in enumerate(("user", "item")))
    scores = list_scores(small.params, small.architecture, problems["ids"], lists).ravel()
    # dot products of D <= 5 in float32 and the bias: 7 roundings of at most 2^-24 of what is summed in size
    assert (np.abs(scores - ((u * i).sum(axis=1) - 0.5)) <= 7 * 2.0**-24 * ((np.abs(u * i)).sum(axis=1) + 0.5)).all()
    x = met(problems["ids"], np.random.default_rng(0)).toarray() > 0
    all_scores = small.params["table0"] @ small.params["table1"].T
    assert all_scores[x].mean() > all_scores[~x].mean() + 0.3, "what was met is scored near 1, the rest near 0"


def test_rare_rows_share_one(problems, models):
    """Rows in fewer than `below` histories are one row in the file, and equal in the model; the others keep rows of their own."""
    recipe = Recipe("same", 4, 1e-4, below=2)
    small, apart = (made(problems, models, "history", dataclasses.replace(recipe, below=b)) for b in (2, 0))
    shared = 0
    for f, field in enumerate(problems["history"].fields):
        histories = np.bincount(field.values.codes, minlength=field.size)
        rare = histories < 2
        table = small.params[f"table{f}"]
        assert len(table) == field.size and (table[rare] == table[rare][:1]).all()
        if rare.any():
            shared += 1
            assert len(small.tensors[f"table{f}.codes"]) == (~rare).sum() + 1
            assert (small.tensors[f"table{f}.kept"] == ~rare).all()
            assert len(np.unique(apart.params[f"table{f}"][rare], axis=0)) > 1
        else:
            assert f"table{f}.kept" not in small.tensors
        assert len(apart.tensors[f"table{f}.codes"]) == field.size and f"table{f}.kept" not in apart.tensors
    assert shared
    assert equal(made(problems, models, "ids", Recipe("same", 3, 0.01, below=9)).params,
                 made(problems, models, "ids", Recipe("same", 3, 0.01)).params), "an id stands in no history"  # fmt: skip


@pytest.mark.parametrize("name, recipe", [RECIPES[0], RECIPES[2]])
@pytest.mark.parametrize("part", ["turned", "by_loss", "refitted"])
def test_a_part_left_out_changes_what_it_should(problems, models, name, recipe, part, monkeypatch):
    calls = []

    def watched(function, word):
        def call(*a, **k):
            calls.append((word, a))
            return function(*a, **k)

        return call

    for function in ("narrow", "balance", "fit", "code_table"):
        monkeypatch.setattr(small_models, function, watched(getattr(small_models, function), function))
    whole = made(problems, models, name, recipe)
    with_it = [word for word, _ in calls]
    axes = {a[1].ndim for word, a in calls if word == "code_table"}
    calls.clear()
    without = made(problems, models, name, dataclasses.replace(recipe, **{part: False}))
    without_it = [word for word, _ in calls]
    assert not equal(whole.params, without.params)
    turn = "narrow" if recipe.student == "same" else "balance"
    assert with_it.count(turn) == 1 and without_it.count(turn) == (part != "turned")
    assert with_it.count("fit") == 2 * (recipe.student == "same") and without_it.count("fit") == with_it.count("fit") * (part != "refitted")
    assert axes == {3} and {a[1].ndim for word, a in calls if word == "code_table"} == {2 if part == "by_loss" else 3}
    assert with_it.count("code_table") == without_it.count("code_table") == len(whole.architecture.rows)
    if part == "turned":
        assert without.architecture.columns == ((6,) * 5 if name == "shop" else (5, 5))


def test_the_second_side_of_a_product_answers_to_the_first_as_coded(problems, models, monkeypatch):
    """Users are coded around the best answer to the decoded items; not refitted, around where they were. H is of what is decoded."""
    given = []
    real = small_models.code_table
    monkeypatch.setattr(small_models, "code_table", lambda t, h, price: (given.append((t, h)), real(t, h, price))[1])
    x = met(problems["ids"], np.random.default_rng(4))
    users, items = small_models.alternate(x, 5, np.random.default_rng(0), small_models.UNMET, small_models.DECAY)
    decoded = []
    for refitted in (True, False):
        decoded.append(made(problems, models, "ids", Recipe("product", 5, 0.05, refitted=refitted)).params["table1"].astype(float))
    (_, _), (user_rows, user_h), (_, _), (plain_rows, plain_h) = given
    best = small_models.row_quadratics(x, decoded[0], small_models.UNMET, small_models.DECAY).best
    assert (user_rows == best).all() and not (plain_rows == small_models.row_quadratics(x, decoded[1], small_models.UNMET, small_models.DECAY).best).any()
    for h, seen in ((user_h, decoded[0]), (plain_h, decoded[1])):  # dense arithmetic: weights 1 + a where met, a elsewhere
        weight = small_models.UNMET + x.toarray()
        plain = np.einsum("ui,ia,ib->uab", weight, seen, seen) + small_models.DECAY * weight.sum(axis=1)[:, None, None] * np.eye(5)
        s, m = weight @ seen, weight.sum(axis=1)
        least = plain - s[:, :, None] * s[:, None] / m[:, None, None]
        wanted = small_models.floored(least)
        assert np.abs(h - wanted).max() < 1e-12 * np.abs(plain).max()  # 40 terms each: some 100 roundings of 1.1e-16


def test_what_is_coded_stays_and_the_rest_learns(problems, models, monkeypatch):
    """The tables coded first do not move in either fitting, nor the last one in the second; whoever is free moves."""
    fits = []
    real = small_models.fit

    def watched(params, *a, **k):
        fitted = real(params, *a, **k)
        fits.append({name for name in params if fitted.params[name].tobytes() != params[name].tobytes()})
        return fitted

    monkeypatch.setattr(small_models, "fit", watched)
    made(problems, models, "ids", Recipe("same", 3, 0.01))
    assert fits == [{"table0", "w0", "b0", "w1", "b1"}, {"w0", "b0", "w1", "b1"}]


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_unless_asked_the_validation_rows_are_not_read(problems, models, name, recipe):
    def refuse(rng):
        raise AssertionError("validation rows were read")

    blind = {name: dataclasses.replace(problems[name], whole=refuse, valid=None, test=None, pairs=None)}
    small = made(blind, models, name, recipe, whole=False)
    assert equal(small.params, made(problems, models, name, recipe, whole=False).params)
    with pytest.raises(AssertionError):
        made(blind, models, name, recipe)
    assert (name == "shop") == equal(small.params, made(problems, models, name, recipe).params)


@pytest.mark.parametrize("name, recipe", RECIPES)
def test_same_random_numbers_same_bytes(problems, models, name, recipe, tmp_path):
    before = {k: p.copy() for k, p in models[name].params.items()}
    for seed, path in ((4, "a"), (4, "b"), (5, "c")):
        save_model(tmp_path / path, made(problems, models, name, recipe, seed), codec="zlib")
    a, b, c = ((tmp_path / path).read_bytes() for path in "abc")
    assert a == b != c
    assert equal(before, models[name].params), "the model that it starts from is left as it is"


def test_a_dearer_bit_makes_a_smaller_file(problems, models, tmp_path):
    for name, recipe in RECIPES:
        sizes = []
        for price in (0.001, 0.05, 5.0):
            small = made(problems, models, name, dataclasses.replace(recipe, price=price))
            sizes.append(storage.save(tmp_path / "m", small.tensors, codec="zlib"))
        assert sizes[0] > sizes[1] >= sizes[2], (name, sizes)  # where one level is left already, no bit is dear enough to save more


def test_where_all_logits_of_a_user_move_alike_the_plain_curvature_serves(problems, models):
    """Hidden units that never answer leave each user only a shift, of which the ranking sees nothing: (2) of H is rounding alone."""
    params = {name: p.copy() for name, p in models["ids"].params.items()}
    params["b0"] += 100  # no relu is ever off: the logit is linear, and each user's jacobian the same for all items
    model = Model(params, models["ids"].architecture)
    for seed in range(3):
        small = make_small(Recipe("same", 3, 0.01), model, problems["ids"], np.random.default_rng(seed))
        assert all(np.isfinite(p).all() for p in small.params.values())


@pytest.mark.parametrize(
    "facts",
    [
        {"student": "other"}, {"columns": 0}, {"price": 0.0}, {"price": -1.0}, {"price": float("nan")}, {"price": float("inf")},
        {"below": -1}, {"weight_decay": -1e-9}, {"weight_decay": float("nan")}, {"weight_decay": float("inf")}, {"layer_bits": 1},
        {"layer_bits": 9},
    ],
)  # fmt: skip
def test_a_recipe_refuses_nonsense(facts):
    with pytest.raises(ValueError, match="use"):
        Recipe(**{"student": "same", "columns": 8, "price": 0.01, **facts})


def test_met_is_who_met_what(problems, split):
    for whole, parts in ((False, [split.train]), (True, [split.train, split.valid])):
        x = met(problems["ids"], np.random.default_rng(0), whole)
        wanted = np.zeros((USERS, ITEMS))
        for p in parts:
            for user, item in zip(p.users, p.items):
                wanted[user, item] = 1
        assert (x.toarray() == wanted).all() and x.nnz == wanted.sum()
    rows = problems["ids"].examples(np.random.default_rng(0))
    twice = dataclasses.replace(
        rows, rows={k: np.tile(r, 2) for k, r in rows.rows.items()}, labels=np.tile(rows.labels, 2)
    )  # fmt: skip
    doubled = dataclasses.replace(problems["ids"], examples=lambda rng: twice)
    assert (met(doubled, None, whole=False).toarray() <= 1).all(), "a pair that stands twice was met once"


@pytest.mark.parametrize("name", ["history", "shop"])
def test_a_product_is_of_ids_alone(problems, models, name):
    with pytest.raises(ValueError, match=f"{len(problems[name].fields)} fields"):
        met(problems[name], np.random.default_rng(0))
    with pytest.raises(ValueError, match="ids"):
        made(problems, models, name, Recipe("product", 4, 0.01))


def test_only_some_learn():
    view = only(["w0", "table1"])
    params = {"w0": 1, "b0": 2, "table1": 3}
    assert view.forward(params) is params
    assert view.backward({"w0": 5, "b0": 6, "table1": 7}, params) == {"w0": 5, "table1": 7} and only([]).backward({"a": 1}, {}) == {}


def test_bags_are_bags(problems):
    """What the fixtures promise: histories in one, ids in the other, words in the shop."""
    kinds = {name: [isinstance(f.values, Bag) for f in p.fields] for name, p in problems.items()}
    assert kinds["ids"] == [False, False] and kinds["history"] == [True, True] and len(set(kinds["shop"])) == 2


def test_a_single_rare_row_moves_last_and_is_found_there():
    """`shared_rows` puts the rare row at the end also where it is alone: the places are then a permutation, and the file says so."""
    places = np.array([0, 3, 1, 2])
    book = small_models.ColumnCodebooks((np.arange(4.0),), np.array([[0], [2], [3], [1]]), 1)
    tensors = small_models._tensors("table0", book, places)
    decoded = Model({**tensors, "b0": np.zeros(1, np.float32)}, None).params["table0"]
    assert decoded.ravel().tolist() == book.levels[0][book.codes.ravel()][places].tolist() == [0.0, 1.0, 2.0, 3.0]
