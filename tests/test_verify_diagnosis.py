"""The diagnosis names what it can prove: tinycompress is the default, wrong implementations are named or honestly not
explained."""

import functools
import json
import time

import numpy as np
import pytest
from implementations import RIGHT, WRONG, quantizer

from tinycompress.verify import diagnose, run
from tinycompress.verify.axes import claimed, default_point, legal
from tinycompress.verify.diagnosing import diagnose_text, to_words
from tinycompress.verify.diagnosis import Finding
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.own import OWN

HONEST = ("not-explained", "unstable")


@functools.cache  # the tests below ask about the same implementations
def look(function, operation):
    return diagnose({operation: function}, [operation], isolate=False)[operation]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_tinycompress_is_the_default_and_quickly_found(operation):
    before = time.process_time()
    found = diagnose(OWN, [operation], isolate=False)[operation]
    assert time.process_time() - before < 1.5  # seconds of a processor that others use too; alone it is below 1
    assert found.status == "explained" and found.explained == found.answers > 0 and "tinycompress" in found.matches
    left = tuple(found.options[axis].index(option) if option in found.options[axis] else -1 for axis, option in
                 {**default_point(operation), **({"nan": "error"} if operation in ("quantize",
                     "fake_quantize") else {})}.items())  # fmt: skip
    assert min(left) >= 0


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_implementations_fail_and_are_named(number):
    operation, function, named = WRONG[number]
    found = look(function, operation)
    if named is None:
        assert found.status in HONEST and not found.options and not found.point, "no axis may be claimed"
    elif found.status in HONEST:
        assert not found.point and found.closest_point | named == found.closest_point, (
            "not explained, but the nearest point is it"
        )
    else:
        want = {**default_point(operation), **named}
        assert all(option == want[axis] for axis, option in found.point.items() if axis != "nan" or "nan" in named)
        assert all(axis in found.point for axis in named)
    assert not run({operation: function}, live=False, isolate=False, operations=[operation]).ok


def test_nine_in_ten_are_named():
    named = [(operation, function) for operation, function, axes in WRONG if axes is not None]
    assert sum(look(f, op).status == "explained" for op, f in named[::4]) >= 0.9 * len(named[::4])


@pytest.mark.parametrize("number", range(len(RIGHT)))
def test_right_implementations_pass(number):
    operation, function = RIGHT[number]
    found = look(function, operation)
    assert found.status == "explained" and "tinycompress" in found.matches, found.contradictions
    report = run({operation: function}, live=False, isolate=False, operations=[operation])
    assert report.ok


def test_witnesses_and_profiles():
    found = look(quantizer(scaled=lambda x, s: x * (np.float32(1) / s), nan="qmax"), "quantize")
    assert found.matches[0] == "litert.xnnpack.QUANTIZE" and found.nearest[0][1] > 0
    against = {(w.axis, w.rejected): w for w in found.witnesses}
    tie = against["rounding", "half_away"]
    assert "x=" in tie.call and "s=" in tie.call and tie.yours != tie.other
    assert ("zero_point", "inside") in against and ("saturation", "wrap") in against
    assert found.signature.startswith("quantize   half_even / reciprocal / after / saturate / qmax")


def test_what_was_not_asked_is_said():
    def fussy(x, scale, zero_point, qmin, qmax):
        if np.isnan(x).any():
            raise NotImplementedError
        return quantizer()(x, scale, zero_point, qmin, qmax)

    found = look(fussy, "quantize")
    assert found.status == "several" and "nan" not in found.point and "this input would decide" in found.note
    assert found.point["rounding"] == "half_even"


def test_one_slip_and_nothing_is_claimed():
    def once(x, scale, zero_point, qmin, qmax):
        q = quantizer()(x, scale, zero_point, qmin, qmax)
        return q + (np.abs(x - 2.5) < 1e-6)

    found = look(once, "quantize")
    assert found.status == "not-explained" and found.contradictions and not found.options
    assert found.closest_point["rounding"] == "half_even" and "NOT EXPLAINED" in found.signature


def test_words_and_lines():
    text, explained = diagnose_text({"accuracy": OWN.accuracy, "pack": lambda codes, bits: b""}, ["accuracy", "pack", "unpack"])
    assert not explained and "NOT EXPLAINED" in text and "not percent: " in text and "unpack" not in text
    lines, _ = diagnose_text({"accuracy": OWN.accuracy}, ["accuracy", "pack"], as_json=True)
    first, second = map(json.loads, lines.splitlines())
    assert first["point"] == {"unit": "fraction"} and second["status"] == "unsupported"


def test_two_classes_of_points_are_both_shown():
    finding = Finding("pack", "several", {"order": ("low_first",), "padding": ("zeros", "ones")}, 3, 3)
    assert "zeros|ones" in finding.signature and finding.point == {"order": "low_first"}
    from tinycompress.verify.diagnosis import Diagnosis

    assert "cannot tell zeros from ones" in to_words(Diagnosis("x", {"pack": finding}))
    assert int(claimed("pack").sum()) == 1 < int(legal("pack").sum())


def test_unknown_operations_and_adapters():
    with pytest.raises(ValueError):
        diagnose({"quantize": OWN.quantize}, ["quantise"])
