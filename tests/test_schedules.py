"""When to prune how much, and the procedures that prune and train in turns."""
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress import conventions
from tinycompress.pruning import apply_masks, magnitude_mask, sparsity_of
from tinycompress.retraining import dense_sparse_dense, lottery_ticket, prune_in_rounds, sensitivity, shuffle_masks
from tinycompress.schedules import cubic_sparsity, fraction_of_remaining, geometric_sparsity, is_update_step

fractions = st.floats(0, 1)
PRESETS = [name for name in conventions.names() if isinstance(conventions.get(name), conventions.ScheduleRule)]


def curve(steps, *args, **keywords):
    return [cubic_sparsity(t, *args, **keywords) for t in steps]


@pytest.mark.parametrize("power", [1, 2, 3, 1 / 3])
@settings(max_examples=25)
@given(begin=st.integers(0, 9), span=st.integers(1, 20), initial=fractions, final=fractions)
def test_monotone_between_its_ends(power, begin, span, initial, final):
    with np.errstate(under="ignore"):
        s = curve(range(begin + span + 3), begin, begin + span, initial, final, power=power)
    # up to the rounding of s_f + (s_i - s_f) c, three operations on numbers up to 1: 2 ulp of 1
    assert all(x == initial or abs(x - initial) <= 2**-52 for x in s[: begin + 1]) and set(s[begin + span :]) == {final}
    rising = np.diff(s) * (1 if final >= initial else -1)
    assert np.all(rising >= -(2.0**-51))


@given(initial=st.floats(0, 0.5), rise=st.floats(0, 0.5), span=st.integers(2, 20))
def test_concave(initial, rise, span):
    with np.errstate(under="ignore"):
        s = curve(range(span + 1), 0, span, initial, initial + rise)
    assert np.all(np.diff(s, 2) <= 2.0**-50)  # four roundings of numbers up to 1


def test_sequences_to_four_fifths():
    """To .8 in four steps, as measured or read on each peer."""
    four = [0, 0.4625, 0.7000000000000001, 0.7875000000000001, 0.8]
    assert curve(range(5), 0, 4, final=0.8) == four
    assert curve(range(5), 0, 5, final=0.8, convention="distiller.AGP") == four
    assert [round(x, 3) for x in curve(range(4), 0, 4, final=0.8, convention="distiller.AGP")] == [0, 0.563, 0.77, 0.8]
    assert curve(range(5), 0, 4, final=0.8, convention="torch.ao.CubicSL") == four
    assert curve(range(4), 0, 4, final=0.8, convention="paddleslim.GMP") == four[:4]
    assert curve(range(5), 0, 4, final=0.8, convention="sparseml.cubic") == four
    assert curve(range(5), 0, 4, final=0.8, convention="nni.AGP") == four
    assert np.allclose(curve(range(4), 0, 4, final=0.8, convention="jaxpruner.polynomial"), four[1:], rtol=0, atol=2**-23)
    as32 = [float(np.float32(x)) for x in (0, 0.4625, 0.7, 0.7875, 0.8)]
    assert curve(range(5), 0, 4, final=0.8, convention="tfmot.PolynomialDecay") == as32


def test_tfmot_never_reaches_a_target_its_frequency_misses():
    steps = [t for t in range(12) if is_update_step(t, 3, 10, 3, "tfmot.PolynomialDecay")]
    assert steps == [3, 6, 9]
    last = cubic_sparsity(9, 3, 10, final=0.5, convention="tfmot.PolynomialDecay")
    assert round(last, 4) == 0.4985


def test_update_steps():
    assert [t for t in range(14) if is_update_step(t, 3, 10, 3, "distiller.AGP")] == [3, 6, 9]
    assert [t for t in range(14) if is_update_step(t, 3, 12, 3, "distiller.AGP")] == [3, 6, 9]  # its end is not included
    assert [t for t in range(14) if is_update_step(t, 3, 12, 3)] == [3, 6, 9, 12]
    assert [t for t in range(14) if is_update_step(t, 2, 12, 3, "jaxpruner.polynomial")] == [3, 6, 9, 12]
    assert [t for t in range(6) if is_update_step(t, 2, 4, 3, "torch.ao.CubicSL")] == [2, 3, 4]
    assert cubic_sparsity(9, 3, 12, final=0.5, frequency=3, convention="distiller.AGP") == 0.5


def test_what_is_drawn_before_the_beginning_and_where_nothing_lies_between():
    assert cubic_sparsity(1, 2, 6, 0.3, 0.8) == 0.8 + (0.3 - 0.8)
    zero = replace(conventions.get("torch.ao.CubicSL"), before_begin="zero")
    assert cubic_sparsity(1, 2, 6, 0.3, 0.8, convention=zero) == 0
    assert cubic_sparsity(5, 2, 6, 0.8, 0.3, convention="torch.ao.CubicSL") == 0.8  # falls nowhere
    assert cubic_sparsity(5, 2, 6, 0.8, 0.3, convention="tfmot.PolynomialDecay") < 0.4
    assert math.isnan(cubic_sparsity(5, 5, 5, final=0.5, convention="tfmot.PolynomialDecay"))
    assert cubic_sparsity(5, 5, 5, final=0.5, convention="jaxpruner.polynomial") == 0.5
    assert cubic_sparsity(2, 0, 4, 0.5, 0.8, convention="nni.AGP") == 0.8 * (1 - 0.5 * 0.125)  # .5 is a share of .8


@pytest.mark.parametrize(
    "call",
    [
        lambda: cubic_sparsity(0, 5, 4),
        lambda: cubic_sparsity(0, 5, 5),
        lambda: cubic_sparsity(0, 0, 4, final=1.5),
        lambda: cubic_sparsity(0, 0, 4, initial=-0.1),
        lambda: cubic_sparsity(0, 0, 4, frequency=0),
        lambda: cubic_sparsity(0, 0, 4, power=0),
        lambda: cubic_sparsity(0, 0, 4, 0.5, 0.5, convention="distiller.AGP"),
        lambda: cubic_sparsity(0, 0, 4, 0.0, 1.0, convention="tfmot.PolynomialDecay"),
        lambda: cubic_sparsity(0, 0, 4, convention="tfmot"),
        lambda: is_update_step(0, 0, 4, 0),
        lambda: geometric_sparsity(-1, 0.2),
        lambda: geometric_sparsity(1, 1.2),
        lambda: fraction_of_remaining(0.5, 0.4),
    ],
)
def test_refusals(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_end_at_their_target(name):
    rule = conventions.get(name)
    end = 8 if rule.span == "to_end" else 9
    last = end - 1 if rule.end_included == "no" else end
    s = cubic_sparsity(last, 0, end, 0.25, 0.75, convention=rule)
    assert s == (0.75 if name != "paddleslim.GMP" else 0.75 - 0.5 / 8**3)  # the one that stops short


@given(rounds=st.integers(0, 8), f=st.floats(0, 0.99))
def test_relative_and_total_amounts(rounds, f):
    total = geometric_sparsity(rounds, f)
    assert abs(fraction_of_remaining(total, geometric_sparsity(rounds + 1, f)) - f) <= 2**-48 / (1 - total)  # cancellation


# ---- prune and train in turns ----


def toy_training(target):
    """'Training' that walks half-way to a target where the masks allow it."""

    def train(theta, masks, rate):
        moved = {k: w + rate * (target[k] - w) / 2 for k, w in theta.items()}
        return apply_masks(moved, masks)

    return train


def test_rounds_nest_and_reach_the_total():
    rng = np.random.default_rng(0)
    params = {"w0": rng.standard_normal((8, 8)), "w1": rng.standard_normal((8, 3))}
    met = []

    def train(theta, masks, rate):
        met.append(masks)
        return toy_training({k: rng.standard_normal(w.shape) for k, w in params.items()})(theta, masks, rate)

    done = prune_in_rounds(params, train, [0.25, 0.5, 0.75])
    assert sparsity_of(done.params) == 0.75
    assert all(not np.any(later[k] & ~earlier[k]) for earlier, later in zip(met, met[1:]) for k in later)


def test_scores_come_from_effective_weights():
    """A trainer that lets a pruned weight grow does not bring it back: masks are made of what the model computes with."""
    params = {"w0": np.array([1.0, 2.0, 3.0, 4.0])}

    def leaky(theta, masks, rate):
        return {"w0": np.where(masks["w0"], theta["w0"], 9.0)}

    done = prune_in_rounds(params, leaky, [0.25, 0.5])
    assert done.params["w0"].tolist() == [0, 0, 3, 4]
    stale = magnitude_mask(leaky(params, {"w0": np.array([False, True, True, True])}, 1.0)["w0"], 0.5)
    assert stale.tolist() == [True, False, False, True]  # what ranking raw weights would have done


def test_a_ticket_is_the_initial_weights_under_the_mask():
    rng = np.random.default_rng(1)
    initial = {"w0": rng.standard_normal((10, 10)), "b0": np.ones(10)}
    target = {"w0": rng.standard_normal((10, 10)), "b0": np.zeros(10)}
    ticket = lottery_ticket(initial, toy_training(target), rounds=3, fraction=0.2)
    assert np.count_nonzero(ticket.masks["w0"]) == 100 - round((1 - 0.8**3) * 100)
    assert np.array_equal(ticket.params["w0"], np.where(ticket.masks["w0"], initial["w0"], 0))
    assert ticket.params["b0"] is initial["b0"] and set(ticket.masks) == {"w0"}
    early = {k: w + 1 for k, w in initial.items()}
    late = lottery_ticket(initial, toy_training(target), rounds=1, fraction=0.2, rewind_to=early)
    assert np.array_equal(late.params["w0"], np.where(late.masks["w0"], early["w0"], 0))
    random = shuffle_masks(ticket.masks, rng)
    assert random["w0"].sum() == ticket.masks["w0"].sum() and not np.array_equal(random["w0"], ticket.masks["w0"])
    with pytest.raises(ValueError):
        lottery_ticket(initial, toy_training(target), rounds=0)


def test_dense_sparse_dense():
    rng = np.random.default_rng(2)
    params = {"w0": rng.standard_normal(20), "b0": np.zeros(3)}
    target = {"w0": rng.standard_normal(20), "b0": np.ones(3)}
    rates = []

    def train(theta, masks, rate):
        rates.append(rate)
        return toy_training(target)(theta, masks, rate)

    dense, sparse, free = dense_sparse_dense(params, train, 0.3)
    assert rates == [1.0, 1.0, 0.1] and not dense.masks and not free.masks
    gone = ~sparse.masks["w0"]
    assert gone.sum() == 6 and not sparse.params["w0"][gone].any()
    # the last phase starts pruned weights from 0, and lets them move again
    assert np.array_equal(free.params["w0"][gone], 0.1 * (target["w0"][gone] - 0) / 2)


def test_sensitivity_prunes_one_array_at_a_time():
    params = {"w0": np.array([1.0, 2.0]), "w1": np.array([10.0, 20.0]), "b0": np.array([5.0])}
    seen = sensitivity(params, lambda theta: float(sum(w.sum() for w in theta.values())), [0.0, 0.5, 1.0])
    assert seen == {"w0": [38, 37, 35], "w1": [38, 28, 8]}
    assert list(sensitivity(params, lambda theta: 0.0, [0.5], names=["b0"])) == ["b0"]
