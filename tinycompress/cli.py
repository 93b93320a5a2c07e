"""The command line: which command was asked for, and what becomes of its complaints.

    tinycompress compress [FILE]               train a recommender, make it smaller in several ways, judge each
    tinycompress compress [FILE] --smallest    find the smallest file that still ranks as the original does
    tinycompress verify | diagnose | vectors   is yours the same?

Results go to standard output; progress and complaints go to standard error, progress only where someone is watching. An error is
one line and exit status 2. Modules are imported when a command needs them, so that `--help` answers at once.

Not here: what the commands do (compress, verify). Read next: bags.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 done and the answer is no, 2 could not be done.

    Shapes      takes no arrays
    Convention  130 if Ctrl-C interrupted it, as a shell reports it. What may go wrong with a sound program (a file, an option, a
                full disk, too little memory) is 2 and one line; any other exception is a fault of ours and keeps its traceback
    Raises      SystemExit as argparse does: status 0 after --help, 2 for options that it does not know
    Source      this package

    >>> main(["verify", "diff", "torch.optim.Adam", "tinycompress"])
    adam_step: the same on every input that any vector asks
    0
    >>> main(["compress", "no/such/file"])  # to standard error: "tinycompress: no/such/file: there is no such file; ..."
    2
    """
    parsed = _parser().parse_args(arguments)
    # Before NumPy is loaded: on matrices this small two BLAS threads wait for each other, and one is several times as fast.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return int(parsed.run(parsed))
    except (ValueError, OSError, MemoryError) as error:
        clear = "\r\033[K" if sys.stderr.isatty() else ""  # the line of progress, if one was drawn
        print(f"{clear}tinycompress: {_in_one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("tinycompress: interrupted", file=sys.stderr)
        return 130


def _in_one_line(error: Exception) -> str:
    words = " ".join(str(error).split())
    if isinstance(error, MemoryError):  # NumPy says for what, Python says nothing
        return f"out of memory{words and f' ({words})'}; ask for less: fewer ids in the file, narrower tables or layers"
    return words


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
