"""A newcomer's afternoon: write a quantizer in C, run it against the vectors, and be told in words where it differs.

    python examples/verify_yours.py             needs a C compiler called cc

1. The pipe is not yours to invent: copy examples/adapter_c.c. Your own work is one function, `quantized`. Here it is as most
   people write it the first time: multiply by the reciprocal, round with roundf, clamp.
2. `tinycompress verify --command ./mine` asks it, and says which rules it follows instead of the default ones.
3. With the two lines mended it passes. The same program needs no pipe either: feed it the prompts, hand back what it printed.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

FIRST_TRY = """static int quantized(float x, float scale, int zero, int qmin, int qmax) {
    float q = roundf(x * (1.0f / scale)) + zero;
    return q > qmin ? (q < qmax ? q : qmax) : qmin;
}
"""


def build(folder, name, function=None):
    """Compile the adapter, with `function` in the place of its `quantized`."""
    source = (HERE / "adapter_c.c").read_text(encoding="utf-8")
    if function is not None:
        source = re.sub(r"static int quantized.*?\n}\n", lambda _: function, source, flags=re.DOTALL)
    (folder / f"{name}.c").write_text(source, encoding="utf-8")
    subprocess.run(["cc", "-O2", "-o", folder / name, folder / f"{name}.c", "-lm"], check=True)
    return folder / name


def tinycompress(*arguments):
    """The command line, as typed; its output is shown."""
    print(f"\n$ tinycompress {' '.join(map(str, arguments))}", flush=True)
    return subprocess.run([sys.executable, "-m", "tinycompress", *map(str, arguments)]).returncode


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        mine = build(folder, "mine", FIRST_TRY)
        tinycompress("verify", "--command", mine, "--shown", 2)
        tinycompress("diagnose", "--command", mine)
        mended = build(folder, "mended")
        tinycompress("verify", "--command", mended)
        tinycompress("vectors", folder / "vectors")
        with open(folder / "vectors" / "prompts" / "quantize.txt") as prompts, open(folder / "answers.txt", "w") as answers:
            subprocess.run([mended], stdin=prompts, stdout=answers, check=True)
        return tinycompress("verify", "--answers", folder / "answers.txt")


if __name__ == "__main__":
    sys.exit(main())
