"""Is yours the same? A stranger's quantizer, written as by many: which rules does it follow, and on which inputs does it differ?

1. Write functions named like the operations (tinycompress.verify.operations); here one, `quantize`, in Python. Another language:
   copy the pipe of examples/adapter_c.c or adapter.mjs, then `tinycompress verify --command ./mine`, `diagnose --command ./mine`.
   No pipe: `tinycompress vectors DIR`, feed its prompts to your program, `tinycompress verify --answers FILE`.
2. `verify.run` holds it to a convention, ours or a library's, on vectors and on fresh inputs that hurt; `verify.diagnose` says in
   words which rules it follows instead, and the simplest input that rules out another. Two lines mended, it passes.

    python examples/verify_yours.py        (with matplotlib: also verify_yours.png)

It prints:

    stranger: other-convention(rounding: half_away_added, scaling: reciprocal), 1,499 numbers compared
      quantize   half_away_added / reciprocal / after / saturate / qmin / float32 / as_given   (506 of 506 answers explained)
      the same as: no one we know of
      rounding is not half_even: x=0.5 s=1 zp=1 in -128...127 -> you 2, it would be 1
      rounding is not half_away: x=-0.49999997 s=1 zp=3 in -128...127 -> you 2, it would be 3
      scaling is not divide: x=2.35 s=0.1 zp=0 in -128...127 -> you 24, it would be 23
    mended: pass, 3,141 numbers compared
      quantize   half_even / divide / after / saturate / qmin / float32 / as_given   (506 of 506 answers explained)
      the same as: tinycompress, onnxruntime.QuantizeLinear, onnxruntime.quantize_nparray, webnn.quantizeLinear
      rounding is not half_away: x=0.5 s=1 zp=1 in -128...127 -> you 1, it would be 2
      scaling is not reciprocal: x=2.35 s=0.1 zp=0 in -128...127 -> you 23, it would be 24
"""
import numpy as np
from pictures import draw, lines

from tinycompress import verify


class Stranger:
    def quantize(self, x, scale, zero_point, qmin, qmax):
        steps = x * (np.float32(1) / np.float32(scale))
        codes = np.sign(steps) * np.floor(np.abs(steps) + np.float32(0.5)) + zero_point
        return np.where(np.isnan(x), qmin, np.clip(codes, qmin, qmax))


class Mended:
    def quantize(self, x, scale, zero_point, qmin, qmax):
        codes = np.rint(x / np.float32(scale)) + np.float64(zero_point)
        return np.where(np.isnan(x), qmin, np.clip(codes, qmin, qmax))


for name, theirs in (("stranger", Stranger()), ("mended", Mended())):
    report, found = verify.run(theirs), verify.diagnose(theirs, ["quantize"])["quantize"]
    asked = report.operations[0]
    print(f"{name}: {asked.label}, {asked.comparisons:,} numbers compared\n  {found.signature}")
    print("  the same as:", ", ".join(found.matches) or "no one we know of")
    for witness in found.witnesses:
        if witness.axis in ("rounding", "scaling") and witness.rejected in ("half_even", "half_away", "divide", "reciprocal"):
            print(f"  {witness.axis} is {witness}")
x, ties = np.linspace(-2.6, 2.6, 2001, dtype=np.float32), np.arange(-2.5, 3, dtype=np.float32)
near = (np.float32(2.35).view(np.int32) + np.arange(-6, 7, dtype=np.int32)).view(np.float32)  # the floats next to a witness
both, ring = {"stranger": Stranger().quantize, "rule": Mended().quantize}, {"stranger": {"fmt": "o", "ms": 11, "mfc": "none"}}
stairs = {"off the ties": (x, both["rule"](x, 1, 0, -128, 127))}
draw("verify_yours",
     lines(stairs | {name: (ties, q(ties, 1, 0, -128, 127)) for name, q in both.items()}, "x", ring | {"off the ties": "-"},
           xlabel="x, scale 1", ylabel="code", title="rounding: the ties"),
     lines({name: (range(-6, 7), q(near, 0.1, 0, -128, 127)) for name, q in both.items()}, "x", ring, yticks=(23, 24),
           xlabel="floats from x = 2.35, scale .1", ylabel="code", title="scaling: the next floats"))  # fmt: skip
