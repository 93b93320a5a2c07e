"""The oracle against arithmetic that is not its own: the machine's rounding, brute force, float programs within their bounds."""

import math
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from implementations import RIGHT

from tinycompress.verify import exact
from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import claimed, default_point, legal, points
from tinycompress.verify.cases import candidates
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.oracle import answer, answer_dtype
from tinycompress.verify.oracle_grids import ROUND, round_by
from tinycompress.verify.own import OWN
from tinycompress.verify.tables import spread, table

F = np.float32


@given(st.floats(allow_nan=False), st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_to_float32_is_the_machines(x, y):
    with np.errstate(all="ignore"):
        assert float(exact.fl32(exact.from_float(x))) == float(F(x))
        if math.isfinite(x):
            assert exact.to_float(exact.fl64(Fraction(x) + Fraction(y))) == x + y
            a, b = F(y), F(3.7)
            if np.isfinite(a):
                assert float(exact.fl32(exact.divide(Fraction(float(a)), Fraction(float(b))))) == float(a / b)


@pytest.mark.parametrize("k", [0, 1, 2**23, 2**23 + 1, 2**24 - 1])
def test_float32_at_its_ends(k):
    tiny = Fraction(1, 2**149)
    assert exact.fl32(k * tiny) == k * tiny, "every multiple of the smallest subnormal up to 2^24"
    assert exact.fl32(k * tiny + tiny / 2) == (k + k % 2) * tiny if k < 2**23 else True
    top = (2 - Fraction(1, 2**23)) * 2**127
    assert exact.fl32(top) == top and exact.fl32(top + 2**102) == top and exact.fl32(top + 2**103) == math.inf


@given(st.integers(-40, 40))
def test_roundings_by_brute_force(eighths):
    v = Fraction(eighths, 8)
    near = sorted(range(math.floor(v) - 1, math.ceil(v) + 2), key=lambda n: abs(n - v))
    best = [n for n in near if abs(n - v) == abs(near[0] - v)]
    assert ROUND["half_even"](v) == next(n for n in best if len(best) == 1 or n % 2 == 0)
    assert ROUND["half_away"](v) == max(best, key=abs) and ROUND["half_to_zero"](v) == min(best, key=abs)
    assert ROUND["half_up"](v) == max(best) and ROUND["half_down"](v) == min(best)
    assert ROUND["toward_zero"](v) == int(v) and ROUND["away_from_zero"](v) == (math.ceil(v) if v > 0 else math.floor(v))
    assert round_by(lambda axis: "half_up_added", v, exact.fl32) == ROUND["half_up"](v), "where the sum with 1/2 is exact"
    assert round_by(lambda axis: "half_away_added", v, exact.fl32) == ROUND["half_away"](v)


def test_a_sum_with_one_half_rounds_up():
    below = Fraction(float(np.nextafter(F(0.5), F(0))))
    assert round_by(lambda axis: "half_up", below, exact.fl32) == 0
    assert round_by(lambda axis: "half_up_added", below, exact.fl32) == 1


OPERATIONS = sorted({operation for operation, _ in RIGHT})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_default_point_is_what_the_package_does(operation):
    """On inputs of another seed than that of the vectors."""
    for case in candidates(operation, seed=5)[::5]:
        want = answer(operation, default_point(operation), case.arguments, case.axis)
        keywords = {} if case.axis is None else {"axis": case.axis}
        request = Request(operation, case.arguments, case.axis)
        question = Question("x", request, table(operation, case.arguments, case.axis, claimed(operation)))
        try:
            with np.errstate(all="ignore"):
                reply = Reply("answered", getattr(OWN, operation)(*case.arguments, **keywords))
        except ValueError:
            reply = Reply("refused")
        outcome, _ = judge(question, reply, claimed(operation))
        assert outcome.status == "pass", (str(request), outcome.message)
        assert want.tol == () or len(want.tol) == len(want.values)


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"fake_quantize"}))
def test_a_table_says_what_each_point_answers(operation):
    rng = np.random.default_rng(zlib.crc32(operation.encode()))
    every = list(points(operation))
    cells = np.argwhere(legal(operation))
    pool = candidates(operation)
    for case in [pool[i] for i in rng.permutation(len(pool))[:6]]:
        found = table(operation, case.arguments, case.axis)
        which = np.broadcast_to(spread(operation, found), legal(operation).shape)
        for i in rng.integers(0, len(every), 5):
            made = answer(operation, every[i], case.arguments, case.axis)
            assert found.answers[which[tuple(cells[i])]].key() == made.key(), (case, every[i])


@pytest.mark.parametrize("dtype", [F, np.float64])
def test_bounds_are_kept_in_low_precision_and_any_order(dtype):
    """The right implementations answer in the dtype of the input; the largest share of the bound that is used is below 1."""
    used = 0.0
    rng = np.random.default_rng(3)
    for operation, function in RIGHT:
        if operation not in ("softmax", "kd_loss", "kd_loss_backward", "cross_entropy_backward", "adam_step", "linear_backward"):
            continue
        for case in candidates(operation, int(rng.integers(9)))[::3]:
            if case.arguments[0].dtype != dtype:
                continue
            want = answer(operation, default_point(operation), case.arguments)
            with np.errstate(all="ignore"):
                got = function(*case.arguments)
            for part, value, tol in zip(got if len(want.values) > 1 else [got], want.values, want.tol, strict=True):
                used = max(used, float(np.max(np.abs(np.asarray(part, float) - value) / tol, initial=0)))
    assert 0.001 < used <= 1, "a bound that nothing comes near would hide mistakes"


def test_refusals_and_narrowness():
    x = F([np.nan])
    assert answer("quantize", {**default_point("quantize"), "nan": "error"}, [x, 1.0, 0, -128, 127]).refused
    assert answer_dtype("fake_quantize_backward", [np.float64([1]), x, 1.0, 0, -8, 7]) == np.float64
