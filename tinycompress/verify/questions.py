"""The vectors of each operation as questions, and the canaries that only a broken runner passes.

Not here: the text of the files (vectors), how a reply is judged (judging). Read next: generate.
"""
from __future__ import annotations

import functools
import json
from importlib import resources

from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.axes import claimed
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.vectors import Vector, from_object


@functools.cache
def read_tests(operation: str) -> tuple[Vector, ...]:
    """Return the vectors of an operation as they are in the package.

    Shapes      takes no arrays
    Source      verify/vectors

    >>> len(read_tests("accuracy")) >= 3
    True
    """
    path = resources.files("tinycompress.verify").joinpath("vectors", f"{operation}.json")
    return tuple(from_object(operation, item) for item in json.loads(path.read_text(encoding="ascii"))["tests"])


def as_question(test: Vector) -> Question:
    """Return a vector as something to ask.

    Shapes      takes a test
    Source      this package

    >>> as_question(read_tests("accuracy")[0]).request.operation
    'accuracy'
    """
    return Question(test.id, Request(test.operation, test.arguments, test.axis), test.table, test.comment)


def read_questions(operation: str) -> tuple[Question, ...]:
    """Return the vectors of an operation as questions.

    Shapes      takes no arrays
    Source      verify/vectors

    >>> read_questions("accuracy")[0].test == read_tests("accuracy")[0].id
    True
    """
    return tuple(map(as_question, read_tests(operation)))


def read_canaries() -> tuple[tuple[Vector, Vector], ...]:
    """Return each vector whose expectation is wrong on purpose, with the right one beside it.

    Shapes      takes no arrays
    Source      verify/vectors/canaries.json

    >>> all(wrong.id == "canary-" + right.id for wrong, right in read_canaries())
    True
    """
    path = resources.files("tinycompress.verify").joinpath("vectors", "canaries.json")
    found = []
    for item in json.loads(path.read_text(encoding="ascii"))["tests"]:
        right = {test.id: test for test in read_tests(item["operation"])}[item["id"].removeprefix("canary-")]
        found.append((from_object(item["operation"], item), right))
    return tuple(found)


def check_canaries() -> None:
    """Refuse to go on where a wrong expectation is met by the right answer: then nothing is being compared.

    Shapes      takes no arrays
    Raises      RuntimeError if a canary passes, or a right answer fails
    Source      this package

    >>> check_canaries()
    """
    for wrong, right in read_canaries():
        held = claimed(right.operation)
        values = right.table.answers[(right.expect or {})["tinycompress"][0]].values
        reply = Reply("answered", values if len(values) > 1 else values[0])
        if judge(as_question(wrong), reply, held)[0].status == "pass":
            raise RuntimeError(f"{wrong.id} passed, and it is wrong on purpose: this runner compares nothing")
        if judge(as_question(right), reply, held)[0].status != "pass":
            raise RuntimeError(f"{right.id} failed with the right answer: this runner fails everything")
