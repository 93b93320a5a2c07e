"""`tinycompress verify`, `diagnose` and `vectors`: arguments in, reports out; no judgement of its own.

    tinycompress verify MODULE[:OBJECT]             a Python implementation, held to the default profile or to --claim
    tinycompress verify --command "./mine"          one in any language, behind a pipe
    tinycompress verify --answers FILE              answers that came back without a pipe
    tinycompress verify diff A B                    where two profiles part
    tinycompress verify explain ID                  what a vector asks, and what each convention answers
    tinycompress diagnose MODULE[:OBJECT]           which rules it follows, operation by operation
    tinycompress vectors DIR                        all questions as files

The parser is built for every command, `--help` of others included: so nothing here loads NumPy before a command runs.

Not here: what the commands do (running, diagnosis, files). Read next: laws.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any


def add_commands(commands: Any) -> None:
    """Add the three commands to the parser's subcommands.

    Shapes      takes no arrays
    Source      this package

    >>> parser = argparse.ArgumentParser()
    >>> add_commands(parser.add_subparsers())
    >>> parser.parse_args(["verify", "--claim", "onnxruntime", "mine"]).words
    ['mine']
    """
    _add_verify(commands)
    d = commands.add_parser(
        "diagnose",
        help="which rules does this implementation follow?",
        description="Ask an implementation until only one convention explains its answers, or none; name it axis by axis.",
        allow_abbrev=False,
    )
    d.add_argument("module", nargs="?", metavar="MODULE[:OBJECT]", help="with functions named like the operations")
    _add_source(d)
    d.set_defaults(run=_diagnose)
    v = commands.add_parser(
        "vectors",
        help="write all questions and their answers as files for any language",
        description="Write the vectors (JSON and plain columns), what they mean, the protocol, and prompts to a folder.",
        allow_abbrev=False,
    )
    v.add_argument("folder", metavar="DIR")
    v.set_defaults(run=_vectors)


def _add_verify(commands: Any) -> None:
    c = commands.add_parser(
        "verify",
        help="is yours the same? any language, any of the operations",
        description="Hold an implementation to a convention, bit for bit. Or: verify diff PROFILE PROFILE; verify explain ID.",
        allow_abbrev=False,
    )
    words = "a module or file with functions named like the operations; or: diff PROFILE PROFILE; or: explain ID"
    c.add_argument("words", nargs="*", metavar="MODULE[:OBJECT]", help=words)
    _add_source(c)
    c.add_argument("--answers", metavar="FILE", help="what a program answered to the prompts of `tinycompress vectors`")
    c.add_argument("--claim", metavar="PROFILE", help="what it claims to be; without it the module's CLAIM, or the default")
    c.add_argument(
        "--live", action=argparse.BooleanOptionalAction, default=True, help="random and relational tests after the vectors"
    )
    c.add_argument("--shown", type=int, default=3, metavar="N", help="failures shown of each operation (default 3)")
    c.set_defaults(run=_verify)


def _add_source(c: Any) -> None:
    c.add_argument("--command", metavar="CMD", help="a program that speaks the protocol of PROTOCOL.md")
    c.add_argument("--operations", metavar="NAME,NAME", help="only these")
    c.add_argument("--seed", type=int, default=0, help="of the random questions (default 0)")
    c.add_argument("--limit", type=float, default=5.0, metavar="SECONDS", help="for one request (default 5)")
    c.add_argument("--json", action="store_true", help="JSON lines instead of text")


def _verify(a: argparse.Namespace) -> int:
    from tinycompress.verify import reporting

    if a.words[:1] == ["diff"] and len(a.words) == 3:
        from tinycompress.verify.differing import diff_text

        print(diff_text(a.words[1], a.words[2], seed=a.seed))
        return 0
    if a.words[:1] == ["explain"] and len(a.words) == 2:
        from tinycompress.verify.explaining import explain

        print(explain(a.words[1]))
        return 0
    if a.answers is not None:
        if a.words or a.command:
            raise ValueError("--answers FILE stands alone: name no module and no --command beside it")
        from tinycompress.verify.answers import judge_answers

        report = judge_answers(a.answers, a.claim)
    else:
        from tinycompress.verify.running import run

        report = run(
            _source(a, a.words), a.claim, seed=a.seed, operations=_names(a), live=a.live, limit=a.limit, progress=_progress()
        )
        _clear()
    if a.json:
        for line in reporting.to_json_lines(report):
            print(line)
    else:
        print(reporting.to_text(report, a.shown))
    return report.exit_status


def _diagnose(a: argparse.Namespace) -> int:
    from tinycompress.verify.diagnosing import diagnose_text

    text, explained = diagnose_text(_source(a, [a.module] if a.module else []), _names(a), a.seed, a.json, _progress())
    _clear()
    print(text)
    return 0 if explained else 1


def _vectors(a: argparse.Namespace) -> int:
    from tinycompress.verify.files import write_vectors

    print(write_vectors(a.folder))
    return 0


def _source(a: argparse.Namespace, words: list[str]) -> Any:
    if a.command is not None:
        if words:
            raise ValueError(f"both --command and {words[0]} are named; name one implementation")
        from tinycompress.verify.children import ChildAdapter, Limits

        return ChildAdapter(a.command, limits=Limits(request=a.limit))
    if len(words) != 1:
        raise ValueError(
            f"{len(words)} implementations are named ({' '.join(words)}); name one: MODULE[:OBJECT], or --command, or --answers"
            if words
            else "nothing to verify: name a MODULE[:OBJECT], or --command, or --answers FILE"
        )
    from tinycompress.verify.adapters import load

    return load(words[0], a.limit)


def _names(a: argparse.Namespace) -> list[str] | None:
    if a.operations is None:
        return None
    from tinycompress.verify.operations import get_operation

    return [get_operation(name.strip()).name for name in a.operations.split(",")]


def _progress() -> Any:
    """A callback that shows which operation is asked; none where nobody is watching."""
    if not sys.stderr.isatty():
        return None
    return lambda name: print(f"\r{name}\033[K", end="", file=sys.stderr, flush=True)


def _clear() -> None:
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        print("\r\033[K", end="", file=sys.stderr, flush=True)
