"""The command line: which command was asked for, and what becomes of its complaints.

    tinycompress compress [FILE]               train a recommender, make it smaller in several ways, judge each
    tinycompress compress [FILE] --smallest    find the smallest file that still ranks as the original does
    tinycompress verify | diagnose | vectors   is yours the same?

Results go to standard output; progress and complaints go to standard error, progress only where someone is watching. An error is
one line and exit status 2. Modules are imported when a command needs them, so that `--help` answers at once.

Not here: what the commands do (compress, verify). Read next: bags, where the data begin.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 done and the answer is no, 2 could not be done.

    Shapes      takes none
    Source      this package

    >>> main(["compress", "no/such/file"])
    2
    """
    parsed = _parser().parse_args(arguments)
    # Before NumPy is loaded: on matrices this small two BLAS threads wait for each other, and one is several times as fast.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return int(parsed.run(parsed))
    except (ValueError, OSError) as error:
        first_line = " ".join(str(error).split())
        clear = "\r\033[K" if sys.stderr.isatty() else ""  # the line of progress, if one was drawn
        print(f"{clear}tinycompress: {first_line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinycompress: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    from tinycompress import compress
    from tinycompress.verify.commands import add_commands

    parser = argparse.ArgumentParser(
        prog="tinycompress", description="Make a recommender smaller, and say honestly what it cost.", allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    compress.add_command(commands)
    add_commands(commands)
    return parser
