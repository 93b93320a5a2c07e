"""Run the command line as a newcomer does: in a process of its own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def start(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "tinycompress", *arguments], text=True, env=environment, **options)


def run(*arguments, **options):
    started = start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    out, err = started.communicate()
    return subprocess.CompletedProcess(started.args, started.returncode, out, err)
