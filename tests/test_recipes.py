"""Problems, evaluation and recipes: what is trained on what, and that each recipe does what its name says."""

import dataclasses

import numpy as np
import pytest

from tinycompress import cost, evaluation, problems, recipes
from tinycompress.interactions import Interactions
from tinycompress.losses import bce, bce_backward, cross_entropy
from tinycompress.metrics import ndcg
from tinycompress.recommender import Architecture, forward, init
from tinycompress.scoring import per_entity
from tinycompress.shop import make_shop
from tinycompress.splits import Split


def interactions(users, items, n_users=12, n_items=40):
    ids = [str(n) for n in range(max(n_users, n_items))]
    return Interactions(np.array(users), np.array(items), None, None, ids[:n_users], ids[:n_items])


@pytest.fixture(scope="module")
def split():
    rng = np.random.default_rng(0)
    pairs = [(u, i) for u in range(12) for i in rng.choice(40, 10, replace=False)]
    parts = [pairs[0::10], pairs[1::10], [p for n, p in enumerate(pairs) if n % 10 > 1]]
    test, valid, train = (interactions(*zip(*part)) for part in parts)
    return Split(train, valid, test)


@pytest.fixture(scope="module")
def shop():
    return problems.shop_problem(make_shop(np.random.default_rng(0), n_impressions=5_000))


def pairs_of(part):
    return set(zip(part.users.tolist(), part.items.tolist()))


def test_training_negatives_avoid_what_training_knows_and_nothing_else(split):
    """Test items must come up as training negatives as often as any other unseen item: avoiding them would give them away."""
    problem = problems.implicit("x", split, np.zeros((12, 1), int), np.random.default_rng(1))
    rng = np.random.default_rng(2)
    met_test = 0
    for _ in range(20):
        rows = problem.examples(rng)
        drawn = set(zip(rows.rows["user"][rows.labels == 0].tolist(), rows.rows["item"][rows.labels == 0].tolist()))
        assert not drawn & pairs_of(split.train)
        met_test += len(drawn & pairs_of(split.test))
        assert rows.labels.sum() == len(split.train) and len(rows.labels) == 5 * len(split.train)
        positives = zip(rows.rows["user"][rows.labels == 1].tolist(), rows.rows["item"][rows.labels == 1].tolist())
        assert set(positives) == pairs_of(split.train)
    assert met_test > 20
    whole = problem.whole(rng)
    positives = set(zip(whole.rows["user"][whole.labels == 1].tolist(), whole.rows["item"][whole.labels == 1].tolist()))
    assert positives == pairs_of(split.train) | pairs_of(split.valid)


def test_judging_negatives_were_met_in_no_part(split):
    problem = problems.implicit("x", split, np.full((12, 20), 39), np.random.default_rng(1))
    met = pairs_of(split.train) | pairs_of(split.valid) | pairs_of(split.test)
    for lists in (problem.train, problem.valid):
        rows = list(zip(lists.rows["user"].tolist(), lists.rows["item"].tolist()))
        relevant = lists.relevance.reshape(-1) > 0
        assert all((pair in met) == bool(r) for pair, r in zip(rows, relevant)) and lists.relevance.shape[1] == 21
    assert set(zip(problem.train.rows["user"].tolist(), problem.train.rows["item"].tolist())) & pairs_of(split.train)


def test_histories_hold_the_training_part_alone(split):
    problem = problems.implicit("x", split, np.full((12, 20), 39), np.random.default_rng(1), history=True)
    bag = problem.fields[0].values
    found = {(u, i) for u in range(12) for i in bag.codes[bag.offsets[u] : bag.offsets[u + 1]].tolist()}
    assert found == pairs_of(split.train)


def test_one_row_per_entity_gives_the_same_logits_to_the_bit(split):
    problem = problems.implicit("x", split, np.full((12, 3), 39), np.random.default_rng(1), history=True)
    shape = recipes.architecture_for(problem, 3, (4,))
    params = init(np.random.default_rng(0), shape)
    rows = problem.test.rows
    from tinycompress.fields import batch_inputs

    direct, _ = forward(params, batch_inputs(problem.fields, rows), shape)
    model, small = per_entity(params, problem.fields, shape)
    found, _ = forward(model, [rows["user"], rows["item"]], small)
    assert (direct == found).all()


def test_best_possible_is_the_truth_through_the_same_metrics(shop):
    best = evaluation.best_possible(shop)
    probabilities, gains = shop.truth
    assert best.accuracy == (probabilities.argmax(axis=1) == shop.pairs.labels).mean()
    assert best.ndcg == ndcg(gains, shop.test.relevance, 10) and best.gap == 0
    with pytest.raises(ValueError, match="only a synthetic shop"):
        evaluation.best_possible(dataclasses.replace(shop, truth=None))


def test_quality_of_one_logit_and_of_classes(split):
    problem = problems.implicit("x", split, np.full((12, 20), 39), np.random.default_rng(1))
    shape = recipes.architecture_for(problem, 2, ())
    params = init(np.random.default_rng(0), shape)
    params["b0"] += 100
    quality = evaluation.judge(params, shape, problem)
    assert quality.accuracy == quality.recall == 0.2, "a model that says yes to all is right for one in five"
    assert quality.scores.shape == (12, 21)


def test_pruned_weights_stay_zero_and_the_rest_was_trained(shop):
    shape = recipes.architecture_for(shop, 4, (8,))
    model = recipes.Model(init(np.random.default_rng(0), shape), shape)
    pruned = recipes.prune(model, shop, 0.75, recipes.Schedule(2), np.random.default_rng(1))
    for name, p in pruned.tensors.items():
        if name.startswith("table"):
            assert ((p == 0).sum(axis=1) >= 3).all(), "three of four columns of every row"
        elif name.startswith("w"):
            assert (p == 0).sum() == round(0.75 * p.size)
        kept = p != 0
        assert (p[kept] != model.tensors[name][kept]).any()
    before = evaluation.judge(recipes.Model(model.tensors, shape).params, shape, shop)
    assert evaluation.judge(pruned.params, shape, shop).ndcg > before.ndcg


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("per_row", [True, False])
def test_quantized_weights_are_within_half_a_step(bits, per_row):
    shape = Architecture((50, 20), (4, 3), (5,))
    params = init(np.random.default_rng(0), shape)
    params["w0"][2, 3] = 0
    model = recipes.quantize_weights(recipes.Model(params, shape), bits, per_row)
    for name, w in params.items():
        tensor, decoded = model.tensors[name], model.params[name]
        if w.ndim == 1:
            assert tensor is w
            continue
        axis = 0 if name.startswith("table") else 1
        assert np.shape(tensor.grid.scale) == ((w.shape[axis],) if per_row else ())
        scale = np.asarray(tensor.grid.scale, np.float64)
        step = scale.reshape((-1, 1) if axis == 0 and per_row else (1, -1) if per_row else ())
        # half a step, and what symmetric_grid's Bound adds: n 2^-21 steps, n = 2^(bits - 1) - 1, twice over for the way back
        assert (np.abs(w - decoded.astype(np.float64)) <= step * (0.5 + 2.0 ** (bits - 20))).all()
        assert (decoded[w == 0] == 0).all() and np.abs(tensor.codes).max() == 2 ** (bits - 1) - 1


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distilled_objective_is_the_weighted_sum(shop, temperature):
    shape, small = recipes.architecture_for(shop, 4, (8,)), recipes.architecture_for(shop, 2, (3,))
    teacher = recipes.Model(init(np.random.default_rng(0), shape, np.float64), shape)
    student = init(np.random.default_rng(1), small, np.float64)
    batch = next(shop.batches(64)(np.random.default_rng(2)))

    def value(soft_weight):
        return recipes.distilled_objective(shop, small, teacher, temperature, soft_weight)(student, batch)

    (hard, hard_grads), (soft, soft_grads), (both, grads) = value(0.0), value(1.0), value(0.25)
    logits = forward(student, batch[0], small)[0]
    assert hard == cross_entropy(logits, batch[1])
    theirs = forward(teacher.tensors, batch[0], shape)[0]
    p, q = (np.exp(z / temperature) / np.exp(z / temperature).sum(axis=1, keepdims=True) for z in (theirs, logits))
    assert abs(soft - temperature**2 * (p * np.log(p / q)).sum(axis=1).mean()) < 1e-12
    assert abs(both - 0.75 * hard - 0.25 * soft) < 1e-12
    np.testing.assert_allclose(grads["w1"], 0.75 * hard_grads["w1"] + 0.25 * soft_grads["w1"], atol=1e-12)


def test_one_logit_is_distilled_as_two_classes(split):
    problem = problems.implicit("x", split, np.full((12, 3), 39), np.random.default_rng(1))
    shape = recipes.architecture_for(problem, 2, (3,))
    teacher = recipes.Model(init(np.random.default_rng(0), shape, np.float64), shape)
    student = init(np.random.default_rng(1), shape, np.float64)
    inputs, labels = next(problem.batches(64)(np.random.default_rng(2)))
    loss, grads = recipes.distilled_objective(problem, shape, teacher, 1.0, 1.0)(student, (inputs, labels))
    z, t = forward(student, inputs, shape)[0], forward(teacher.tensors, inputs, shape)[0]
    q = 1 / (1 + np.exp(-t))
    entropy = bce(t, q)  # KL = cross-entropy minus the teacher's entropy, whose gradient is 0
    assert abs(loss - (bce(z, q) - entropy)) < 1e-12
    assert np.abs(grads["b1"] - bce_backward(z, q).sum()).max() < 1e-12 and loss > 0


def test_train_learns_and_refits_on_the_validation_rows(split):
    problem = problems.implicit("x", split, np.full((12, 3), 39), np.random.default_rng(1))
    seen = []
    watched = dataclasses.replace(
        problem,
        examples=lambda rng: (seen.append("train"), problem.examples(rng))[1],
        whole=lambda rng: (seen.append("whole"), problem.whole(rng))[1],
    )
    shape = recipes.architecture_for(problem, 2, (3,))
    recipes.train(watched, shape, recipes.Schedule(5, patience=1), np.random.default_rng(0))
    chosen = seen.count("whole")
    assert 1 <= chosen <= seen.count("train") <= chosen + 1 and seen == sorted(seen)


def test_the_first_of_two_models_never_saw_the_validation_rows(split):
    """The same model comes out where these rows cannot be read; the second starts from the same numbers, for the epochs that were best."""
    problem = problems.implicit("x", split, np.full((12, 3), 39), np.random.default_rng(1))
    shape, schedule = recipes.architecture_for(problem, 2, (3,)), recipes.Schedule(3, patience=1)

    class Unread(Exception):
        pass

    def refuse(rng):
        raise Unread

    blind = dataclasses.replace(problem, whole=refuse)
    with pytest.raises(Unread):
        recipes.train_twice(blind, shape, schedule, np.random.default_rng(0))
    blind = dataclasses.replace(problem, whole=problem.examples)  # nothing to learn from afterwards
    judged, used = recipes.train_twice(blind, shape, schedule, np.random.default_rng(0))
    assert judged is used
    again, whole = recipes.train_twice(problem, shape, schedule, np.random.default_rng(0))
    assert all((again.params[name] == judged.params[name]).all() for name in judged.params)
    assert all((whole.params[name] != again.params[name]).any() for name in ("table0", "table1", "w0"))
    same = recipes.train(problem, shape, schedule, np.random.default_rng(0))
    assert all((whole.params[name] == same.params[name]).all() for name in same.params)


def test_both_models_come_from_one_start_and_the_second_takes_the_best_number_of_epochs(split, monkeypatch):
    problem = problems.implicit("x", split, np.full((12, 3), 39), np.random.default_rng(1))
    fits, real = [], recipes.fit

    def watched(params, batches, objective, optimizer, epochs, rng, **k):
        fitted = real(params, batches, objective, optimizer, epochs, rng, **k)
        fits.append(({name: p.copy() for name, p in params.items()}, epochs, k.get("validate"), fitted.best))
        return fitted

    monkeypatch.setattr(recipes, "fit", watched)
    recipes.train_twice(problem, recipes.architecture_for(problem, 2, (3,)), recipes.Schedule(6, patience=1), np.random.default_rng(3))
    (start, epochs, validate, best), (second, repeated, none, _) = fits
    assert all((start[name] == second[name]).all() for name in start)
    assert epochs == 6 and repeated == best and validate is not None and none is None


def test_weight_decay_of_a_schedule_makes_weights_smaller(shop):
    shape = recipes.architecture_for(shop, 2, (4,))
    energy = []
    for decay in (0.0, 1e-4, 1e-2):
        schedule = recipes.Schedule(3, weight_decay=decay)
        params = recipes.train(shop, shape, schedule, np.random.default_rng(0)).params
        energy.append(sum(float((p.astype(float) ** 2).sum()) for name, p in params.items() if name[0] == "t"))
    assert energy[0] > energy[1] > energy[2]


def test_a_model_decodes_codes_levels_and_shared_rows():
    """By hand: each column has levels of its own, and the rows that are not kept share the last row of codes."""
    codes = np.uint8([[0, 1], [1, 0], [1, 1]])
    levels = np.float16([[0.5, 2.0], [-1.0, 4.0]])
    tensors = {"table0.codes": codes, "table0.levels": levels, "b0": np.float16([0.25]), "w0": np.float32([[1], [2]])}
    shape = Architecture((3,), (2,), ())
    params = recipes.Model(tensors, shape).params
    assert params["table0"].tolist() == [[0.5, 4.0], [2.0, -1.0], [2.0, 4.0]] and list(params) == ["table0", "b0", "w0"]
    assert {p.dtype for p in params.values()} == {np.dtype(np.float32)} and params["b0"].tolist() == [0.25]
    kept = np.array([False, True, False, True])
    params = recipes.Model({**tensors, "table0.kept": kept}, Architecture((4,), (2,), ())).params
    assert params["table0"].tolist() == [[2.0, 4.0], [0.5, 4.0], [2.0, 4.0], [2.0, -1.0]]


def test_a_table_without_its_levels_is_no_model():
    for name in ("codes", "levels", "kept"):
        with pytest.raises(ValueError, match=rf"table0.{name} stands without table0\.(codes|levels)"):
            recipes.Model({f"table0.{name}": np.zeros((1, 1), np.uint8)}, Architecture((1,), (1,), ())).params


def test_counts_see_through_codes():
    w = np.float32([[0, 1], [2, 0]])
    shape = Architecture((2,), (2,), ())
    model = recipes.quantize_weights(recipes.Model({"table0": w, "b0": np.float32([0])}, shape), 8)
    assert (cost.parameters(model.tensors), cost.nonzero(model.tensors)) == (5, 2)
