"""What counts as an answer: shapes, dtypes, tolerances, sequences, bytes; and everything else is an invalid answer."""

import inspect

import numpy as np
import pytest

from tinycompress.verify.operations import OPERATIONS, compare, get_operation, read_answer
from tinycompress.verify.own import OWN

F = np.float32


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_package_offers_every_operation_with_these_arguments(name):
    function = getattr(OWN, name)
    names = [n for n, _ in OPERATIONS[name].arguments]
    given = list(inspect.signature(function).parameters.values())
    assert len(given) >= len(names)
    assert all(p.default is not p.empty for p in given[len(names) :]), "what comes after has a default"
    if OPERATIONS[name].axis:
        assert "axis" in [p.name for p in given]


@pytest.mark.parametrize("answer", [[1, 2], (1, 2), np.uint8([1, 2]), np.int64([1, 2]), F([1, 2]), np.array([1, 2], object)])
def test_codes_by_value_in_any_dtype(answer):
    assert compare("quantize", answer, [np.array([1, 2])]).ok


@pytest.mark.parametrize("answer", [None, "12", {}, [1], [[1, 2]], np.nan, object(), [None, 1], ["a", "b"], b"ab", 1j])
def test_what_cannot_be_an_answer(answer):
    assert compare("quantize", answer, [np.array([1, 2])]).status == "invalid-answer"


def test_the_first_difference_is_named():
    verdict = compare("quantize", [1, 3], [np.array([1, 2])])
    assert verdict.status == "fail" and verdict.index == (1,) and "codes[1] is 3; expected 2" in verdict.message


def test_floats_exact():
    want = [F([0.1, 0.0, np.inf, np.nan])]
    assert compare("dequantize", F([0.1, -0.0, np.inf, np.nan]), want).ok
    assert compare("dequantize", [float(F(0.1)), 0, np.inf, np.nan], want).ok
    assert compare("dequantize", [0.1, 0, np.inf, np.nan], want).ok, "wider: rounded to float32 first"
    assert not compare("dequantize", F([np.nextafter(F(0.1), F(9)), 0, np.inf, np.nan]), want).ok
    assert compare("dequantize", np.float16([0.5]), [F([0.5])]).status == "fail", "narrower"


def test_floats_within_a_tolerance():
    want, tol = [np.array([[1.0, 0.0]])], [np.array([[1e-6, 0.0]])]
    assert compare("softmax", [[1 + 1e-6, 0]], want, tol).ok
    assert compare("softmax", [[1 + 1.01e-6, 0]], want, tol).index == (0, 0)
    assert not compare("softmax", [[1, 1e-30]], want, tol).ok
    assert not compare("softmax", [[np.nan, 0]], want, tol).ok
    assert compare("softmax", F([[1, 0]]), want, tol, np.float32).ok
    assert "narrower" in compare("softmax", F([[1, 0]]), want, tol, np.float64).message


def test_several_answers():
    want = [np.array(0.5, F), np.array(3)]
    assert compare("asymmetric_qparams", (0.5, 3), want).ok and compare("asymmetric_qparams", np.array([0.5, 3]), want).ok
    assert compare("asymmetric_qparams", (0.5, 4), want).answer == 1
    for wrong in (0.5, (0.5,), (0.5, 3, 1), (0.5, None), ([0.5], 3)):
        assert compare("asymmetric_qparams", wrong, want).status == "invalid-answer"


def test_nothing_expected():
    assert compare("linear", [], [np.zeros((0, 3))], [np.zeros((0, 3))]).ok
    assert compare("linear", [[1.0]], [np.zeros((0, 3))], [np.zeros((0, 3))]).status == "invalid-answer"


def test_bytes():
    for right in (b"\x01\x02", bytearray([1, 2]), np.uint8([1, 2]), [1, 2], memoryview(b"\x01\x02")):
        assert compare("pack", right, [b"\x01\x02"]).ok
    assert compare("pack", b"\x01", [b"\x01\x02"]).status == "fail"
    for wrong in (2, "12", [300], [-1], 1.5):
        assert compare("pack", wrong, [b"\x01\x02"]).status == "invalid-answer"


def test_masks():
    want = [np.array([True, False])]
    assert compare("n_m_mask", [1, 0], want).ok and compare("n_m_mask", [True, False], want).ok
    assert not compare("n_m_mask", [0, 1], want).ok and not compare("n_m_mask", [2, 0], want).ok


def test_calls_read_as_python():
    assert get_operation("softmax").call((F([[1]]), 2.0)) == "softmax(z=float32[1, 1][1.0], temperature=2.0)"
    with pytest.raises(ValueError, match="use one of"):
        get_operation("quantise")


def test_reading_keeps_what_was_answered():
    assert [a.dtype for a in read_answer("adam_step", (F([1]), np.float64([1]), [1]))] == [np.float32, np.float64, np.int64]
