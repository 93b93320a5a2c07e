"""A run from end to end: what each kind of implementation is called, what decides the exit status, and how failures read."""

import dataclasses
import json
import pathlib
import random
import sys
import time
import types

import numpy as np
import pytest

from tinycompress.verify import questions, reporting, testing
from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import claimed
from tinycompress.verify.children import ChildAdapter, Limits
from tinycompress.verify.claims import resolve_claim
from tinycompress.verify.differing import diff_text
from tinycompress.verify.explaining import explain
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.reproducing import literal, reproducer
from tinycompress.verify.results import OperationReport, Report
from tinycompress.verify.running import run
from tinycompress.verify.tables import table

FAKE = pathlib.Path(__file__).with_name("fake_child.py")


def codes(x, scale, zero_point, qmin, qmax, rounding=np.rint):
    """The default quantizer, written another way: in float64 behind the one float32 quotient."""
    with np.errstate(all="ignore"):
        steps = np.asarray(np.float32(x) / np.float32(scale), np.float64)
        q = np.clip(rounding(steps) + zero_point, qmin, qmax)
        return np.where(np.isnan(q), qmin, q).astype(np.int32)


def half_away(v):
    return np.sign(v) * np.floor(np.abs(v) + 0.5)


def one(function, operation="quantize", live=True, **options):
    report = run({operation: function}, operations=[operation], live=live, **options)
    return report, report.operations[0]


def test_what_is_right_passes():
    report, op = one(codes)
    assert report.ok and report.exit_status == 0 and op.label == "pass" and op.comparisons > 50 and not op.outcomes


def test_another_convention_is_named_and_is_not_success():
    report, op = one(lambda *a: codes(*a, rounding=half_away))
    assert not report.ok and op.label == "other-convention(rounding: half_away)"
    outcome = next(o for o in op.outcomes if o.status == "other-convention")
    assert outcome.options == ("rounding: half_away",) and "exactly" in outcome.exact
    assert "to nearest, ties away from zero" in reporting.to_text(report)


def test_a_claim_makes_it_the_right_one():
    claim = {"quantize": {"rounding": "half_away"}}
    assert one(lambda *a: codes(*a, rounding=half_away), claim=claim)[0].ok
    assert not one(codes, live=False, claim=claim)[0].ok
    module = types.SimpleNamespace(quantize=lambda *a: codes(*a, rounding=half_away), CLAIM=claim)
    assert run(module, live=False).ok and not run(module, {}, live=False).ok


def test_a_profile_speaks_of_its_own_operations():
    both = {"quantize": codes, "pack": lambda codes, bits: b"wrong"}
    report = run(both, "onnxruntime.QuantizeLinear", live=False)
    assert report.ok and report.status("pack") == "not-run"
    assert not run({"pack": both["pack"]}, "onnxruntime.QuantizeLinear", live=False).ok
    assert not run({"quantize": codes}, "torch.quantize_per_tensor", live=False).ok


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("no.such.profile", "no profile"),
        ({"quantise": {}}, "no operation"),
        ({"quantize": {"roundings": "half_even"}}, "no axis"),
        ({"quantize": {"rounding": "half_evne"}}, "no option"),
        ({"pack": "torch.quantize_per_tensor"}, "says nothing of pack"),
        (7, "not int"),
        ({"quantize": 7}, "use"),
    ],
)
def test_a_claim_that_cannot_be_meant(claim, words):
    with pytest.raises(ValueError, match=words):
        resolve_claim(claim)


def test_nothing_compared_is_not_success():
    assert not run({}).ok and run({}).exit_status == 1
    assert "nothing was compared" in reporting.to_text(run({}))
    report = run({"quantize": codes}, {"pack": {}}, live=False)
    assert not report.ok and report.status("pack") == "unsupported"
    assert not Report("a", "b", 0, 0.0, (OperationReport("pack", "pass", 0, True),)).ok
    assert run({"quantize": lambda *a: (_ for _ in ()).throw(NotImplementedError())}, live=False).exit_status == 1


SAME = {"offset": 0}


def _remembers(*arguments):
    SAME["offset"] += 1
    return codes(*arguments) + (SAME["offset"] > 20)


def _tail(x, *rest):
    q = codes(x, *rest)
    flat = q.reshape(-1)
    flat[flat.size // 8 * 8 :] = np.clip(flat[flat.size // 8 * 8 :], None, 0) if flat.size > 8 else flat[flat.size // 8 * 8 :]
    return q


def _changes(x, *rest):
    q = codes(x, *rest)
    if np.asarray(x).flags.writeable:
        np.copyto(x, 0)
    return q


@pytest.mark.parametrize(
    ("function", "statuses"),
    [
        (lambda *a: codes(*a) + random.choice([0, 1]), {"unstable"}),
        (_remembers, {"unstable"}),
        (lambda *a: np.zeros_like(codes(*a)), {"unexplained", "fail"}),
        (lambda *a: None, {"invalid-answer"}),
        (lambda *a: codes(*a).reshape(-1)[:1], {"invalid-answer"}),
        (lambda *a: 1 // 0, {"error"}),
        (lambda *a: (_ for _ in ()).throw(ValueError("I do not like it")), {"error"}),
        (_changes, {"fail"}),
        (_tail, {"unexplained", "fail"}),
    ],
    ids=["chance", "memory", "constant", "nothing", "shape", "raises", "refuses", "changes", "tail"],
)
def test_each_defect_has_its_status(function, statuses):
    report, op = one(function, live=function is _tail)
    assert op.status in statuses, op.counts
    assert not report.ok and op.outcomes


def test_a_crash_and_a_hang_cost_one_operation_and_the_run_goes_on():
    import os

    adapter = {
        "pack": lambda codes, bits: os.abort(),
        "unpack": lambda *a: time.sleep(60),
        "quantize": codes,
        "n_m_mask": lambda w, keep, group: os._exit(0),
    }
    start = time.monotonic()
    report = run(adapter, live=False, limit=0.15)
    assert [report.status(n) for n in ("pack", "unpack", "quantize", "n_m_mask")] == ["crash", "timeout", "pass", "crash"]
    assert "SIGABRT" in report.operations[list(OPERATIONS).index("pack")].outcomes[0].message
    assert time.monotonic() - start < 15


@pytest.mark.parametrize(
    ("defect", "statuses"),
    [
        ("none", {"pass"}),
        ("slow_start", {"pass"}),
        ("split", {"pass"}),
        ("tail", {"unexplained", "fail"}),
        ("constant", {"unexplained", "fail"}),
        ("nondeterministic", {"unstable"}),
        ("swapped", {"invalid-answer"}),
        ("wrong_id", {"invalid-answer"}),
        ("null", {"invalid-answer"}),
        ("garbage", {"invalid-answer"}),
        ("crash", {"crash"}),
        ("hang", {"timeout"}),
        ("mute", {"not-run"}),
    ],
)
def test_fake_children(defect, statuses):
    limits = Limits(start=0.5 if defect == "mute" else 20.0, request=0.3 if defect == "hang" else 10.0)
    child = ChildAdapter([sys.executable, "-ISB", str(FAKE), defect], limits=limits)
    report = run(child, live=defect in ("none", "tail"))
    child.close()
    assert report.status("quantize") in statuses, report.operations[0]
    assert report.ok == (statuses == {"pass"})
    reporting.to_text(report), list(reporting.to_json_lines(report))


def question(operation, *arguments):
    return Question("asked", Request(operation, arguments), table(operation, arguments))


def test_a_narrower_float_fails_and_a_wider_one_passes():
    q = question("dequantize", np.int8([1, 3]), 0.1, 0)
    right = (np.int8([1, 3]) * np.float32(0.1)).astype(np.float32)
    held = claimed("dequantize")
    assert judge(q, Reply("answered", right.astype(np.float64)), held)[0].status == "pass"
    assert judge(q, Reply("answered", right.astype(np.float16)), held)[0].status == "fail"


def test_a_convention_that_says_nothing_explains_nothing():
    """An answer that some convention leaves open is no evidence for that convention."""
    q = question("accuracy", np.array([1, 2]), np.array([1, 2]))
    undefined = dataclasses.replace(q.table.answers[1], undefined=True, values=(), tol=())
    q = dataclasses.replace(q, table=dataclasses.replace(q.table, answers=(q.table.answers[0], undefined, *q.table.answers[2:])))
    held = claimed("accuracy")
    assert judge(q, Reply("answered", np.array(7.0)), held)[0].status == "unexplained"
    assert judge(q, Reply("answered", np.array([1.0, 1.0])), held)[0].status == "invalid-answer"
    outcome, _ = judge(q, Reply("answered", np.array(7.0)), claimed("accuracy", {"unit": "percent"}))
    assert outcome.status == "pass" and outcome.comparisons == 0


def test_refusing_is_right_only_where_the_claim_says_so():
    q = question("quantize", np.float32([np.nan]), 1.0, 0, -128, 127)
    refused = Reply("refused", None, "NaN")
    assert judge(q, refused, claimed("quantize"))[0].status == "pass"
    outcome, _ = judge(q, refused, claimed("quantize", {"nan": "qmax"}))
    assert (outcome.status, outcome.options) == ("other-convention", ("nan: error",))
    legal_input = question("quantize", np.float32([1]), 1.0, 0, -128, 127)
    assert judge(legal_input, refused, claimed("quantize"))[0].status == "error"
    only = claimed("quantize", {"nan": "error"})
    assert judge(q, Reply("answered", np.array([-128])), only)[0].status == "other-convention"


VALUES = [np.float32([[0.1, -0.0], [np.nan, np.inf]]), np.float32(2.5), np.float64([1e-310])]
VALUES += [np.zeros((0, 3)), np.int8([[1], [-2]])]


@pytest.mark.parametrize("value", [*VALUES, np.array([True, False]), 0.1, float("inf"), 3, b"ab", "micro"], ids=repr)
def test_a_literal_gives_the_same_bits(value):
    back = eval(literal(value), {"np": np})
    assert type(back) is type(value) or isinstance(back, np.ndarray)
    assert np.asarray(back).tobytes() == np.asarray(value).tobytes() and np.shape(back) == np.shape(value)
    assert np.asarray(back).dtype == np.asarray(value).dtype


def test_a_reproducer_can_be_pasted():
    """It asks the same question of a function of the same name."""
    _, op = one(lambda *a: codes(*a, rounding=half_away), live=False)
    seen = []
    outcome = op.outcomes[0]
    exec(outcome.reproducer, {"quantize": lambda *arguments, **axis: seen.append((arguments, axis))})
    request = next(q.request for q in questions.read_questions("quantize") if q.test == outcome.test)
    (arguments, axis) = seen[0]
    assert axis.get("axis") == request.axis
    for a, b in zip(arguments, request.arguments, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    assert "# you: " in outcome.reproducer
    assert "too long to print" in reproducer(Request("pack", (np.zeros(5000, np.uint8), 8)))


def test_a_runner_that_passes_a_canary_refuses_to_run(monkeypatch):
    broken = lambda q, r, c: (dataclasses.replace(judge(q, r, c)[0], status="pass"), None)  # noqa: E731
    monkeypatch.setattr(questions, "judge", broken)
    with pytest.raises(RuntimeError, match="compares nothing"):
        run({"quantize": codes})


def test_json_lines_say_the_same():
    report, _ = one(lambda *a: codes(*a, rounding=half_away), live=False)
    lines = [json.loads(line) for line in reporting.to_json_lines(report)]
    assert lines[0]["kind"] == "run" and lines[0]["ok"] is False and lines[0]["exit_status"] == 1
    assert lines[1]["label"] == "other-convention(rounding: half_away)"
    outcomes = [line for line in lines if line["kind"] == "outcome"]
    assert outcomes and all(o["reproducer"].startswith("import numpy") for o in outcomes)


def test_the_pytest_helper():
    found = testing.checks({"quantize": codes}, operations=["quantize"], live=False)
    assert len(found) == len(questions.read_questions("quantize"))
    plain = [check for check in found if check.question.request.axis is None]
    for check in plain:
        check()
    rows = next(check for check in found if check.question.request.axis == 0)
    with pytest.raises(pytest.skip.Exception):
        rows()
    wrong = testing.checks({"quantize": lambda *a: codes(*a, rounding=half_away)}, operations=["quantize"], live=False)
    failed = 0
    for check in wrong:
        try:
            check()
        except AssertionError as error:
            failed += "rounding: half_away" in str(error)
        except pytest.skip.Exception:
            pass
    assert failed >= 3
    with pytest.raises(ValueError, match="nothing would be compared"):
        testing.checks({})
    with pytest.raises(ValueError, match="does not offer pack"):
        testing.checks({"quantize": codes}, {"pack": {}})


@testing.parametrize({"quantize": codes}, "onnxruntime.QuantizeLinear", live=False)
def test_the_helper_as_it_is_used(check):
    check()


def test_diff_names_the_axes_and_shows_an_input_for_each():
    text = diff_text("onnxruntime.QuantizeLinear", "torch.quantize_per_tensor")
    assert "nan qmin | qmax" in text and "zero_point after | inside_fma" in text and "draws from N(0, 1)" in text
    assert "\n    zero_point: quantize(" in text and "\n    nan: quantize(" in text
    with pytest.raises(ValueError, match="nothing is shared"):
        diff_text("torch.quantize_per_tensor", "torch.fake_quantize_per_tensor_affine")


def test_explain_says_what_each_convention_answers():
    name = next(q.test for q in questions.read_questions("quantize") if "rounding" in q.table.axes)
    text = explain(name)
    assert "rounding: half_even" in text and "expected by" in text and "import numpy" in text
    with pytest.raises(ValueError, match="nearest"):
        explain("quantize-no")
