"""Vectors as text: one test as an object of JSON, or as one line of words that `scanf` reads; and back.

A test holds its input, the distinct answers that the space of conventions gives, which point gives which answer, and for each
named profile the answers that it allows. INTERPRETING.md beside the files is normative; schema.json describes the JSON.

Not here: which inputs (cases), the files themselves (generate), judging an answer (judging). Read next: questions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify import wire
from tinycompress.verify.axes import option_names
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.oracle import Answer
from tinycompress.verify.profiles import load_profiles
from tinycompress.verify.tables import Table, spread

FORMAT = 1


@dataclass(frozen=True)
class Vector:
    """One vector."""

    id: str
    operation: str
    arguments: tuple[Any, ...]
    axis: int | None
    table: Table
    flags: tuple[str, ...] = ()
    comment: str = ""
    expect: dict[str, tuple[int, ...]] | None = None  # profile -> indices of the answers that it allows


def expectations(operation: str, table: Table) -> dict[str, tuple[int, ...]]:
    """Return for each profile that speaks of the operation the answers that it allows.

    Shapes      takes a table of the operation
    Source      profiles.toml

    >>> from tinycompress.verify.tables import table
    >>> expectations("accuracy", table("accuracy", [np.array([1]), np.array([1])]))["tinycompress"]
    (0,)
    """
    which = spread(operation, table)
    found = {}
    for name, profile in load_profiles().items():
        if operation in profile.operations:
            points = profile.points(operation)
            given = np.broadcast_to(which, points.shape)[points]
            found[name] = tuple(sorted({int(i) for i in given if i >= 0}))
    return found


def to_object(test: Vector) -> dict[str, Any]:
    """Write a test as an object of JSON.

    Shapes      takes a test
    Source      INTERPRETING.md

    >>> to_object(Vector("a", "accuracy", (), None, Table((), np.int16(0), (Answer(refused=True),)), expect={}))["answers"]
    [{'refuse': True}]
    """
    return {
        "id": test.id, "flags": list(test.flags), "comment": test.comment, "axis": test.axis,
        "args": [wire.to_json(a) for a in test.arguments],
        "answers": [_answer_object(a) for a in test.table.answers],
        "axes": list(test.table.axes), "which": np.asarray(test.table.which).ravel().tolist(),
        "expect": {name: list(answers) for name, answers in (test.expect or {}).items()},
    }  # fmt: skip


def _answer_object(answer: Answer) -> dict[str, Any]:
    if answer.refused or answer.undefined:
        return {"refuse": True} if answer.refused else {"any": True}
    return {
        "ok": [wire.to_json(v) for v in answer.values],
        "tol": [None if t is None else wire.to_json(t)["data"] for t in answer.tol],
    }


def from_object(operation: str, item: dict[str, Any]) -> Vector:
    """Read a test from an object of JSON.

    Shapes      takes an object
    Source      INTERPRETING.md

    >>> from_object("accuracy", {"id": "a", "flags": [], "comment": "", "axis": None, "args": [], "answers": [], "axes": [],
    ...             "which": [-1], "expect": {}}).id
    'a'
    """
    op, names = OPERATIONS[operation], option_names(operation)
    arguments = tuple(_argument(wire.from_json(v), kind) for v, (_, kind) in zip(item["args"], op.arguments, strict=False))
    answers = []
    for made in item["answers"]:
        if "ok" not in made:
            answers.append(Answer(refused="refuse" in made, undefined="any" in made))
            continue
        values = tuple(np.asarray(wire.from_json(v)) for v in made["ok"])
        bounds = [None if t is None else wire.build("f64", v.shape, t) for v, t in zip(values, made["tol"], strict=True)]
        answers.append(Answer(values, tuple(bounds)))
    which = np.array(item["which"], np.int16).reshape([len(names[axis]) for axis in item["axes"]])
    expect = {name: tuple(indices) for name, indices in item["expect"].items()}
    table = Table(tuple(item["axes"]), which, tuple(answers))
    return Vector(item["id"], operation, arguments, item["axis"], table, tuple(item["flags"]), item["comment"], expect)


def _argument(value: Any, kind: str) -> Any:
    if kind == "bytes":
        return np.asarray(value).tobytes()
    if kind in ("int", "zero", "number", "scale") and np.asarray(value).ndim == 0:
        return np.asarray(value).item()
    return value


def to_line(test: Vector) -> str:
    """Write a test as one line of words.

    Shapes      takes a test
    Source      INTERPRETING.md

    >>> refusal = Table((), np.int16(0), (Answer(refused=True),))
    >>> to_line(Vector("a", "accuracy", (1,), None, refusal, expect={"tinycompress": (0,)}))
    'test a accuracy - 1 i64 0 1 answers 1 refuse expect 1 tinycompress 1 0 axes 0 which 1 0'
    """
    words = ["test", test.id, test.operation, "-" if test.axis is None else str(test.axis), str(len(test.arguments))]
    words += [wire.to_words(a) for a in test.arguments]
    words += ["answers", str(len(test.table.answers))]
    for answer in test.table.answers:
        if answer.refused or answer.undefined:
            words.append("refuse" if answer.refused else "any")
            continue
        words += ["ok", str(len(answer.values))]
        for value, tol in zip(answer.values, answer.tol, strict=True):
            words += [wire.to_words(value), "exact" if tol is None else " ".join(["within", *wire.to_json(tol)["data"]])]
    words += ["expect", str(len(test.expect or {}))]
    for name, indices in (test.expect or {}).items():
        words += [name, str(len(indices)), *map(str, indices)]
    cells = np.asarray(test.table.which).ravel().tolist()
    words += ["axes", str(len(test.table.axes)), *test.table.axes, "which", str(len(cells)), *map(str, cells)]
    return " ".join(words)


def to_file(operation: str, tests: Iterable[Vector]) -> str:
    """Write all tests of an operation as JSON, one test a line.

    Shapes      takes tests
    Source      INTERPRETING.md

    >>> to_file("accuracy", []).splitlines()[-1]
    '  ]}'
    """
    op = OPERATIONS[operation]
    head = {
        "format": FORMAT, "operation": operation, "comparison": op.comparison,
        "arguments": [list(a) for a in op.arguments], "results": [list(a) for a in op.answers],
        "axes": {axis: list(options) for axis, options in option_names(operation).items()},
    }  # fmt: skip
    lines = ",\n".join("    " + json.dumps(to_object(test), separators=(",", ":")) for test in tests)
    return json.dumps(head, indent=1)[:-2] + ',\n "tests": [\n' + lines + "\n  ]}\n"
