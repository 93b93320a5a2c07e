"""Sizes and orders of sparse storage as other libraries' own code gave them: compared exactly, to the byte and the bit.

The carried selection runs always; the whole file runs where it lies beside the project.
"""

import json
import pathlib

import numpy as np

from tinycompress import packing, sparse
from tinycompress.break_even import layout_bytes

CARRIED = pathlib.Path(__file__).parent / "cases" / "storage.json"
INDEX_BYTES = {"scipy": 4, "torch": 8}  # what each library takes for indices unless asked otherwise
KEPT = {
    "float32": (1, 2),
    "float16": (2, 4),
    "bfloat16": (2, 4),
    "int8": (2, 4),
}  # n:m by dtype, in torch's semi-structured arrays
META = {"float32": ("int16", 4), "float16": ("int16", 4), "bfloat16": ("int16", 4), "int8": ("int32", 8)}  # nibbles in a word


def layout(case):
    """Bytes of the same matrix, by part where parts were measured."""
    inputs, library = case["inputs"], case["peer"].split(".")[0].split(" ")[0]
    name = case["op"].split(" ")[0].lower()
    block = tuple(inputs.get("blocksize", inputs.get("block", case["params"].get("blocksize", (1, 1)))))
    count = inputs.get("blocks", inputs["nnz"])
    value_bytes = np.dtype(inputs.get("dtype", "float32").removeprefix("torch.")).itemsize
    ours = layout_bytes(name, tuple(inputs["shape"]), count, value_bytes, INDEX_BYTES.get(library, 4), block)
    said = {part: n for part, (_, n) in case["output"].get("parts", {}).items()}
    return sorted(ours.values()) == sorted(said.values()) if library != "scipy" else ours == said, sum(ours.values()) == case[
        "output"
    ]["total"]


def packbits(case):
    ones = np.ones((1, 10))
    return [
        sparse.bitmap_encode(ones, bitorder=order, rows="padded")["bitmap"].tolist() == rows[0]
        for order, rows in case["output"].items()
    ]


def semi_structured(case):
    """Every group keeps its last places; cutlass stores two 2-bit places per group, as halves of a value where a group is 1:2."""
    dtype = case["params"]["dtype"].removeprefix("torch.")
    (keep, group), (word, nibbles), (rows, columns) = KEPT[dtype], META[dtype], case["inputs"]["shape"]
    x = np.zeros((rows, columns // group, group), dtype)
    x[:, :, group - keep :] = 1
    x = x.reshape(rows, columns)
    parts = sparse.n_m_encode(x, keep, group)
    places = parts["places"] if keep == 2 else (2 * parts["places"][:, None] + [0, 1]).reshape(-1)
    meta = np.frombuffer(packing.pack(places, 2), "<" + np.dtype(word).str[1:])
    said = case["output"]
    return (
        said["values"] == [[rows, columns * keep // group], parts["values"].nbytes],
        said["meta"] == [f"torch.{word}", [rows, columns // group // nibbles], meta.nbytes],
        said["meta0"] == int(meta[0]),
        said["dense_bytes"] == x.nbytes and said["ratio"] == (parts["values"].nbytes + meta.nbytes) / x.nbytes,
        said["roundtrip"] and (sparse.n_m_decode(parts, x.shape, keep, group) == x).all(),
    )


def gaps(case):
    inputs = case["inputs"]
    codes = sparse.gap_decode({"gaps": np.array(inputs["gaps"]), "values": np.array(inputs["codes"])}, (inputs["size"],), bits=8)
    return (np.array(inputs["codebook"])[codes].tolist() == case["output"],)


def answer(case):
    """The comparison that an operation asks for."""
    op = case["op"]
    if op.startswith("packbits"):
        return packbits(case)
    if "semi-structured" in op:
        return semi_structured(case)
    if "gaps" in op:
        return gaps(case)
    return layout(case)


def misses(cases):
    return [case["id"] for case in cases if not all(answer(case))]


def test_carried_cases():
    cases = json.loads(CARRIED.read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 4 and misses(cases) == []


def test_all_cases(peers_dir):
    every = json.loads((peers_dir / "pruning_distillation_cases.json").read_text(encoding="utf-8"))
    cases = [case for case in every if case["topic"] == "storage"]
    assert cases and misses(cases) == []
