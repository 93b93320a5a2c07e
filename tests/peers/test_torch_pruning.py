"""Live against torch.nn.utils.prune and torch.ao.pruning; skipped without torch.

Masks are compared up to ties: torch takes equal magnitudes in the order that the selection inside its top-k leaves them.
"""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from torch.ao.pruning import WeightNormSparsifier  # noqa: E402
from torch.ao.pruning.scheduler.cubic_scheduler import CubicSL  # noqa: E402
from torch.nn.utils import prune  # noqa: E402

from tests.strategies import sparsities, weights  # noqa: E402
from tinycompress.counting import count_pruned  # noqa: E402
from tinycompress.patterns import n_m_mask  # noqa: E402
from tinycompress.pruning import apply_masks, global_magnitude_masks, magnitude_mask, neuron_mask, unit_norms  # noqa: E402
from tinycompress.schedules import cubic_sparsity  # noqa: E402

NAME = "torch.nn.utils.prune"
AMOUNTS = [i / 100 for i in range(101)]


def module(w):
    holder = torch.nn.Module()
    holder.weight = torch.nn.Parameter(torch.tensor(w))
    return holder


def kept(holder):
    return holder.weight_mask.numpy().astype(bool)


def same_up_to_ties(got, want, scores):
    return np.array_equal(np.sort(scores[got]), np.sort(scores[want]), equal_nan=True)


@pytest.mark.parametrize("n", range(1, 201))
def test_every_count(n):
    """n weights, all different, in a random order: the same number goes, and without ties the same ones."""
    w = np.random.default_rng(n).permutation(np.arange(1, n + 1)).astype(np.float32)
    t, ones = torch.from_numpy(w), torch.ones(n)
    for amount in AMOUNTS:
        want = prune.L1Unstructured(amount).compute_mask(t, ones).numpy().astype(bool)
        got = magnitude_mask(w, amount, convention=NAME)
        assert np.array_equal(got, want), (n, amount)
        assert count_pruned(n, amount, convention=NAME) == np.count_nonzero(~want)
    for count in (0, 1, n // 2, n):
        want = prune.L1Unstructured(count).compute_mask(t, ones).numpy().astype(bool)
        assert np.array_equal(magnitude_mask(w, count=count, convention=NAME), want)


@given(w=weights(min_size=1, max_size=200), s=sparsities())
def test_masks_up_to_ties(w, s):
    want = prune.L1Unstructured(s).compute_mask(torch.from_numpy(w), torch.ones(w.size)).numpy().astype(bool)
    assert same_up_to_ties(magnitude_mask(w, s, convention=NAME), want, np.abs(w))


DISTINCT = {"distinct": True, "dtypes": ("float32",), "min_size": 1}


@given(w=weights(max_size=20, **DISTINCT), amounts=st.lists(sparsities(), min_size=1, max_size=5))
def test_iterated_amounts(w, amounts):
    holder, got = module(w), None
    for amount in amounts:
        prune.l1_unstructured(holder, "weight", amount)
        got = magnitude_mask(w, amount, mask=got, convention=NAME)
        holder.weight.data = holder.weight_orig.data * holder.weight_mask  # what the next forward pass would do
        assert np.array_equal(got, kept(holder))


def test_refusals():
    w = np.arange(1.0, 5.0, dtype=np.float32)
    for amount, keywords in ((5, {"count": 5}), (-1, {"count": -1}), (1.5, {"sparsity": 1.5}), (-0.1, {"sparsity": -0.1})):
        with pytest.raises(ValueError):
            prune.l1_unstructured(module(w), "weight", amount)
        with pytest.raises(ValueError):
            magnitude_mask(w, **keywords, convention=NAME)
    holder = module(w)
    prune.l1_unstructured(holder, "weight", 0.5)
    with pytest.raises(ValueError):
        prune.l1_unstructured(holder, "weight", 3)
    with pytest.raises(ValueError):
        magnitude_mask(w, count=3, mask=kept(holder), convention=NAME)


@pytest.mark.parametrize("order", [0, 0.5, 1, 2, float("inf"), float("-inf"), "fro"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_units(order, axis):
    for seed in range(8):
        w = np.random.default_rng(seed).integers(-9, 10, (7, 5)).astype(np.float32)  # exact sums of few values: ties happen
        norms = unit_norms(w, order, axis)
        other = 1 - axis % 2
        for amount in (0.0, 0.125, 0.3, 0.5, 0.75, 1.0, 1, 3):
            mask = prune.LnStructured(amount, order, axis).compute_mask(torch.from_numpy(w), torch.ones(w.shape))
            want = mask.numpy().astype(bool)
            keywords = {"count": amount} if isinstance(amount, int) else {"sparsity": amount}
            got = neuron_mask(w, **keywords, order=order, axis=axis, convention=NAME)
            assert same_up_to_ties(got.any(axis=other), want.any(axis=other), norms.round(4))
            assert np.array_equal(got, np.broadcast_to(got.any(axis=other, keepdims=True), w.shape))


def test_structured_after_unstructured():
    w = np.random.default_rng(0).permutation(np.arange(1, 25)).reshape(6, 4).astype(np.float32)
    for first, second in ((0.5, 0.5), (0.8, 0.4), (0.9, 0.9)):
        holder = module(w)
        prune.l1_unstructured(holder, "weight", first)
        got = magnitude_mask(w, first, convention=NAME)
        holder.weight.data = holder.weight_orig.data * holder.weight_mask
        prune.ln_structured(holder, "weight", second, n=1, dim=0)
        effective = apply_masks({"w": w}, {"w": got})["w"]
        units = neuron_mask(effective, second, 1, axis=0, mask=got, convention=NAME)
        assert np.array_equal(got & units, kept(holder))


@given(parts=st.lists(weights(max_size=9, **DISTINCT), min_size=2, max_size=4), s=sparsities())
def test_global(parts, s):
    parts = [w + i / len(parts) for i, w in enumerate(parts)]  # distinct across the layers as well
    parts = [w.astype(np.float32) for w in parts]
    holders = [module(w) for w in parts]
    prune.global_unstructured([(h, "weight") for h in holders], prune.L1Unstructured, amount=s)
    got = global_magnitude_masks({str(i): w for i, w in enumerate(parts)}, s, convention=NAME)
    flat = np.abs(np.concatenate(parts))
    assert same_up_to_ties(np.concatenate(list(got.values())), np.concatenate([kept(h) for h in holders]), flat)


# ---- torch.ao.pruning ----


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 11, 40])
def test_ao_counts(n):
    w = np.random.default_rng(n).permutation(np.arange(1, n + 1)).astype(np.float32)[None]
    for s in AMOUNTS[::5]:
        layer = torch.nn.Linear(n, 1, bias=False)
        layer.weight.data = torch.from_numpy(w.copy())
        sparsifier = WeightNormSparsifier(sparsity_level=s, sparse_block_shape=(1, 1))
        sparsifier.prepare(torch.nn.Sequential(layer), [{"tensor_fqn": "0.weight"}])
        sparsifier.step()
        want = layer.parametrizations.weight[0].mask.numpy().astype(bool)
        assert np.array_equal(magnitude_mask(w, s, convention="torch.ao.pruning"), want), (n, s)


def test_ao_two_of_four():
    w = np.random.default_rng(0).standard_normal((8, 12)).astype(np.float32)
    layer = torch.nn.Linear(12, 8, bias=False)
    layer.weight.data = torch.from_numpy(w.copy())
    sparsifier = WeightNormSparsifier(sparsity_level=1.0, sparse_block_shape=(1, 4), zeros_per_block=2)
    sparsifier.prepare(torch.nn.Sequential(layer), [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    want = layer.parametrizations.weight[0].mask.numpy().astype(bool)
    assert np.array_equal(n_m_mask(w, 2, 4, convention="torch.ao.pruning.blocks"), want)


ENDS = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(ends=ENDS, t=st.integers(0, 30), begin=st.integers(0, 9), span=st.sampled_from([1, 2, 5, 8]))
def test_ao_cubic(ends, t, begin, span):
    dt, n = (2, span // 2) if span % 2 == 0 else (1, span)
    with np.errstate(under="ignore"):
        got = cubic_sparsity(t, begin, begin + dt * n, *ends, convention="torch.ao.CubicSL")
    want = CubicSL.sparsity_compute_fn(*ends, t, begin, dt, n)
    # past the end torch computes on with negative progress and clamps s, we clamp the progress: both give the end
    assert got == want or abs(got - want) <= 2**-52
