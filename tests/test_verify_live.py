"""Live tests: right implementations pass however they are written, faults of process are found whatever the convention."""

import time

import numpy as np
import pytest
from other_ways import OTHER_WAYS

from tinycompress.verify.adapters import PythonAdapter
from tinycompress.verify.axes import claimed
from tinycompress.verify.hard_inputs import hard_floats, lay_out
from tinycompress.verify.live import live_cases, live_generator, live_outcomes
from tinycompress.verify.live_relations import relations
from tinycompress.verify.mutants import MUTANTS, nearest_point
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.oracle import answer
from tinycompress.verify.own import OWN
from tinycompress.verify.running import run


def outcomes(operation, function, seed=0, held=None, budget=48):
    adapter = PythonAdapter("mine", {operation: function})

    def ask(requests):
        first = [adapter.call(r) for r in requests]
        return list(zip(first, [adapter.call(r) for r in reversed(requests)][::-1]))

    return live_outcomes(operation, claimed(operation) if held is None else held, seed, ask, budget)


def wrong(found):
    return [(o.test, o.status, o.message) for o in found if o.status not in ("pass", "unsupported")]


@pytest.mark.parametrize(
    "operation, function", OTHER_WAYS, ids=lambda v: v if isinstance(v, str) else getattr(v, "__name__", "own")
)
def test_a_right_implementation_passes_vectors_and_live_tests(operation, function):
    report = run({operation: function}, operations=[operation], isolate=False)
    assert [(o.test, o.status, o.message) for op in report.operations for o in op.outcomes] == []
    assert report.ok


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_legal_kind_of_input_is_asked(operation):
    asked = [q.request for q in live_cases(operation, claimed(operation), live_generator(operation, 0))]
    arrays = [a for r in asked for a in r.arguments if isinstance(a, np.ndarray)]
    assert max((a.size for a in arrays), default=0) <= 4096
    if operation == "unpack":
        return
    assert any(not a.flags.writeable for a in arrays) and any(not a.flags.c_contiguous and a.size > 1 for a in arrays)
    first = [np.asarray(r.arguments[0]) for r in asked]
    entry = OPERATIONS[operation].lane == "entry"
    assert any(a.shape[:1] in [(1,), (2,)] for a in first)
    assert not entry or any(a.ndim == 0 for a in first) and any(a.size == 0 for a in first)
    assert not OPERATIONS[operation].axis or any(r.axis == 0 and np.ndim(r.arguments[1 + (operation[-1] == "d")]) for r in asked)
    assert operation in ("pack", "symmetric_qparams", "asymmetric_qparams", "requantize", "magnitude_mask", "adam_step") or any(
        a.shape[:1] > (255,) for a in first)  # fmt: skip


def drawn(seed):
    cases = live_cases("quantize", claimed("quantize"), live_generator("quantize", seed), 8)
    return [case.request.arguments[0].tobytes() for case in cases]


def test_a_seed_draws_the_same_again():
    assert drawn(3) == drawn(3) != drawn(4)


@pytest.mark.parametrize("axis, option", [("rounding", "half_away"), ("zero_point", "inside_fma"), ("saturation", "int32_first")])
def test_another_convention_passes_its_own_claim_and_is_named_under_the_default(axis, option):
    """Relations that hold for every convention must not call an honest one broken."""
    point = nearest_point("quantize", axis, option)

    def theirs(x, scale, zero_point, qmin, qmax, axis=None):
        return answer("quantize", point, (x, scale, zero_point, qmin, qmax), axis).values[0]

    assert wrong(outcomes("quantize", theirs, held=claimed("quantize", point), budget=16)) == []
    found = outcomes("quantize", theirs, budget=16)
    assert {o.status for o in found} == {"pass", "other-convention"}
    assert any(f"{axis}: " in " ".join(o.options) for o in found)


@pytest.mark.parametrize("name, status", [
    ("tail_lanes", "fail"), ("later_lanes", "fail"), ("dithers", "unstable"), ("remembers", "unstable"), ("in_place", "fail"),
    ("random_ties", "unstable"), ("weights_zeroed", "fail"), ("updated_in_place", "fail"),
])  # fmt: skip
def test_faults_of_process_have_their_own_status(name, status):
    mutant = next(m for m in MUTANTS if m.name == name)
    assert status in {s for _, s, _ in wrong(outcomes(mutant.operation, mutant.function))}


@pytest.mark.parametrize("name", ["monotone", "grid points", "half a step"])
def test_relations_of_one_convention_are_broken_by_truncation_or_wrap(name):
    for operation in ("quantize", "fake_quantize"):
        relation = next(r for r in relations(operation, np.random.default_rng(1)) if r.name == name)
        request = relation.requests[0]
        right = np.asarray(getattr(OWN, operation)(*request.arguments))
        with np.errstate(all="ignore"):
            assert relation.broken([(right,)]) == ""
            assert relation.broken([(right[::-1] if name == "monotone" else right + 3 * request.arguments[1],)]) != ""


def test_hard_inputs_hold_what_hunts():
    x = hard_floats(np.random.default_rng(0), 400, 0.5, 3, -128, 127)
    v = x[np.isfinite(x)].astype(np.float64) / 0.5
    assert np.isinf(x).any() and (np.abs(v) > 2**31).any() and (v % 1 == 0.5).any()
    assert ((x != 0) & (np.abs(x) < 1e-37)).any()
    assert lay_out(np.random.default_rng(0), x, "readonly").flags.writeable is False


def test_all_live_tests_take_less_than_half_a_minute():
    start = time.process_time()
    for operation in OPERATIONS:
        assert wrong(outcomes(operation, getattr(OWN, operation), seed=1)) == []
    assert time.process_time() - start < 30
