"""Answers that came back without a pipe: a file with what a program printed when it was fed with the prompts.

Not here: the prompts (files), one judgement (judging). Read next: testing, reporting.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinycompress.verify.adapters import Reply
from tinycompress.verify.claims import resolve_claim
from tinycompress.verify.judging import Question
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.protocol import read_reply
from tinycompress.verify.questions import check_canaries, read_questions
from tinycompress.verify.results import OperationReport, Outcome, Report
from tinycompress.verify.running import judge_all, summarize


def judge_answers(path: str | Path, claim: Any = None) -> Report:
    """Judge a file of answers.

    Shapes      takes no arrays
    Raises      ValueError if the file holds no line that answers anything
    Source      this package

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    ...     _ = file.write("hello\\nok no-such-vector i8 0 1\\n"), file.flush()
    ...     judge_answers(file.name).ok
    False
    """
    start = time.monotonic()
    claims = resolve_claim(claim)
    check_canaries()
    questions = {q.test: q for operation in OPERATIONS for q in read_questions(operation)}
    replies, strays = _read(Path(path), questions)
    if not replies and not strays:
        raise ValueError(f"{path} holds no answers; lines such as `ok ID i8 1 2 0 127` were expected")
    reports = []
    for name in OPERATIONS:
        asked = read_questions(name)
        given = [q for q in asked if q.test in replies]
        if not given:
            reports.append(OperationReport(name, "unsupported", 0, name in claims.required, note="the file answers none of it"))
            continue
        if not claims.judges(name):
            reports.append(OperationReport(name, "not-run", 0, False, note=f"{claims.name} says nothing of it"))
            continue
        rows = any(q.request.axis is not None for q in given)
        wanted = [q for q in asked if q.request.axis is None or rows]
        got = [replies.get(q.test, Reply("not-run", None, "the file has no answer to it")) for q in wanted]
        outcomes, standing = judge_all(wanted, [(reply, reply) for reply in got], claims.points(name))
        reports.append(summarize(name, outcomes, standing, claims))
    if strays:
        reports.append(_strays(strays))
    return Report(str(path), claims.name, 0, time.monotonic() - start, tuple(reports))


def _read(path: Path, questions: Mapping[str, Question]) -> tuple[dict[str, Reply], list[str]]:
    """The replies by id, and the lines that are none."""
    replies: dict[str, Reply] = {}
    strays: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.strip()
        if not text or text.split()[0] == "hello" or text.startswith('{"hello"'):
            continue
        form = "json" if text.startswith("{") else "plain"
        found, _ = read_reply(text, "quantize", form)
        question = questions.get(found or "")
        if question is None:
            strays.append(text)
            continue
        _, reply = read_reply(text, question.request.operation, form)
        again = question.test in replies
        replies[question.test] = Reply("invalid-answer", None, "it was answered more than once") if again else reply
    return replies, strays


def _strays(lines: list[str]) -> OperationReport:
    outcomes = tuple(
        Outcome("", f"line {line[:40]!r}", "invalid-answer", "no vector has this id", comparisons=0) for line in lines[:40]
    )
    return OperationReport("(other lines)", "invalid-answer", 0, True, outcomes, counts={"invalid-answer": len(lines)})
