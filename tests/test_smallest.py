"""The search finds what brute force finds, a new process scores what this one scores, and the table says what hand computation says."""

import dataclasses
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import kinds, part

from tinycompress import metrics, smallest, smallest_job
from tinycompress.comparison import load_model, save_model
from tinycompress.evaluation import best_possible, list_scores
from tinycompress.fields import history_field, id_field
from tinycompress.frontier import outside, pareto, quality, references, seen_lists, size_rows
from tinycompress.recipes import Model, Schedule, architecture_for, train, train_twice
from tinycompress.recommender import Architecture, init
from tinycompress.small_models import Recipe, make_small
from tinycompress.smallest import PRICES, Scored, Trial, families, scores_in_a_new_process, scores_of_file, search, without_each
from tinycompress.splits import Split

USERS, ITEMS = 20, 30


@pytest.fixture(scope="module")
def split():
    """Test items of the first five users were met by nobody."""
    rng = np.random.default_rng(0)
    pairs = [(u, 2 * i + u % 2) for u in range(USERS) for i in rng.choice(12, 6, replace=False)]
    test = [(u, 25 if u < 5 else i) for u, i in pairs[0::6]]
    parts = [p for n, p in enumerate(pairs) if n % 6 > 1], pairs[1::6], test
    return Split(*(part(some, USERS, ITEMS) for some in parts))


@pytest.fixture(scope="module")
def problems(split):
    negatives = np.random.default_rng(1).integers(26, ITEMS, (USERS, 4))
    return kinds(split, negatives, 2_000)


def untrained(problem, columns=8):
    shape = architecture_for(problem, columns, (3,))
    return Model(init(np.random.default_rng(0), shape), shape)


# ---- which recipes ----


def test_families(problems):
    found = families(problems["shop"], untrained(problems["shop"], 8))
    assert {name: {(r.student, r.columns, r.below) for r in some} for name, some in found.items()} == {
        "same": {("same", 8, 0)}, "quarter": {("same", 2, 0)},
    }  # fmt: skip
    found = families(problems["ids"], untrained(problems["ids"], 8))
    assert {name: {(r.student, r.columns, r.weight_decay > 0) for r in some} for name, some in found.items()} == {
        "same": {("same", 8, False)}, "retrained": {("same", 6, True)}, "product 16": {("product", 16, False)},
        "product 14": {("product", 14, False)},
    }  # fmt: skip
    for columns, kept in ((8, 8), (99, 24)):
        found = families(problems["history"], untrained(problems["history"], columns))
        assert {name: {(r.columns, r.below) for r in some} for name, some in found.items()} == {"same": {(kept, 2)}}
    assert {r.columns for r in families(problems["shop"], untrained(problems["shop"], 2))["quarter"]} == {1}
    for problem in problems.values():
        for some in families(problem, untrained(problem)).values():
            assert [r.price for r in some] == sorted(PRICES), "from gentle to harsh"


def test_an_id_beside_a_history_is_no_problem_of_ids(problems, split):
    """The product needs two ids: where one field is a bag there is none among the recipes, instead of a failure in the midst."""
    mixed = dataclasses.replace(problems["ids"], fields=(id_field("user", USERS), history_field(split.train, "item")))
    assert list(families(mixed, untrained(mixed))) == ["same", "quarter"]


def test_without_each():
    whole = Recipe("same", 8, 0.01, below=2, weight_decay=1e-5)
    found = without_each(whole)
    changed = [{f.name for f in dataclasses.fields(r) if getattr(r, f.name) != getattr(whole, f.name)} for r in found.values()]
    assert changed == [{"turned"}, {"by_loss"}, {"refitted"}, {"below"}]
    assert not any((r.turned and r.by_loss and r.refitted and r.below) for r in found.values())
    assert "no shared rows" in found and "no shared rows" not in without_each(Recipe("same", 8, 0.01))


# ---- the search ----


class World:
    """Stands for making and scoring: bytes and losses of quality by family and price, and a record of what was asked."""

    def __init__(self, monkeypatch, problem, bytes_of, hit_rate_of, ndcg_of):
        self.asked = []
        self.whole = list_scores(untrained(problem).params, untrained(problem).architecture, problem, problem.valid)
        hit_rate, ndcg = quality(self.whole, problem.valid.relevance)

        def make(recipe, start, of, rng, whole=True):
            assert whole is False, "the validation rows judge, so that nothing may be learned from them"
            self.asked.append((start, rng.bit_generator.state["state"]["state"]))
            return "small"

        def tried(family, recipe, small, of, lists, path, k=10, codec="smallest"):
            assert small == "small" and lists is problem.valid
            at = PRICES.index(recipe.price)
            return Trial(family, recipe, bytes_of(family, at), hit_rate - hit_rate_of(family, at), ndcg - ndcg_of(family, at))

        monkeypatch.setattr(smallest, "make_small", make)
        monkeypatch.setattr(smallest, "tried", tried)
        self.ndcg, self.hit_rate = ndcg, hit_rate


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("measure", ["both", "hit_rate", "ndcg"])
def test_the_search_finds_what_brute_force_finds(problems, tmp_path, monkeypatch, seed, measure):
    """Where quality falls with the price all the way, halving finds the smallest file of all that pass, in few trials."""
    rng, problem = np.random.default_rng(seed), problems["ids"]
    names = list(families(problem, untrained(problem)))
    lost = {name: np.sort(rng.random(len(PRICES))).round(2) * rng.choice([0.02, 0.2]) for name in names}
    size = {name: np.sort(rng.integers(100, 999, len(PRICES)))[::-1] for name in names}
    within = float(rng.choice([0.005, 0.01, 0.02, 0.1]))
    loses = {"hit_rate": [1, 0], "ndcg": [0, 1], "both": [1, 1]}[measure]
    World(monkeypatch, problem, lambda f, i: int(size[f][i]), *(lambda f, i, one=one: one * float(lost[f][i]) for one in loses))
    passing = [(int(size[f][i]), f, PRICES[i]) for f in names for i in range(len(PRICES)) if lost[f][i] <= within]
    seen = []
    if not passing:
        with pytest.raises(ValueError, match="allow more"):
            search(problem, {"same": untrained(problem)}, within, 0, tmp_path)
        return
    best, trials = search(problem, {"same": untrained(problem)}, within, 0, tmp_path, progress=seen.append)
    assert best.bytes == min(passing)[0] and (best.bytes, best.family, best.recipe.price) in passing
    assert seen == trials and best in trials
    for name in names:
        tried = [t for t in trials if t.family == name]
        assert 1 <= len(tried) <= math.ceil(math.log2(len(PRICES) + 1)) and len({t.recipe for t in tried}) == len(tried)


def test_each_family_starts_from_its_own_and_from_the_same_numbers(problems, tmp_path, monkeypatch):
    problem = problems["ids"]
    world = World(monkeypatch, problem, lambda f, i: 9, lambda f, i: 0.0, lambda f, i: 0.0)
    starts = {"same": untrained(problem), "retrained": untrained(problem)}
    _, trials = search(problem, starts, 0.0, 7, tmp_path)  # nothing is lost: within 0 will do
    for (start, _), trial in zip(world.asked, trials, strict=True):
        assert start is starts.get(trial.family, starts["same"])
    assert len({state for _, state in world.asked}) == 1


@pytest.mark.parametrize("lost", [(0.5, 0.0), (0.0, 0.25)])
def test_either_measure_alone_can_refuse(problems, tmp_path, monkeypatch, lost):
    problem = problems["shop"]
    world = World(monkeypatch, problem, lambda f, i: 9, lambda f, i: lost[0], lambda f, i: lost[1])
    with pytest.raises(ValueError) as refusal:
        search(problem, {"same": untrained(problem)}, 0.2, 0, tmp_path)
    for value in (world.hit_rate, world.ndcg, world.hit_rate - lost[0], world.ndcg - lost[1]):
        assert f"{value:.4f}" in str(refusal.value)
    assert "0.2" in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_trial_is_what_its_file_says(problems, tmp_path):
    problem = problems["ids"]
    model = train(problem, architecture_for(problem, 3, (3,)), Schedule(1), np.random.default_rng(0))
    small = make_small(Recipe("same", 2, 0.01), model, problem, np.random.default_rng(0), whole=False)
    path = tmp_path / "t.tcz"
    for codec in ("zlib", "smallest"):
        trial = smallest.tried("same", Recipe("same", 2, 0.01), small, problem, problem.valid, path, 3, codec)
        back = load_model(path)
        scores = list_scores(back.params, back.architecture, problem, problem.valid)
        assert trial[2:] == (os.path.getsize(path), *quality(scores, problem.valid.relevance, 3))


# ---- the new process ----


def ends(path, scored):
    os._exit(9)


def test_a_new_process_that_ends_is_said_in_words(problems, tmp_path, monkeypatch):
    monkeypatch.setattr(smallest, "scores_of_file", ends)
    with pytest.raises(ChildProcessError, match="was to score .*m.tcz ended without an answer; was there too little memory"):
        scores_in_a_new_process(tmp_path / "m.tcz", problems["ids"])


def test_a_new_process_gives_the_same_bits_and_refuses_a_damaged_file(problems, tmp_path):
    problem, path = problems["ids"], tmp_path / "m.tcz"
    model = train(problem, architecture_for(problem, 3, (3,)), Schedule(1), np.random.default_rng(0))
    small = make_small(Recipe("same", 2, 0.001), model, problem, np.random.default_rng(0))
    save_model(path, small, codec="smallest")
    here = list_scores(small.params, small.architecture, problem, problem.test)
    there = scores_in_a_new_process(path, problem)
    assert there.dtype == here.dtype and there.tobytes() == here.tobytes() and there.shape == problem.test.relevance.shape
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="m.tcz"):
        scores_in_a_new_process(path, problem)


def test_one_damaged_byte_anywhere_is_refused(problems, tmp_path):
    problem, path = problems["ids"], tmp_path / "m.tcz"
    small = make_small(Recipe("product", 2, 0.01), untrained(problem), problem, np.random.default_rng(0))
    save_model(path, small, codec="smallest")
    data = path.read_bytes()
    for at in np.random.default_rng(0).choice(len(data), 20, replace=False):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << int(at) % 8]) + data[at + 1 :])
        with pytest.raises(ValueError):
            scores_of_file(str(path), Scored(problem.fields, problem.test))


# ---- the whole job ----


def test_the_job_learns_and_chooses_before_it_judges(problems, split, tmp_path, monkeypatch):
    """No test row is read before the best recipe is known; recipes are tried on what never saw validation; the file is from all."""
    problem, order = problems["ids"], []
    for name in ("search", "make_small", "scores_in_a_new_process", "train_twice", "list_scores"):
        real = getattr(smallest_job, name)
        monkeypatch.setattr(smallest_job, name, lambda *a, _real=real, _name=name, **k: (order.append((_name, a, k)), _real(*a, **k))[1])
    monkeypatch.setattr(smallest, "PRICES", (0.01, 0.05))
    shape = architecture_for(problem, 3, (3,))
    found = smallest_job.find_smallest(problem, split, shape, Schedule(2, patience=1), 1.0, 5, tmp_path / "out")
    names = [name for name, _, _ in order]
    assert names.index("search") > 1 and names[:2] == ["train_twice", "train_twice"]
    assert min(names.index("list_scores"), names.index("scores_in_a_new_process")) > names.index("search")
    plain, decayed = (a[2] for name, a, _ in order if name == "train_twice")
    assert plain.weight_decay == 0 < decayed.weight_decay == smallest.DECAY
    makes = [k.get("whole", True) for name, _, k in order if name == "make_small"]
    assert makes.count(True) == 1 and makes[-1] and len(makes) == len(found.parts) > 1 + len(without_each(found.best.recipe))
    assert found.trials[0].name == "original" and found.trials[0].ratio == 1
    rng = np.random.default_rng(5)
    judged, original = train_twice(problem, shape, Schedule(2, patience=1), rng)
    starts = next(a[1] for name, a, _ in order if name == "search")
    assert all((starts["same"].params[key] == judged.params[key]).all() for key in judged.params)
    back = load_model(tmp_path / "out" / "original.tcz")
    assert all((back.params[key] == original.params[key]).all() for key in original.params)
    assert sorted(os.listdir(tmp_path / "out")) == ["original.tcz", "original_deflated.tcz", "smallest.tcz"]
    sizes = [os.path.getsize(tmp_path / "out" / f"{name}.tcz") for name in ("original", "original_deflated", "smallest")]
    rows = {row.name: row for row in found.rows}
    assert [row.bytes for row in found.rows] == [*sizes, None, None, None, None]
    assert [row.ratio for row in found.rows[:3]] == [sizes[0] / size for size in sizes]
    assert list(rows) == ["original", "original, deflated", "smallest", "random order", "most popular", "item neighbours", "EASE"]
    small = load_model(tmp_path / "out" / "smallest.tcz")
    scores = list_scores(small.params, small.architecture, problem, problem.test)
    assert (rows["smallest"].hit_rate, rows["smallest"].ndcg) == quality(scores, problem.test.relevance)
    assert found.best.bytes == min(row.bytes for row in found.trials[1:]), "within 1 everything passes"
    parts = {row.name: row for row in found.parts}
    assert list(parts)[:2] == ["all parts", "deflated, no range coder"] and list(parts)[-3:] == list(without_each(found.best.recipe))
    assert ("all columns, turned" in parts) == (found.best.recipe.student == "same" and found.best.recipe.columns < 3)
    assert all(row.ratio == sizes[0] / row.bytes for row in found.parts), "times smaller than the original, as everywhere"
    assert (parts["all parts"].bytes, parts["all parts"].ndcg) == (found.best.bytes, found.best.ndcg), "the trial, made again"


def test_the_job_leaves_nothing_where_nothing_passes(problems, tmp_path, monkeypatch):
    problem = problems["shop"]
    monkeypatch.setattr(smallest, "PRICES", (1e6,))  # a bit so dear that every table has one row
    with pytest.raises(ValueError, match="allow more"):
        smallest_job.find_smallest(problem, None, architecture_for(problem, 2, (4,)), Schedule(2, lr=0.01), 0.0, 0, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


# ---- the table ----


def points():
    return st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6).map(lambda n: n / 8)), max_size=12)


@settings(max_examples=60)
@given(points())
def test_pareto_is_who_is_beaten_by_none(some):
    found = pareto(some)

    def beaten(i):
        (b, q) = some[i]
        return any(c <= b and r >= q and ((c, r) != (b, q) or j < i) for j, (c, r) in enumerate(some) if j != i)

    assert sorted(found) == [i for i in range(len(some)) if not beaten(i)]
    assert [some[i][0] for i in found] == sorted({some[i][0] for i in found})


def test_a_table_by_hand(problems):
    """Lists of five: ranks of the positive by counting who is above, DCG by the formula; two seeds, list by list."""
    problem = problems["ids"]
    n, length = problem.test.relevance.shape
    rng = np.random.default_rng(0)
    scores = {name: [rng.random((n, length)) for _ in range(2)] for name in ("first", "other")}
    seen = rng.random(n) < 0.6
    rows = size_rows({"first": (900, "a", scores["first"]), "other": (400, "b", scores["other"]), "none": (None, "c", scores["other"])},
                     problem, seen, k=2)  # fmt: skip

    def by_hand(s):
        ranks = (s[:, 1:] > s[:, :1]).sum(axis=1) + 1  # the positive is the first of each list
        return (ranks <= 2).astype(float), np.where(ranks <= 2, 1 / np.log2(ranks + 1), 0)

    hit_rates, ndcgs = (np.array([[by_hand(s)[m] for s in some] for some in scores.values()]) for m in (0, 1))
    for row, hits, gains in zip(rows, [*hit_rates, hit_rates[1]], [*ndcgs, ndcgs[1]]):
        for value, wanted in (
            (row.hit_rate, hits.mean()), (row.ndcg, gains.mean()), (row.seen_hit_rate, hits[:, seen].mean()),
            (row.seen_ndcg, gains[:, seen].mean()), (row.difference, (gains - ndcgs[0]).mean()),
        ):  # fmt: skip
            assert abs(value - wanted) < 1e-14  # sums of 40 numbers up to 1, in another order: 40 roundings of 1.1e-16
        interval = metrics.paired_bootstrap(np.random.default_rng(0), (gains - ndcgs[0]).mean(axis=0))
        assert abs(row.low - interval.low) < 1e-14 and abs(row.high - interval.high) < 1e-14
        assert row.low <= row.difference <= row.high
    assert [(row.name, row.bytes, row.ratio, row.outside) for row in rows] == [
        ("first", 900, 1.0, "a"), ("other", 400, 2.25, "b"), ("none", None, None, "c"),
    ]  # fmt: skip
    assert (rows[0].difference, rows[0].low, rows[0].high) == (0, 0, 0)


def test_where_no_positive_was_seen_that_quality_is_missing(problems):
    problem = problems["ids"]
    for seen in (np.zeros(USERS, bool), None):
        (row,) = size_rows({"x": (1, "", [problem.test.relevance])}, problem, seen)
        assert row.ndcg == 1 and row.seen_ndcg is row.seen_hit_rate is None


def test_quality_expects_over_ties():
    """Five candidates alike, cut at two: the positive is first, second with 1/5 each."""
    hit_rate, ndcg = quality(np.zeros((3, 5)), np.eye(5)[:3], k=2)
    assert abs(hit_rate - 2 / 5) < 1e-15 and abs(ndcg - (1 + 1 / math.log2(3)) / 5) < 1e-15


def test_what_is_kept_outside(problems):
    assert [outside(problems[name]) for name in ("ids", "history", "shop")] == ["nothing", "histories", "texts"]
    mixed = dataclasses.replace(problems["history"], fields=(*problems["history"].fields, problems["shop"].fields[1]))
    assert outside(mixed) == "histories", "of the two the larger"


def test_references_and_seen(problems, split):
    found = references(problems["ids"], split)
    assert {name: kept for name, (_, kept, _) in found.items()} == {
        "random order": "nothing", "most popular": "counts", "item neighbours": "histories", "EASE": "histories",
    }  # fmt: skip
    assert all(size is None and s.shape == problems["ids"].test.relevance.shape for size, _, (s,) in found.values())
    counts = np.zeros(ITEMS)
    for p in (split.train, split.valid):
        for item in p.items:
            counts[item] += 1
    assert (found["most popular"][2][0].ravel() == counts[problems["ids"].test.rows["item"]]).all()
    met = {int(i) for p in (split.train, split.valid) for i in p.items}
    seen = seen_lists(problems["ids"], split)
    assert seen.tolist() == [int(i) in met for i in split.test.items] and 0 < seen.sum() < USERS
    chance, best = references(problems["shop"], None).values()
    assert (best[2][0] == best_possible(problems["shop"]).scores).all() and best[1] is None
    assert len(np.unique(chance[2][0])) == 1, "equal scores: measures expect over all orders"
    assert list(references(dataclasses.replace(problems["shop"], truth=None), None)) == ["random order"]
    assert seen_lists(problems["shop"], None) is None


def test_an_architecture_is_known_to_the_file(tmp_path):
    """What the new process needs besides tensors travels in the file: join, pooling, widths."""
    shape = Architecture((3, 4), (2, 2), (), join="product")
    save_model(tmp_path / "m", Model(init(np.random.default_rng(0), shape), shape), codec="smallest", name="x", seed=1)
    assert load_model(tmp_path / "m").architecture == shape
