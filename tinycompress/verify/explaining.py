"""One vector, explained: what it asks, what each convention answers, and which profiles expect which answer.

Not here: where two profiles part (differing). Read next: files.
"""

from __future__ import annotations

import difflib

import numpy as np

from tinycompress.verify.axes import AXES, options_left
from tinycompress.verify.judging import Question, points_giving
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.oracle import Answer
from tinycompress.verify.profiles import load_profiles
from tinycompress.verify.questions import read_questions
from tinycompress.verify.reproducing import reproducer


def find(test: str) -> Question:
    """Return the question of an id.

    Shapes      takes no arrays
    Raises      ValueError if there is no such vector
    Source      this package

    >>> find(read_questions("pack")[0].test).request.operation
    'pack'
    """
    everything = {question.test: question for operation in OPERATIONS for question in read_questions(operation)}
    if test not in everything:
        near = difflib.get_close_matches(test, everything, n=3, cutoff=0.3)
        raise ValueError(f"no vector is called {test!r}; nearest: {', '.join(near) or 'none'}")
    return everything[test]


def explain(test: str) -> str:
    """Say in words what a vector is there for.

    Shapes      takes no arrays
    Raises      ValueError if there is no such vector
    Source      this package

    >>> explain(read_questions("accuracy")[0].test).splitlines()[0].startswith("accuracy-")
    True
    """
    question = find(test)
    operation = question.request.operation
    lines = [f"{test}: {question.hunts}".rstrip(": "), *(f"    {line}" for line in reproducer(question.request).splitlines()), ""]
    count = len(question.table.answers)
    if count == 1:
        lines.append("every convention answers the same:")
    for i, answer in enumerate(question.table.answers):
        giving = points_giving(operation, question.table, [j == i for j in range(count)])
        lines.append(f"  {answer_words(answer)}")
        left = options_left(operation, giving)
        for axis in question.table.axes if count > 1 else ():
            options = AXES[operation][axis]
            if len(left[axis]) < len(options):
                lines.append(f"      {axis}: {', '.join(left[axis])}")
                lines += [f"          {options[option]}" for option in left[axis] if len(left[axis]) == 1]
        expecting = [name for name, profile in load_profiles().items() if (profile.points(operation) & giving).any()]
        if expecting:
            lines.append(f"      expected by {', '.join(expecting)}")
    return "\n".join(lines)


def answer_words(answer: Answer) -> str:
    """Write an answer in a line.

    Shapes      takes no arrays
    Source      this package

    >>> answer_words(Answer((np.array([1, 2]),)))
    '[1, 2]'
    """
    if answer.refused:
        return "refused (ValueError)"
    if answer.undefined:
        return "anything: this convention says nothing about such input"
    words = []
    for value in answer.values:
        flat = value.ravel().tolist()
        text = str(flat[0] if value.ndim == 0 else flat[:12]) + (f" ... ({value.size})" if value.size > 12 else "")
        words.append(text)
    return "; ".join(words)


def size(question: Question) -> int:
    """How many numbers a question holds: the fewer, the easier it is to read.

    Shapes      takes no arrays
    Source      this package

    >>> size(read_questions("accuracy")[0]) > 0
    True
    """
    return sum(np.size(a) for a in question.request.arguments)
