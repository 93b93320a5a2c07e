"""What other libraries answered, number by number, from the public functions by their conventions' names.

The measured cases beside the project are run where that folder exists; those that the project needs are in
tests/cases/elementwise.json, with their builds, and run always. A case that no rule reproduces is in MISSES with its reason,
and must then really differ.
"""
import json
import pathlib

import numpy as np
import pytest
from elementwise_cases import answers, equal, name_of

from tinycompress import conventions
from tinycompress.conventions import Elementwise, LearnedScale
from tinycompress.rounding import ROUNDINGS

OURS = json.loads((pathlib.Path(__file__).parent / "cases" / "elementwise.json").read_text(encoding="utf-8"))["cases"]
GROUPS = ("quantize", "discriminator", "dequantize", "fake_quant", "learnable", "fbgemm_cpp", "brevitas", "llm")
MISSES: dict[str, str] = {}  # id -> why no rule reproduces it


def agrees(case):
    pairs = answers(case)
    assert pairs, case["id"]
    return all(equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("case", OURS, ids=lambda c: c["id"])
def test_measured(case):
    assert agrees(case) != (case["id"] in MISSES)


def test_all_measured_cases(peers_dir):
    cases = json.loads((peers_dir / "quantization_cases.json").read_text(encoding="utf-8"))
    ours = [c for c in cases if c["group"] in GROUPS and name_of(c)]
    with_numbers = [c for c in ours if "error" not in c["output"]]
    wrong = [c["id"] for c in with_numbers if not agrees(c)]
    assert len(with_numbers) >= 170 and set(wrong) == set(MISSES) & {c["id"] for c in ours}
    assert len(wrong) <= 0.02 * len(with_numbers)


def test_numpy_rounds_half_to_even(peers_dir):
    for case in json.loads((peers_dir / "quantization_cases.json").read_text(encoding="utf-8")):
        if case["group"] == "rounding":
            x = np.array([float(v) for v in case["inputs"]["x"]])
            for k, r in case["output"].items():
                assert ROUNDINGS["half_even"](x).tolist() == r, k


LIVE = {  # no case here: compared with the build itself, in tests/peers
    "onnxruntime.DequantizeLinear", "fbgemm.Quantize.scalar", "fbgemm.Quantize.scalar.nonlegacy", "lsq",
}  # fmt: skip
SAID = ("read in", "read,", "not measured", "compared on", "as tf.")  # what the note of a record without a case must admit


def test_every_record_says_its_build_and_has_a_case_or_admits_that_it_has_none():
    covered = {name_of(c) for c in OURS} | {"aimet.learned"}  # the gradients of aimet's cases go through it
    for name in list(covered):
        record = conventions.get(name)
        covered |= {record.wide, record.tail} if isinstance(record, Elementwise) else set()
    for name in conventions.names():
        record = conventions.get(name)
        if isinstance(record, (Elementwise, LearnedScale)):
            origin = record.provenance
            assert origin.source and origin.version and origin.hardware and origin.date
            assert name in covered | LIVE or any(s in origin.note for s in SAID), f"{name}: no evidence"
