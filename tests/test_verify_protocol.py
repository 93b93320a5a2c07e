"""The subprocess protocol against children that misbehave in every way: a status each, and the rest goes on."""

import pathlib
import statistics
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinycompress.verify import wire
from tinycompress.verify.adapters import Request
from tinycompress.verify.children import ChildAdapter, Limits
from tinycompress.verify.protocol import read_reply, write_request

FAKE = pathlib.Path(__file__).with_name("fake_child.py")
QUICK = Limits(start=20.0, request=5.0, line=1 << 16)


def ask(defect, form="plain", values=(0.5, 1.5, 2.5, 3.5, -1.0, 7.0), limits=QUICK, shape=(1,)):
    child = ChildAdapter([sys.executable, "-ISB", str(FAKE), defect, form], limits=limits)
    requests = [Request("quantize", (np.full(shape, v, np.float32), 1.0, 0, -128, 127)) for v in values]
    try:
        return child.call_many(requests), child
    finally:
        child.close()


@pytest.mark.parametrize("form", ["plain", "json"])
def test_a_child_that_is_right(form):
    replies, _ = ask("none", form)
    assert [r.answer.tolist() for r in replies] == [[0], [2], [2], [4], [-1], [7]]


@pytest.mark.parametrize(
    ("defect", "status", "message"),
    [
        ("crash", "crash", "SIGABRT"),
        ("hang", "timeout", "0.7 s"),
        ("flood", "invalid-answer", "bytes without the end of a line"),
        ("unflushed", "crash", "status 0"),
    ],
)
def test_only_the_request_that_hurts_is_lost(defect, status, message):
    """2.5 hurts. With six requests on their way at once, the other five must come out as if nothing had happened."""
    replies, _ = ask(defect, limits=replace(QUICK, request=0.7) if defect == "hang" else QUICK)
    assert [r.status for r in replies] == ["answered", "answered", status, "answered", "answered", "answered"]
    assert message in replies[2].message
    assert [r.answer.tolist() for r in replies if r.status == "answered"] == [[0], [2], [4], [-1], [7]]


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize(
    ("defect", "message"),
    [
        ("wrong_id", "answered to id"),
        ("null", ""),
        ("garbage", "what?"),
        ("truncated", ""),
        ("chatty", "debug: thinking"),
    ],
)
def test_no_answer_that_can_be_used(defect, message, form):
    replies, _ = ask(defect, form)
    assert [r.status for r in replies] == ["invalid-answer"] * 6
    assert all(message in r.message for r in replies)


def test_a_request_that_is_skipped_does_not_hand_its_neighbours_answer_on():
    """The child drops the third of six requests and answers the rest: five answers under their own ids, one that never comes."""
    replies, _ = ask("skips", limits=replace(QUICK, request=0.7))
    assert [r.status for r in replies] == ["answered", "answered", "timeout", "answered", "answered", "answered"]
    assert [r.answer.tolist() for r in replies if r.status == "answered"] == [[0], [2], [4], [-1], [7]]


def test_an_id_that_is_always_the_same():
    replies, _ = ask("constant_id")
    assert [r.status for r in replies] == ["answered"] + ["invalid-answer"] * 5


@pytest.mark.parametrize("defect", ["split", "slow", "slow_start"])
def test_slow_is_not_wrong(defect):
    replies, _ = ask(defect)
    assert [r.status for r in replies] == ["answered"] * 6


@pytest.mark.parametrize(("defect", "why"), [("mute", "no answer within 0.3 s"), ("dead", "cannot start today")])
def test_what_does_not_start_is_not_run(defect, why):
    replies, _ = ask(defect, limits=Limits(start=0.3 if defect == "mute" else 20.0))
    assert [r.status for r in replies] == ["not-run"] * 6
    assert why in replies[0].message


def test_a_program_that_is_not_there():
    replies = ChildAdapter("./no-such-program").call_many([Request("pack", (np.uint8([1]), 8))])
    assert replies[0].status == "not-run" and "could not be started" in replies[0].message
    with pytest.raises(ValueError, match="empty"):
        ChildAdapter("")


def test_one_that_always_dies_is_given_up():
    replies, _ = ask("crash_always")
    assert [r.status for r in replies] == ["crash", "crash", *["not-run"] * 4]
    assert "status 3" in replies[0].message and "2 times in a row" in replies[2].message


def test_what_it_does_not_name_is_not_asked():
    child = ChildAdapter([sys.executable, "-ISB", str(FAKE), "none"])
    assert child.offers("quantize") and not child.offers("quantize", 0) and not child.offers("pack")
    assert child.call(Request("pack", (np.uint8([1]), 8))).status == "unsupported"
    assert child.call(Request("quantize", (np.float32([2]), 1.0, 0, 0, 9))).answer.tolist() == [2]
    child.close()


def test_a_request_larger_than_the_pipe():
    """Half a megabyte each way, eight at once: neither side may wait for the other."""
    replies, _ = ask("none", values=[1.0] * 8, shape=(60_000,), limits=Limits())
    assert all(r.status == "answered" and r.answer.shape == (60_000,) for r in replies)


def test_overhead_of_one_request():
    """Wall time of ours per request, less the time in which the child itself is at work, is under 0.1 ms."""
    code = (
        "import sys\nsys.stdin.readline(); print('hello', flush=True)\n"
        "for line in sys.stdin:\n w = line.split()\n if w[0] == 'bye': break\n print('ok', w[1], 'i8 1 1 0', flush=True)\n"
    )
    child = ChildAdapter([sys.executable, "-ISBc", code])
    requests = [Request("quantize", (np.float32([1.0]), 1.0, 0, -128, 127))] * 500
    child.call_many(requests[:50])
    ours = []
    for _ in range(5):
        start = time.thread_time()
        assert all(r.status == "answered" for r in child.call_many(requests))
        ours.append((time.thread_time() - start) / len(requests))
    child.close()
    assert statistics.median(ours) < 1e-4


@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.uint16, np.int64, bool]), hnp.array_shapes(min_dims=0)
    )
)
def test_values_travel_unchanged(x):
    """Bits, shape and type, in both forms; NaN with its payload, and -0."""
    words = wire.to_words(x).split()
    for back in (wire.from_words(words)[0], wire.from_json(wire.to_json(x))):
        assert back.dtype == x.dtype and back.shape == x.shape and back.tobytes() == x.tobytes()
    assert wire.from_words(words)[1] == len(words)


@pytest.mark.parametrize(
    "line",
    [
        *("", "ok", "ok 1", "ok 1 i8 1 -1", "ok 1 f32 1 1 zzzzzzzz", "ok 1 bool 1 2 12", "ok 1 i8 99 1", "ok 1 i8 1 9999999"),
        *("ok 1 f32 0 1.5", "ok 1 i8 0 1e3", "ok 1 i8 0 \u0661", "ok 1 i8 2 3", "ok 1 i8 0 5 i8 0 5", "ok 1 text 0 five"),
        *("ok 1 i8 \u0660 5", "ok 1 f32 1 2 3f00000 03f800000"),
        *("[" * 5000, "null", "[]", '{"id":1}', '{"id":1,"ok":null}', '{"id":1,"ok":{"a":1}}', '{"id":true,"ok":1}'),
        '{"id":1,"ok":[{"type":[],"shape":[1],"data":[null]}]}',
        '{"id":1,"ok":[{"type":"i8","shape":[true],"data":[1]}]}',
        '{"id":1,"ok":[{"type":"f32","shape":[],"data":[0.5]}]}',
        '{"id":1,"ok":[{"type":"i64","shape":[],"data":[99999999999999999999]}]}',
    ],
)
def test_lines_that_are_no_answer(line):
    for form in ("plain", "json"):
        assert read_reply(line, "quantize", form)[1].status == "invalid-answer", form


@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(["ok", "1", "0", "i8", "f32", "bool", "-1", "3f000000", "2", "text"])).map(" ".join)
)
def test_no_line_raises(line):
    for form in ("plain", "json"):
        read_reply(line, "quantize", form)


def test_a_code_too_large_for_the_type_that_was_named_is_judged_by_its_value():
    assert read_reply("ok 1 i8 1 1 300", "quantize", "plain")[1].answer.tolist() == [300]


def test_what_is_sent():
    request = Request("quantize", (np.float32([[0.5, np.nan]]), np.float32([2.0]), 3, -128, 127), 0)
    assert write_request("9", request, "plain") == (
        "run 9 quantize:axis=0 5 f32 2 1 2 3f000000 7fc00000 f32 1 1 40000000 i64 0 3 i64 0 -128 i64 0 127\n"
    )
    assert (
        '"run":"quantize:axis=0","id":"9","args":[{"type":"f32","shape":[1,2],"data":["3f000000","7fc00000"]}'
        in write_request("9", request, "json")
    )
