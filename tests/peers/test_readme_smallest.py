"""README's table of what each part bought, made again. It takes a minute, so it runs where the peers do, not in the main suite."""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def rows(lines):
    """Name and numbers of each row: bytes, times, hit rate, NDCG."""
    return [(line[:30].strip(), [float(v.replace(",", "")) for v in line[30:].split()]) for line in lines]


def test_what_each_part_bought(tmp_path):
    """Bytes within 5 %, quality within .01: other BLAS builds sum in another order, and training carries that on."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    shown = next(block for block in blocks if "all parts" in block)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tinycompress", "compress", "--smallest"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    start = next(i for i, line in enumerate(printed) if line.startswith("what each part bought")) + 3
    expected = rows(shown.splitlines()[2:])
    got = rows(printed[start : start + len(expected)])
    assert [name for name, _ in got] == [name for name, _ in expected]
    for (_, a), (_, b) in zip(expected, got):
        assert abs(a[0] - b[0]) <= 0.05 * a[0] and abs(a[1] - b[1]) <= 0.05 * a[1] and abs(a[3] - b[3]) <= 0.01, done.stdout
