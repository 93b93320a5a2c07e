"""The files of vectors, made from the exact oracle: `python -m tinycompress.verify.generate FOLDER`.

Without --choose the inputs that were chosen before are kept, so that the files come out byte for byte the same wherever they
are made. With --choose the choice is made anew from all candidates; an id is a digest of its input, so none is ever used for
another.

Not here: the form of a test (vectors), the choice (cases). Read next: wire, own.
"""

from __future__ import annotations

import json
import pathlib
import sys
from dataclasses import replace

import numpy as np

from tinycompress.verify.cases import candidates, choose, identify
from tinycompress.verify.cases_integers import Case
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.oracle import Answer
from tinycompress.verify.tables import Table, table
from tinycompress.verify.vectors import FORMAT, Vector, expectations, to_file, to_line, to_object

FOLDER = pathlib.Path(__file__).parent / "vectors"


def make_tests(operation: str, anew: bool = False) -> list[Vector]:
    """Return the vectors of one operation from the oracle.

    Shapes      takes no arrays
    Source      this package

    >>> make_tests("accuracy")[0].operation
    'accuracy'
    """
    path = FOLDER / f"{operation}.json"
    if anew or not path.exists():
        return [_vector(case, found) for case, found in choose(operation)]
    kept = [item["id"] for item in json.loads(path.read_text(encoding="ascii"))["tests"]]
    cases = {identify(case): case for case in candidates(operation)}
    return [_vector(cases[name], table(operation, cases[name].arguments, cases[name].axis)) for name in kept]


def _vector(case: Case, found: Table) -> Vector:
    expect = expectations(case.operation, found)
    return Vector(identify(case), case.operation, case.arguments, case.axis, found, case.flags, case.comment, expect)


def spoil(test: Vector) -> Vector:
    """Return a canary: the same question with an expectation that is wrong on purpose.

    Shapes      takes a test
    Source      this package

    >>> spoil(make_tests("accuracy")[0]).id[:7]
    'canary-'
    """
    right = test.table.answers[(test.expect or {})["tinycompress"][0]]
    first = right.values[0].copy()
    entry = first.reshape(-1)[:1]
    entry[...] = ~entry if first.dtype == bool else entry + 1
    wrong = Answer((first, *right.values[1:]), right.tol)
    found = Table((), np.array(0, np.int16), (wrong,))
    return replace(test, id=f"canary-{test.id}", table=found, flags=("canary",),
        comment="wrong on purpose: a runner that passes this "
                   "compares nothing", expect={"tinycompress": (0,)})  # fmt: skip


def _can_spoil(test: Vector) -> bool:
    answer = test.table.answers[(test.expect or {})["tinycompress"][0]]
    return bool(answer.values) and answer.values[0].size > 0 and bool(np.isfinite(answer.values[0]).all())


def write(folder: pathlib.Path | str, anew: bool = False) -> list[str]:
    """Write all files but those that are written by hand; return their names.

    Shapes      takes no arrays
    Source      this package

    >>> callable(write)
    True
    """
    target, written, canaries = pathlib.Path(folder), [], []
    target.mkdir(parents=True, exist_ok=True)
    for operation in OPERATIONS:
        tests = make_tests(operation, anew)
        canaries += [spoil(next(test for test in tests if _can_spoil(test)))]
        texts = {f"{operation}.json": to_file(operation, tests), f"{operation}.txt": "".join(to_line(t) + "\n" for t in tests)}
        for name, text in texts.items():
            (target / name).write_text(text, encoding="ascii", newline="\n")
            written.append(name)
    items = [{"operation": test.operation, **to_object(test)} for test in canaries]
    lines = ",\n".join("    " + json.dumps(item, separators=(",", ":")) for item in items)
    (target / "canaries.json").write_text(f'{{"format": {FORMAT},\n "tests": [\n{lines}\n  ]}}\n', encoding="ascii", newline="\n")
    (target / "canaries.txt").write_text("".join(to_line(t) + "\n" for t in canaries), encoding="ascii", newline="\n")
    return [*written, "canaries.json", "canaries.txt"]


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--choose"]
    write(words[0] if words else FOLDER, anew="--choose" in sys.argv)
