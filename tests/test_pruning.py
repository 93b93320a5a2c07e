"""How many, which of equals, and the masks made of that; each rule against a slow oracle written from its sentence."""
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import sparsities, weights
from tinycompress import conventions
from tinycompress.conventions import CountRule
from tinycompress.counting import as_mask, count_pruned, keep_largest, threshold_mask
from tinycompress.patterns import n_m_mask, n_m_pair, pattern_order
from tinycompress.pruning import (
    apply_masks,
    cubic_sparsity,
    global_magnitude_masks,
    magnitude_mask,
    neuron_mask,
    sparsity_of,
    unit_norms,
)
from tinycompress.selection import kth_smallest, kth_smallest_of_lines

# ---- oracles: one per library, plain Python, from the sentence that describes it; IndexError and the like as they come ----


def smallest_first(a, k):
    """The mask that prunes the k smallest, lowest index first."""
    gone = set(sorted(range(len(a)), key=lambda i: (a[i], i))[:k])
    return [i not in gone for i in range(len(a))]


def largest_first(a, kept):
    """The mask that keeps the largest, lowest index first."""
    stay = set(sorted(range(len(a)), key=lambda i: (-a[i], i))[:kept])
    return [i in stay for i in range(len(a))]


def shuffled_minima(a, k):
    places = [i for i, v in enumerate(a) if v == min(a)]
    order = list(range(len(places)))
    random.Random(42).shuffle(order)
    gone = {places[j] for j in order[:k]}
    return [i not in gone for i in range(len(a))]


def tfmot(a, s):
    if s == 1:
        raise ValueError
    kept = max(int(np.rint(np.float32(len(a)) * (np.float32(1) - np.float32(s)))), 1)
    return [v >= sorted(a, reverse=True)[kept - 1] for v in a]


def jaxpruner(a, s):
    return largest_first(a, max(int(np.rint(np.float32(len(a)) * (np.float32(1) - np.float32(s)))), 1))


def distiller(a, s):
    k = int(s * len(a))
    if k == 0:
        raise IndexError
    return [v > sorted(a)[k - 1] for v in a]


def sparseml(a, s):
    k = round(s * len(a))
    if s <= 0:
        return [True] * len(a)
    threshold = sorted(a)[max(k - 1, 0)]
    if threshold <= min(a):
        return shuffled_minima(a, k)
    kept = [v > threshold for v in a]
    for i, v in enumerate(a):
        if v == threshold and kept.count(False) > k:
            kept[i] = True
    return kept


def sparseml_legacy(a, s):
    if s <= 0:
        return [True] * len(a)
    threshold = sorted(a)[round(s * (len(a) - 1))]
    return [v > threshold for v in a] if threshold > min(a) else shuffled_minima(a, int(s * len(a)))


def open_lth(a, s):
    threshold = sorted(a)[math.ceil(s * len(a))]
    return [v > threshold for v in a]


def paddleslim(a, s):
    threshold = sorted(a)[max(0, round(s * len(a)) - 1)]
    return [v >= threshold for v in a]


def torch_ao(a, s):
    return [False] * len(a) if s >= 1 else smallest_first(a, max(0, min(len(a) - 1, round(s * len(a)))))


def synflow(a, s):
    k = int(s * len(a))
    return [k < 1 or v > sorted(a)[k - 1] for v in a]


def torch_pruning(a, s):
    kept = int(len(a) * (1 - s))
    return smallest_first(a, len(a) - kept if kept else 0)


ORACLES = {
    "torch.nn.utils.prune": lambda a, s: smallest_first(a, round(s * len(a))),
    "tfmot": tfmot,
    "jaxpruner": jaxpruner,
    "distiller": distiller,
    "nni": lambda a, s: smallest_first(a, int(len(a) * s)),
    "sparseml": sparseml,
    "sparseml.legacy": sparseml_legacy,
    "open_lth": open_lth,
    "paddleslim": paddleslim,
    "torch.ao.pruning": torch_ao,
    "nn_pruning": lambda a, s: largest_first(a, int((1 - s) * len(a))),
    "synflow": synflow,
    "sparsegpt": lambda a, s: [v > sorted(a)[int(len(a) * s)] for v in a],
    "wanda.rows": lambda a, s: smallest_first(a, int(len(a) * s)),
    "torch_pruning": torch_pruning,
}


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=25)
@given(w=weights(min_size=1, dtypes=("float32",)), s=sparsities())
def test_every_convention_against_its_sentence(name, w, s):
    with np.errstate(under="ignore", over="ignore"):
        a = (w * w if conventions.get(name).score == "square" else np.abs(w)).tolist()
    try:
        want = ORACLES[name](a, s)
    except (IndexError, ValueError):
        with pytest.raises(ValueError):
            magnitude_mask(w, s, convention=name)
    else:
        assert magnitude_mask(w, s, convention=name).tolist() == want


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=25)
@given(n=st.integers(1, 200), s=sparsities())
def test_counts_without_ties(name, n, s):
    """count_pruned agrees with the mask of n different weights."""
    w = np.arange(1.0, n + 1)
    try:
        want = ORACLES[name](w.tolist(), s).count(False)
    except (IndexError, ValueError):
        with pytest.raises(ValueError):
            count_pruned(n, s, convention=name)
    else:
        assert count_pruned(n, s, convention=name) == want


TABLE = """
torch.nn.utils.prune 0 1 2 2 4 4 4 0 2 2 5 8 9 6 0 5
tfmot                1 1 1 3 3 4 4 0 1 2 5 8 9 5 0 E
jaxpruner            1 - 1 3 3 - 4 0 1 - 5 - 9 5 0 4
distiller            E 1 1 2 3 3 4 E 1 2 5 7 9 5 E 5
nni                  0 1 1 2 3 3 4 0 1 2 5 7 9 5 0 5
sparseml.legacy      0 2 2 3 4 4 5 0 2 3 5 8 9 6 0 5
sparseml             0 1 2 2 4 4 4 0 2 2 5 8 9 6 0 5
open_lth             2 3 3 4 5 5 E E 3 4 6 9 10 7 1 E
paddleslim           0 0 1 1 3 3 3 0 1 1 4 7 8 5 0 4
nn_pruning           1 - 2 3 4 - 5 - - - 5 - 10 - - -
torch.ao.pruning     0 1 2 2 4 4 4 0 2 2 5 8 9 6 0 5
"""  # measured 2026-11; columns: 5 at .1 .25 .3 .5 .7 .75 .9, 1 at .5, 3 at .5, 10 at .25 .5 .75 .9, 11 at .5, 5 at 0 and 1
COLUMNS = [(5, s) for s in (0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9)] + [(1, 0.5), (3, 0.5), (10, 0.25), (10, 0.5), (10, 0.75)]
COLUMNS += [(10, 0.9), (11, 0.5), (5, 0.0), (5, 1.0)]


@pytest.mark.parametrize("line", TABLE.strip().splitlines(), ids=lambda line: line.split()[0])
def test_the_measured_table(line):
    name, *cells = line.split()
    for (n, s), cell in zip(COLUMNS, cells, strict=True):
        if cell == "E":
            with pytest.raises(ValueError):
                count_pruned(n, s, convention=name)
        elif cell != "-":
            assert count_pruned(n, s, convention=name) == int(cell), (n, s)


def test_float32_counts_are_float32():
    """100 (1 - .995) is .5000000000000004 in float64 and .49999952 in float32: one weight kept, or none."""
    assert count_pruned(100, 0.995, convention=CountRule(of="kept")) == 99
    assert count_pruned(100, 0.995, convention=CountRule(of="kept", precision="float32")) == 100


# ---- laws of the default rule ----


@given(w=weights(), s=sparsities())
def test_default_rule(w, s):
    k = round(float(s) * w.size)  # Python rounds a float half to even, exactly
    assert magnitude_mask(w, s).tolist() == smallest_first(np.abs(w).tolist(), k)


@given(w=weights(), s=sparsities(), t=sparsities())
def test_masks_nest(w, s, t):
    low, high = sorted((s, t))
    assert not np.any(magnitude_mask(w, high) & ~magnitude_mask(w, low))


@given(w=weights(), s=sparsities())
def test_idempotent(w, s):
    kept = magnitude_mask(w, s)
    again = magnitude_mask(apply_masks({"w": w}, {"w": kept})["w"], s)
    assert np.array_equal(kept, again)


@given(w=weights(min_size=1, distinct=True), s=sparsities(), seed=st.integers(0, 99))
def test_permutation_equivariant_without_ties(w, s, seed):
    order = np.random.default_rng(seed).permutation(w.size)
    assert np.array_equal(magnitude_mask(w[order], s), magnitude_mask(w, s)[order])


@given(w=weights(distinct=True), s=sparsities(), e=st.integers(-60, 60))
def test_scale_by_a_power_of_two(w, s, e):
    assert np.array_equal(magnitude_mask(np.ldexp(-w, e), s), magnitude_mask(w, s))


@given(w=weights(), s=sparsities(), t=sparsities())
def test_pruning_further_to_a_total_is_pruning_at_once(w, s, t):
    low, high = sorted((s, t))
    assert np.array_equal(magnitude_mask(w, high, mask=magnitude_mask(w, low)), magnitude_mask(w, high))
    assert np.array_equal(magnitude_mask(w, low, mask=magnitude_mask(w, high)), magnitude_mask(w, high))  # nothing comes back


@given(w=weights(), amounts=st.lists(sparsities(), max_size=4))
def test_relative_amounts_compose_on_what_remains(w, amounts):
    left, kept = w.size, np.ones(w.shape, bool)
    for s in amounts:
        kept = magnitude_mask(w, s, mask=kept, convention="torch.nn.utils.prune")
        left -= round(s * left)
        assert np.count_nonzero(kept) == left


@pytest.mark.parametrize("name", ["torch.nn.utils.prune", "paddleslim", "sparseml", "sparseml.legacy"])
@settings(max_examples=25)
@given(w=weights(max_size=12), rows=st.integers(1, 3), s=sparsities())
def test_axis_is_line_by_line(name, w, rows, s):
    table, rule = np.stack([np.roll(w, 5 * r) for r in range(rows)]), conventions.get(name)
    want = np.stack([magnitude_mask(line, s, convention=rule) for line in table])
    assert np.array_equal(magnitude_mask(table, s, axis=-1, convention=rule), want)
    assert np.array_equal(magnitude_mask(table.T, s, axis=0, convention=rule), want.T)


@settings(max_examples=25)
@given(w=weights(max_size=12), s=sparsities())
def test_layout_does_not_matter(w, s):
    w = np.tile(w, (2, 1))
    want = magnitude_mask(w, s)
    frozen = w.copy()
    frozen.flags.writeable = False
    wide = np.zeros((2, 2 * w.shape[1]), w.dtype)
    wide[:, ::2] = w
    for same in (frozen, np.asfortranarray(w), wide[:, ::2], w.tolist()):
        if np.asarray(same).dtype == w.dtype or w.size == 0:
            assert np.array_equal(magnitude_mask(same, s), want)
    assert want.shape == w.shape and np.array_equal(w, frozen)


def test_edges():
    assert magnitude_mask(np.float32(3), 0.5).shape == () and bool(magnitude_mask(3.0, 0.5)) and not magnitude_mask(3.0, 1.0)
    assert magnitude_mask(np.zeros((0, 4)), 0.5).shape == (0, 4)
    assert magnitude_mask([1, -128, 5], count=1).tolist() == [False, True, True]
    assert magnitude_mask(np.array([1, -128, 5], np.int8), count=2).tolist() == [False, True, False]  # |-128| is no int8
    assert magnitude_mask([1.0, 2.0], 1).tolist() == [False, False]  # sparsity is always the fraction
    assert magnitude_mask([np.inf, 1.0, -np.inf, 0.0], 0.5).tolist() == [True, False, True, False]
    assert magnitude_mask([1e-45, 0.0, 2e-45, 1.0], 0.25).tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    "call",
    [
        lambda: magnitude_mask([1.0, np.nan], 0.5),
        lambda: magnitude_mask([1.0, 2.0]),
        lambda: magnitude_mask([1.0, 2.0], 0.5, count=1),
        lambda: magnitude_mask([1.0, 2.0], 1.5),
        lambda: magnitude_mask([1.0, 2.0], -0.1),
        lambda: magnitude_mask([1.0, 2.0], float("nan")),
        lambda: magnitude_mask([1.0, 2.0], True),
        lambda: magnitude_mask([1.0, 2.0], 2),
        lambda: magnitude_mask([1.0, 2.0], count=3),
        lambda: magnitude_mask([1.0, 2.0], count=1.0),
        lambda: magnitude_mask([1.0, 2.0], count=True),
        lambda: magnitude_mask([1.0, 2.0], 0.5, mask=np.array([True])),
        lambda: magnitude_mask(np.ones((2, 2)), 0.5, mask=np.ones((2, 2), bool), axis=0),
        lambda: magnitude_mask([1.0, 2.0], 0.5, convention="tfmot.m_by_n"),
        lambda: magnitude_mask([1.0, 2.0], 0.5, convention="no such library"),
        lambda: keep_largest([-1.0, 2.0], 0.5, convention="torch.nn.utils.prune"),
        lambda: threshold_mask([1.0], 0.5, "keep_some"),
        lambda: as_mask([0.5, 1.0], (2,)),
        lambda: apply_masks({"w": np.ones(2)}, {"v": np.ones(2, bool)}),
        lambda: apply_masks({"w": np.ones(2)}, {"w": np.array([0.5, 1.0])}),
        lambda: CountRule(rounding="half_up"),
    ],
)
def test_refusals(call):
    with pytest.raises(ValueError):
        call()


def test_selection_leaves_little_to_sort(monkeypatch):
    """Whatever the sample says the answer is exact, so only the work shows whether the sample is any good."""
    left, partition = [], np.partition
    monkeypatch.setattr(np, "partition", lambda a, *rest, **more: (left.append(a.size), partition(a, *rest, **more))[1])
    n, step = 2**18 + 1000, 65  # the cube root is 64.08: every 65th
    m = -(-n // step)
    rng = np.random.default_rng(0)
    columns = rng.random(n) + 10 * (np.arange(n) % 2)  # an even step would see one of two columns only
    for a in (rng.random(n), columns):
        for k in (n // 4, n // 2 + 100, n - n // 5):
            assert kth_smallest(a, k) == partition(a, k - 1)[k - 1]
            assert kth_smallest_of_lines(a[None], k).tolist() == [[partition(a, k - 1)[k - 1]]]
    # the bracket spans 2 half = 4 sqrt(m) gaps of the sample, of step entries each, give or take 5 times their root
    gaps = 4 * math.isqrt(m)
    assert all(abs(size - gaps * step) <= 5 * math.sqrt(gaps) * step for size in left)
    for few, sizes in ((np.ones(n), []), (rng.random(2**15 - 1), [2**15 - 1])):  # all equal; too few to be worth a sample
        left.clear()
        assert kth_smallest(few, 77) == partition(few, 76)[76]
        assert left == sizes
    left.clear()
    kth_smallest(rng.random(2**15), 77)
    assert left[0] < 2**14


def test_the_entry_that_makes_no_mask_is_named():
    with pytest.raises(ValueError, match="an entry 0.5;"):
        as_mask([1.0, 0.5], (2,))


def test_a_score_on_the_threshold_is_kept_unless_the_rule_says_otherwise():
    assert threshold_mask([0.5, -0.5, 0.25, np.nan], 0.5).tolist() == [True, True, False, False]
    assert threshold_mask([0.5, -0.5, 0.75, np.nan], 0.5, "prune_all").tolist() == [False, False, True, False]


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
def test_each_line_along_any_axis_is_pruned_by_itself(axis):
    w = np.random.default_rng(0).standard_normal((4, 6, 8))
    kept = magnitude_mask(w, 0.5, axis=axis)
    for line, mask in zip(np.moveaxis(w, axis, -1).reshape(-1, w.shape[axis]), np.moveaxis(kept, axis, -1).reshape(-1, w.shape[axis])):
        assert np.array_equal(mask, magnitude_mask(line, 0.5))


def test_of_nothing_nothing_is_pruned():
    assert count_pruned(0, 0.5) == 0 and magnitude_mask(np.zeros((0, 3)), 0.5).shape == (0, 3)


def test_nan_as_the_conventions_have_it():
    w = np.array([np.nan, np.inf, 2.0, 3.0], np.float32)
    assert magnitude_mask(w, count=3, convention="torch.nn.utils.prune").tolist() == [True, False, False, False]
    assert magnitude_mask([np.nan, 1.0, 2.0, 3.0], 0.5, convention="tfmot").tolist() == [False, False, False, True]
    assert not magnitude_mask([np.nan, np.nan, 2.0, 3.0], 0.5, convention="tfmot").any()  # the threshold itself is NaN
    two_kinds = np.array([0x7FC00002, 0x7FC00001, 0x3F800000], np.uint32).view(np.float32)  # NaN, another NaN, 1
    assert magnitude_mask(two_kinds, count=2, convention="nni").tolist() == [False, True, False]


def test_align_keeps_groups_together():
    assert [count_pruned(8, f, align=4, convention="distiller.structures") for f in (0.4, 0.6, 0.7)] == [0, 4, 4]
    assert count_pruned(8, 1.0, align=4, convention="distiller.structures") == 8
    assert count_pruned(8, 0.999, align=4, convention=CountRule(when_all="keep_one", rounding="ceil")) == 4


# ---- several arrays ----


@settings(max_examples=25)
@given(parts=st.lists(weights(max_size=8, dtypes=("float32",)), min_size=1, max_size=3), s=sparsities())
def test_global_is_one_ranking(parts, s):
    masks = global_magnitude_masks({f"w{i}": w for i, w in enumerate(parts)}, s)
    assert np.array_equal(np.concatenate(list(masks.values())), magnitude_mask(np.concatenate(parts), s))


def test_a_plain_global_threshold_deletes_the_layer_with_the_small_unit_of_measure():
    rng = np.random.default_rng(0)
    params = {"table0": rng.standard_normal((500, 16)), "w0": 0.05 * rng.standard_normal((16, 8))}
    plain = global_magnitude_masks(params, 0.8)
    assert not plain["w0"].any()  # all of it: the model is cut in two
    for scale in ("rms", "lamp"):
        kept = global_magnitude_masks(params, 0.8, scale=scale)
        assert kept["w0"].mean() > 0.1
        assert sum(m.sum() for m in kept.values()) == sum(m.sum() for m in plain.values())
    even = global_magnitude_masks(params, 0.8, scale="rms")
    # with all layers N(0, sigma) the same share of each survives: 128 draws at .2, five standard deviations are .18
    assert abs(even["w0"].mean() - 0.2) < 0.18


@settings(max_examples=25)
@given(w=weights(min_size=1, max_size=12, infinities=False, dtypes=("float64",)))
def test_lamp_against_its_formula(w):
    w = np.clip(w, -1e6, 1e6)
    order = sorted(range(w.size), key=lambda i: (abs(w[i]), i))
    scores = {}
    with np.errstate(under="ignore"):
        squares = w**2
    for place, i in enumerate(order):
        rest = math.fsum(squares[j] for j in order[place:])
        scores[i] = squares[i] / rest if rest else 0.0
    kept = global_magnitude_masks({"w": w}, count=w.size // 2, scale="lamp")["w"]
    if kept.any() and not kept.all():
        worst = min(scores[i] for i in range(w.size) if kept[i])
        best = max(scores[i] for i in range(w.size) if not kept[i])
        assert best <= worst * (1 + 4 * w.size * 2.0**-53)  # a running sum of n terms: gamma_n each


def rms_scores(w):
    return np.abs(w) / math.sqrt(math.fsum(w * w) / w.size)


def lamp_scores(w):
    return np.array([v * v / math.fsum(u * u for u in w if abs(u) >= abs(v)) for v in w])


@pytest.mark.parametrize(("scale", "scores_of"), [("rms", rms_scores), ("lamp", lamp_scores)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_scaled_scores_rank_entries_of_different_layers(scale, scores_of, dtype):
    rng = np.random.default_rng(4)
    layers = [rng.standard_normal(60) ** power * size for power, size in ((1, 1.0), (3, 0.1), (5, 9.0))]  # of unlike shapes
    with np.errstate(under="ignore"):
        params = {f"w{i}": w.astype(dtype) for i, w in enumerate(layers)}
    scores = np.concatenate([scores_of(w.astype(np.float64)) for w in params.values()])
    for count in (20, 60, 90, 120, 160):
        kept = np.concatenate(list(global_magnitude_masks(params, count=count, scale=scale).values()))
        last, first = np.sort(scores)[count - 1 : count + 1]
        assert first > last * (1 + 1e-9)  # far more than either way of computing them rounds
        assert np.array_equal(kept, scores >= first)


def test_a_layer_of_zeros_goes_first_under_every_scale():
    params = {"none": np.zeros(2), "some": np.array([1e-300, 1e-200]), "empty": np.zeros(0)}
    for scale in ("none", "rms", "lamp"):
        kept = global_magnitude_masks(params, 0.5, scale=scale)
        assert [m.tolist() for m in kept.values()] == [[False, False], [True, True], []]


def test_squares_that_overflow_or_vanish_still_rank():
    assert magnitude_mask([1e200, 1.0, 1e-200], 1 / 3, convention=CountRule(score="square")).tolist() == [True, True, False]


def test_global_conventions():
    ties = {"a": np.array([1.0, 1.0]), "b": np.array([1.0, 2.0])}
    assert global_magnitude_masks(ties, 0.5, convention="nni")["a"].all()  # alone it counts exactly, jointly it keeps ties
    assert magnitude_mask([1.0, 1.0, 1.0, 2.0], 0.5, convention="nni").sum() == 2
    norms = {"u": np.array([2.0, 2.0, 2.0, 9.0])}
    assert global_magnitude_masks(norms, 0.25, convention="torch_pruning")["u"].tolist() == [False, False, False, True]
    assert global_magnitude_masks({"u": np.ones(4)}, 0.5, convention="torch_pruning")["u"].all()  # would lose all: skipped
    assert global_magnitude_masks({}, 0.5) == {}
    with pytest.raises(ValueError):
        global_magnitude_masks(ties, 0.5, scale="l2")
    before = {"a": np.array([True, False]), "b": np.array([True, True])}
    after = global_magnitude_masks(ties, 0.2, masks=before, convention="open_lth")
    assert {k: m.tolist() for k, m in after.items()} == {"a": [False, False], "b": [False, True]}


def test_huge_layers_are_scaled_without_overflow():
    params = {"big": np.array([1e300, 2e300]), "small": np.array([1e-300, 2e-300])}
    kept = global_magnitude_masks(params, 0.5, scale="rms")
    assert [m.tolist() for m in kept.values()] == [[False, True], [False, True]]


# ---- units ----


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, np.inf, -np.inf, "fro"])
@settings(max_examples=25)
@given(w=weights(min_size=1, max_size=6, infinities=False, dtypes=("float64",)))
def test_unit_norms(order, w):
    w = np.clip(np.stack([w, -w[::-1], np.ones_like(w)]), -1e6, 1e6)
    p = 2 if order == "fro" else order
    with np.errstate(under="ignore"):
        want = [np.linalg.norm(np.abs(w[:, o]), p) for o in range(w.shape[1])]
        assert np.array_equal(unit_norms(w, order), want)
        assert np.array_equal(unit_norms(w.T, order, axis=0), want)


@given(w=weights(min_size=1, max_size=6, infinities=False, dtypes=("float32",)), s=sparsities())
def test_neuron_mask_prunes_whole_units(w, s):
    w = np.stack([w, w[::-1]])
    with np.errstate(under="ignore"):
        kept = neuron_mask(w, s, order=1)
    assert kept.shape == w.shape and (kept.all(axis=0) | ~kept.any(axis=0)).all()
    assert np.count_nonzero(~kept.any(axis=0)) == round(s * w.shape[1])
    kept[:] = False  # the answer is the caller's own


def test_neuron_refusals_and_existing_masks():
    for bad in (lambda: neuron_mask([1.0, 2.0], 0.5), lambda: neuron_mask(np.ones((2, 2)), 0.5, axis=2)):
        with pytest.raises(ValueError, match="units need an axis"):
            bad()
    w = np.arange(1.0, 9.0).reshape(2, 4)
    first = neuron_mask(w, 0.25)
    assert neuron_mask(w, 0.5, mask=first, convention="torch.nn.utils.prune").any(axis=0).tolist() == [False, False, False, True]
    assert neuron_mask(w, 0.5, mask=first).any(axis=0).tolist() == [False, False, True, True]
    scattered = np.ones((2, 4), bool)
    scattered[0, 3] = False  # a unit that lost one weight is not a pruned unit
    assert neuron_mask(w, 0.5, mask=scattered).any(axis=0).tolist() == [False, False, True, True]
    assert np.array_equal(unit_norms(w, axis=-2), unit_norms(w, axis=0))
    assert [unit_norms(np.zeros((0, 3)), p).tolist() for p in (2, np.inf, -np.inf)] == [[0, 0, 0]] * 3
    three = np.array([[3, 2, 2.3], [0, 2, 2.3]])  # of these the smallest is the first by L1, and the second of three by L3
    assert [neuron_mask(three, count=c)[0].tolist() for c in (1, 2)] == [[True, False, True], [False, False, True]]
    cube = np.zeros((2, 3, 4)) + np.arange(4)  # units are the last axis, however many there are
    assert unit_norms(cube, 1).tolist() == [0, 6, 12, 18]
    assert neuron_mask(cube, 0.25)[1, 1].tolist() == [False, True, True, True]


def test_apply_masks_writes_plus_zero():
    w = np.array([-1.0, np.nan, np.inf, 2.0], np.float32)
    pruned = apply_masks({"w": w, "b": w}, {"w": np.array([False, False, False, True])})
    assert pruned["w"].tolist() == [0, 0, 0, 2] and not np.signbit(pruned["w"]).any() and pruned["w"].dtype == np.float32
    assert pruned["b"] is w and np.isnan(w[1])
    assert sparsity_of({"w": pruned["w"]}) == 0.75 and sparsity_of({}) == 0 and sparsity_of({"b": [0.0]}) == 1


def test_the_names_that_others_call_live_in_pruning():
    assert cubic_sparsity(4, 0, 4, final=0.5) == 0.5


# ---- N of M ----


@given(w=weights(min_size=1, max_size=11, infinities=True), keep=st.integers(0, 4), group=st.integers(1, 4))
def test_n_m_default_against_its_sentence(w, keep, group):
    keep = min(keep, group)
    want = []
    for start in range(0, w.size, group):
        want += largest_first(np.abs(w[start : start + group]).tolist(), keep)
    assert n_m_mask(w, keep, group).tolist() == want


@settings(max_examples=25)
@given(w=weights(min_size=1, max_size=3), keep=st.integers(0, 4), name=st.sampled_from(["jaxpruner.n_by_m", "sparseml.n_m"]))
def test_n_m_high_index(w, keep, name):
    w = np.resize(w, (2, 4))
    a = np.abs(w)
    want = [[i in sorted(range(4), key=lambda i: (-row[i], -i))[:keep] for i in range(4)] for row in a.tolist()]
    assert n_m_mask(w, keep, 4, convention=name).tolist() == want
    assert n_m_mask(w.T, keep, 4, axis=0, convention=name).T.tolist() == want


def test_n_m_peers():
    ones = np.ones((1, 4), np.float32)
    got = {name: "".join(map(str, n_m_mask(ones, 2, 4, convention=name).astype(int)[0])) for name in
           ("torch.ao.pruning.blocks", "tfmot.m_by_n", "wanda", "jaxpruner.n_by_m", "sparseml.n_m", "modelopt")}  # fmt: skip
    assert list(got.values()) == ["1100", "1100", "1100", "0011", "0011", "0101"]
    big = np.array([[1e8, 1, 2, 0]], np.float32)
    assert n_m_mask(big, 2, 4, convention="modelopt").astype(int).tolist() == [[1, 1, 0, 0]]
    assert n_m_mask(big, 2, 4).astype(int).tolist() == [[1, 0, 1, 0]]
    assert n_m_mask([[np.nan, 1.0, 2.0, 3.0]], 2, 4, convention="modelopt").astype(int).tolist() == [[0, 1, 0, 1]]
    assert pattern_order(2, 4).shape == (6, 4)
    assert [n_m_pair(1, 4, name) for name in ("modelopt", "jaxpruner.n_by_m", "sparseml.n_m", "wanda", "tfmot.m_by_n")] == [
        (1, 4), (1, 4), (1, 4), (3, 4), (3, 4)]  # fmt: skip


def test_n_m_ragged():
    w = np.array([[4.0, 3, 2, 1, 1, 1]], np.float32)
    assert n_m_mask(w, 2, 4).astype(int).tolist() == [[1, 1, 0, 0, 1, 1]]
    assert n_m_mask(w, 2, 4, convention="tfmot.m_by_n").astype(int).tolist() == [[1, 1, 0, 0, 1, 1]]
    assert n_m_mask(w, 2, 4, convention="torch.ao.pruning.blocks").astype(int).tolist() == [[1, 1, 0, 0, 0, 0]]
    for name in ("jaxpruner.n_by_m", "modelopt", "sparseml.n_m"):
        with pytest.raises(ValueError):
            n_m_mask(w, 2, 4, convention=name)
    both = np.vstack([w, w])  # 12 entries: sparseml's middle group straddles the two rows
    assert n_m_mask(both, 2, 4, convention="sparseml.n_m").astype(int).tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1]]
    assert n_m_mask(np.array([-128, 5, 1, 2], np.int8), 2, 4).tolist() == [True, True, False, False]  # |-128| is no int8
    assert n_m_mask(np.zeros((0, 4)), 2, 4).shape == (0, 4) and n_m_mask(np.zeros((2, 0)), 2, 4).shape == (2, 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: n_m_mask([1.0, 2.0], 3, 2),
        lambda: n_m_mask([1.0, 2.0], -1, 2),
        lambda: n_m_mask([1.0, 2.0], 0, 0),
        lambda: n_m_mask([1.0, np.nan], 1, 2),
        lambda: n_m_mask(np.float32(1), 1, 2),
        lambda: n_m_mask([1.0] * 4, 0, 4, convention="tfmot.m_by_n"),
        lambda: n_m_mask([1.0] * 16, 2, 16, convention="modelopt"),
        lambda: n_m_pair(5, 4),
        lambda: n_m_pair(1, 4, "sparseml.n_m", sparsity=0.25),
        lambda: pattern_order(1, 9),
    ],
)
def test_n_m_refusals(call):
    with pytest.raises(ValueError):
        call()


# ---- the k-th smallest ----

N = 40_000  # above the size at which sampling begins
SHAPES = {
    "normal": np.random.default_rng(1).standard_normal(N),
    "sorted": np.arange(N, dtype=np.float64),
    "falling": -np.arange(N, dtype=np.int64),
    "constant": np.ones(N, np.float32),
    "two values": np.arange(N) % 2,
    "columns of a table": np.tile(10.0 ** np.arange(16), N // 16),
    "period of the sample": np.where(np.arange(N) % (int(N ** (1 / 3)) | 1), 1.0, -1.0),
    "heavy tail": np.random.default_rng(2).standard_cauchy(N),
    "with infinities": np.where(np.arange(N) % 3, np.inf, np.arange(N)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_kth_smallest_is_exact(name):
    a = SHAPES[name]
    ranks = [1, 2, 17, N // 3, N // 2, N - 3, N]
    assert [kth_smallest(a, k) for k in ranks] == np.sort(a)[np.array(ranks) - 1].tolist()


def test_kth_smallest_where_the_sample_misses():
    """Only the entries that are looked at differ from 0: the bracket lies above most ranks, and one ends just before it."""
    a, step = np.zeros(N), int(N ** (1 / 3)) | 1
    a[::step] = 1 + np.arange(len(a[::step]))
    assert [kth_smallest(a, k) for k in range(N - 149, N + 1)] == np.sort(a)[-150:].tolist()


def test_kth_smallest_with_nan_and_lines():
    a = SHAPES["normal"].copy()
    a[::5] = np.nan
    assert kth_smallest(a, 100) == np.sort(a)[99] and np.isnan(kth_smallest(a, N))
    lines = a.reshape(40, -1)
    for k in (1, 3, lines.shape[1] // 2, lines.shape[1]):
        assert np.array_equal(kth_smallest_of_lines(lines, k)[:, 0], np.sort(lines)[:, k - 1], equal_nan=True)
    for call in (lambda: kth_smallest(a, 0), lambda: kth_smallest(a, N + 1), lambda: kth_smallest_of_lines(lines, 0)):
        with pytest.raises(ValueError):
            call()


def test_large_arrays_agree_with_sorting():
    w = np.round(np.random.default_rng(3).standard_normal((200, 300)), 2).astype(np.float32)  # 60,000 entries, full of ties
    for s in (0.1, 0.5, 0.98):
        order = np.argsort(np.abs(w).ravel(), kind="stable")
        want = np.ones(w.size, bool)
        want[order[: round(s * w.size)]] = False
        assert np.array_equal(magnitude_mask(w, s).ravel(), want)
