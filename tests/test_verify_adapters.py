"""Python adapters: what is protected, what is copied, what is broken off; and work in a copy of the process."""

import itertools
import os
import sys
import textwrap
import time
import types

import numpy as np
import pytest

from tinycompress.verify.adapters import PythonAdapter, Request, as_adapter, load
from tinycompress.verify.isolation import collect
from tinycompress.verify.pipes import Trouble

X = np.float32([0.5, -1.5, np.nan])


def ask(function, x=X, axis=None, operation="quantize", limit=5.0):
    scale = np.float32([1.0]) if axis == 0 else 1.0
    return PythonAdapter("mine", {operation: function}, limit=limit).call(Request(operation, (x, scale, 0, -128, 127), axis))


def test_it_is_called_as_everywhere_else():
    """NumPy's default error state, though the tests raise on everything; warnings ignored, though those raise here too."""

    def mine(x, scale, zero_point, qmin, qmax):
        assert np.geterr() == {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
        return (x / np.float32(0)).astype(np.int8)

    assert ask(mine).status == "answered"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError, "refused"),
        (NotImplementedError, "unsupported"),
        (TypeError, "error"),
        (SystemExit, "error"),
        (MemoryError, "error"),
        (GeneratorExit, "error"),
    ],
)
def test_what_it_raises_becomes_a_status(error, status):
    def mine(*arguments):
        raise error("so it is")

    reply = ask(mine)
    assert reply.status == status and "so it is" in reply.message


@pytest.mark.parametrize(
    "raw", [None, "text", {"codes": 1}, [None], [[1, 2], [3]], object(), b"12", lambda: 1, np.array(["a"]), 1j], ids=repr
)
def test_what_is_not_an_answer(raw):
    assert ask(lambda *a: raw).status == "invalid-answer"


def test_an_argument_that_was_changed_is_noticed_and_put_back():
    for layout in (X.copy(), np.repeat(X, 2)[::2], np.asfortranarray(np.tile(X, (2, 1))), np.array(np.float32(2))):
        before = layout.copy()

        def mine(x, *rest):
            np.copyto(x, 7)
            return np.zeros(x.shape, int)

        reply = ask(mine, layout)
        assert reply.status == "changed" and "argument x" in reply.message
        assert layout.tobytes() == before.tobytes()


def test_layout_reaches_it():
    """A copy would hide that an implementation reads x.ctypes or writes in place."""
    strided = np.repeat(X, 2)[::2]
    strided.flags.writeable = False
    seen = []
    ask(lambda x, *rest: seen.append((x.strides, x.flags.writeable)), strided)
    assert seen == [((8,), False)]


def test_an_answer_is_copied_at_once():
    """One buffer for all answers is a bug of the caller's code to be seen in live tests, not one of ours to be hidden by it."""
    buffer = np.zeros(3, np.int8)

    def mine(x, *rest):
        buffer[:] += 1
        return buffer

    adapter = as_adapter({"quantize": mine})
    first, second = adapter.call_many([Request("quantize", (X, 1.0, 0, -128, 127))] * 2)
    assert first.answer.tolist() == [1, 1, 1] and second.answer.tolist() == [2, 2, 2]


@pytest.mark.parametrize("hang", ["while", "sleep", "swallow"])
def test_what_takes_too_long_is_broken_off(hang):
    def mine(*arguments):
        while hang == "while":
            pass
        while hang == "swallow":
            try:
                time.sleep(0.01)
            except Exception:
                pass
        time.sleep(60)

    start = time.monotonic()
    reply = ask(mine, limit=0.1)
    assert reply.status == "timeout" and "0.1 s" in reply.message and time.monotonic() - start < 5
    assert ask(lambda *a: [1, 2, 3], limit=0.1).status == "answered"


def test_axis_is_unsupported_where_it_is_not_known():
    assert ask(lambda x, s, z, a, b: x, axis=0).status == "unsupported"
    assert ask(lambda x, s, z, a, b, axis=None: x, axis=0).status == "answered"
    assert ask(lambda x, s, z, a, b, **more: x, axis=0).status == "answered"
    assert ask(max, axis=0).status == "unsupported"


def test_modules_objects_classes_and_dictionaries():
    class Mine:
        CLAIM = {"pack": {"order": "high_first"}}

        def pack(self, codes, bits):
            return bytes(codes)

    for thing in (Mine, Mine(), {"pack": Mine().pack}, types.SimpleNamespace(pack=Mine().pack)):
        adapter = as_adapter(thing)
        assert adapter.offers("pack") and not adapter.offers("unpack")
        assert adapter.call(Request("pack", (np.uint8([7]), 8))).answer.tolist() == [7]
        assert adapter.call(Request("unpack", (b"", 8, 0))).status == "unsupported"
    assert as_adapter(Mine).claim == Mine.CLAIM and as_adapter(adapter) is adapter


def test_loading(tmp_path, monkeypatch):
    (tmp_path / "beside_it.py").write_text("SCALE = 2\n")
    path = tmp_path / "my_adapter.py"
    path.write_text(
        textwrap.dedent("""
        import beside_it
        CLAIM = "onnxruntime.QuantizeLinear"
        class Inner:
            class Deeper:
                pack = staticmethod(lambda codes, bits: bytes(codes))
        def unpack(buffer, bits, count): return [beside_it.SCALE] * count
    """)
    )
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert load(str(path)).claim == "onnxruntime.QuantizeLinear"
    assert load(str(path)).call(Request("unpack", (b"", 8, 2))).answer.tolist() == [2, 2]
    assert load(f"{path}:Inner.Deeper").offers("pack")
    monkeypatch.chdir(tmp_path)
    assert load("my_adapter").offers("unpack") and load("my_adapter:Inner.Deeper").offers("pack")


@pytest.mark.parametrize("name", ["no.such.module", "no_such.py", "operator:nothing", "README.md", "broken.py", ":", ""])
def test_what_cannot_be_loaded_is_said(name, tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("hello")
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ValueError):
        load(name)


def test_a_copy_of_the_process_keeps_what_came_before_the_crash():
    def work(tick):
        for i in itertools.count():
            if i == 2:
                os.abort()
            yield i, X

    results, trouble = collect(work, 5.0)
    assert [i for i, _ in results] == [0, 1] and trouble.status == "crash" and "SIGABRT" in trouble.message
    assert results[0][1].tobytes() == X.tobytes()


def test_a_copy_that_leaves_quietly_has_crashed_too():
    results, trouble = collect(lambda tick: (i if i < 2 else os._exit(0) for i in range(5)), 5.0)
    assert results == [0, 1] and trouble.status == "crash" and "status 0" in trouble.message


def test_a_copy_that_gives_no_sign_of_life_is_ended_and_one_that_ticks_is_not():
    def hangs(tick):
        yield 1
        time.sleep(60)

    def works(tick):
        for _ in range(8):
            time.sleep(0.2)
            tick()
        yield 1

    start = time.monotonic()
    results, trouble = collect(hangs, 0.5)
    assert results == [1] and trouble.status == "timeout" and time.monotonic() - start < 10
    assert collect(works, 1.2) == ([1], None)


def test_what_it_prints_is_not_a_result(capfd):
    def work(tick):
        print("hello from the copy")
        os.write(1, b"and past Python\n")
        yield 1

    assert collect(work, 5.0) == ([1], None)
    assert capfd.readouterr().out == ""


def test_our_own_mistakes_in_the_copy_are_raised():
    def work(tick):
        yield 1
        raise KeyError("ours")

    with pytest.raises(RuntimeError, match="KeyError: 'ours'"):
        collect(work, 5.0)
    assert issubclass(Trouble, Exception)
