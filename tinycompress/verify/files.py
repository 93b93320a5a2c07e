"""All questions as files: the vectors as they are in the package, and the prompts that a program without a pipe is fed with.

    INTERPRETING.md                 what every field means and when an answer is the same; read this first
    OPERATION.json, schema.json     the tests of one operation with all their answers, for test suites that read JSON; its schema
    OPERATION.txt                   the same, a test a line, for languages that read no JSON by themselves, such as C
    canaries.json, canaries.txt     tests with a wrong expectation: a suite that passes one compares nothing
    PROTOCOL.md                     how a program is asked and answers; for the prompts, and for `verify --command`
    prompts/OPERATION.txt, .jsonl   the questions alone, for `./mine < quantize.txt > answers.txt` and `verify --answers`
    prompts/OPERATION.axis0.*       those with a scale and zero point per row, where the operation has them

Not here: how the vectors are made (generate), how answers are judged (answers). Read next: answers.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tinycompress.verify.judging import Question
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.protocol import HELLO, write_request
from tinycompress.verify.questions import read_questions


def write_vectors(folder: str | Path) -> str:
    """Copy the vectors to a folder and write the prompts beside them; return what was written, in words.

    Shapes      takes no arrays
    Raises      ValueError if the folder's name is that of a file
    Source      this package

    >>> import re, tempfile
    >>> one = re.compile(f"({'|'.join(OPERATIONS)})(?=[.])")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     words = write_vectors(folder)
    ...     for place in (Path(folder), Path(folder, "prompts")):
    ...         print(*sorted({one.sub("OPERATION", path.name) for path in place.iterdir()}))
    INTERPRETING.md OPERATION.json OPERATION.txt PROTOCOL.md canaries.json canaries.txt prompts schema.json
    OPERATION.axis0.jsonl OPERATION.axis0.txt OPERATION.jsonl OPERATION.txt
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ValueError(f"{folder} is a file; name a folder")
    prompts = target / "prompts"
    prompts.mkdir(parents=True, exist_ok=True)
    copied = 0
    for entry in resources.files("tinycompress.verify").joinpath("vectors").iterdir():
        if entry.is_file():
            (target / entry.name).write_bytes(entry.read_bytes())
            copied += 1
    count = 0
    for operation in OPERATIONS:
        questions = read_questions(operation)
        count += len(questions)
        for axis, suffix in ((None, ""), (0, ".axis0")):
            some = [question for question in questions if question.request.axis == axis]
            for form, ending in (("plain", "txt"), ("json", "jsonl")):
                if some:
                    (prompts / f"{operation}{suffix}.{ending}").write_text(_prompts(some, form), encoding="ascii", newline="\n")
    return f"{copied} files in {target}, {count:,} questions in {prompts}; read INTERPRETING.md and PROTOCOL.md first"


def _prompts(questions: list[Question], form: str) -> str:
    bye = '{"bye":true}\n' if form == "json" else "bye\n"
    return "".join([HELLO, *(write_request(question.test, question.request, form) for question in questions), bye])
