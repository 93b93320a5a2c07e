"""The adapters of examples/, each where its tool is there, and a newcomer's walk from a C function to words."""

import importlib.util
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest
from running import ROOT
from running import run as command

from tinycompress.verify.children import ChildAdapter
from tinycompress.verify.diagnosis import diagnose
from tinycompress.verify.running import run

EXAMPLES = ROOT / "examples"
needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler called cc")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node")


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("adapter*")), ids=lambda p: p.name)
def test_examples_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= (40 if path.suffix == ".c" else 60)


@needs_cc
def test_c(tmp_path):
    subprocess.run(
        ["cc", "-O2", "-Wall", "-o", tmp_path / "mine", EXAMPLES / "adapter_c.c", "-lm"], check=True, capture_output=True
    )
    child = ChildAdapter([str(tmp_path / "mine")])
    report = run(child)
    child.close()
    assert report.ok and report.status("quantize") == "pass" and report.status("pack") == "unsupported"


@needs_node
def test_javascript():
    child = ChildAdapter(["node", str(EXAMPLES / "adapter.mjs")])
    report = run(child)
    child.close()
    assert report.status("quantize") == report.status("dequantize") == "pass" and report.ok


def test_torch():
    pytest.importorskip("torch")
    found = diagnose(load("adapter_torch"), ["quantize", "fake_quantize", "kd_loss"])
    q = found["quantize"].point
    assert (q["rounding"], q["scaling"], q["zero_point"], q["nan"]) == ("half_even", "reciprocal", "inside_fma", "qmax")
    f = found["fake_quantize"].point
    assert (f["rounding"], f["scaling"], f["zero_point"], f["nan"]) == ("half_even", "reciprocal", "after", "qmin")
    assert found["kd_loss"].point["reduction"] == "mean" and found["kd_loss"].point["factor"] == "squared"


def test_onnxruntime():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    adapter = load("adapter_onnxruntime")
    report = run(adapter, "onnxruntime.QuantizeLinear")
    assert report.ok, [op for op in report.operations if op.status not in ("pass", "unsupported")]
    point = diagnose(adapter, ["quantize"])["quantize"].point
    assert (point["rounding"], point["scaling"], point["zero_point"], point["nan"]) == ("half_even", "divide", "after", "qmin")


def test_this_package_passes_its_own_kit():
    report = run("tinycompress.verify.own:OWN", live=False)
    assert report.ok, [(op.operation, op.label) for op in report.operations if op.status != "pass"]


FIRST_TRY = """static int quantized(float x, float scale, int zero, int qmin, int qmax) {
    float q = roundf(x * (1.0f / scale)) + zero;
    return q > qmin ? (q < qmax ? q : qmax) : qmin;
}
"""


def build(folder, name, function=None):
    """Compile the C adapter, with `function` in the place of its `quantized`: all that a newcomer has to write."""
    source = (EXAMPLES / "adapter_c.c").read_text(encoding="utf-8")
    if function is not None:
        source = re.sub(r"static int quantized.*?\n}\n", lambda _: function, source, flags=re.DOTALL)
    (folder / f"{name}.c").write_text(source, encoding="utf-8")
    subprocess.run(["cc", "-O2", "-o", folder / name, folder / f"{name}.c", "-lm"], check=True, capture_output=True)
    return str(folder / name)


@needs_cc
def test_a_newcomer_is_told_in_words_where_a_c_quantizer_differs(tmp_path):
    mine, mended = build(tmp_path, "mine", FIRST_TRY), build(tmp_path, "mended")
    first = command("verify", "--command", mine, "--shown", "2").stdout
    assert "rounding: half_away" in first and "scaling: reciprocal" in first and "no: 0 of 1" in first
    diagnosis = command("diagnose", "--command", mine).stdout
    assert "half_away" in diagnosis and "reciprocal" in diagnosis and "you" in diagnosis
    assert "yes: 1 of 1" in command("verify", "--command", mended).stdout
    assert "PROTOCOL.md" in command("vectors", str(tmp_path / "vectors")).stdout
    with open(tmp_path / "vectors" / "prompts" / "quantize.txt") as prompts, open(tmp_path / "answers.txt", "w") as answers:
        subprocess.run([mended], stdin=prompts, stdout=answers, check=True)  # no pipe is needed
    assert "yes: 1 of 1" in command("verify", "--answers", str(tmp_path / "answers.txt")).stdout


def test_a_quantizer_in_pure_python_passes():
    """Another formula: loops, Python's own round, one value at a time."""

    def quantize(x, scale, zero_point, qmin, qmax):
        s = np.float32(scale)
        out = []
        for value in np.asarray(x).reshape(-1):
            with np.errstate(all="ignore"):
                step = float(np.float32(value) / s)
            if step != step:
                out.append(qmin)
            elif abs(step) > 1e9:
                out.append(qmax if step > 0 else qmin)
            else:
                out.append(min(max(round(step) + zero_point, qmin), qmax))
        return np.array(out, np.int64).reshape(np.shape(x))

    assert run({"quantize": quantize}).ok
    assert pathlib.Path(__file__).exists()
