"""The mistake museum: what do people really get wrong, which law does each mistake break, and why did no test of theirs notice?

Ordinary data are 2,000 normal weights, 20 rows at temperature 4, 40 ranked lists. Hard data are the worst of 48 live inputs:
ties, range ends, outliers, empty rows. Where the first column says 0 %, random tests prove nothing.

    python examples/mistakes.py [--all]    (--all: also their relatives, and the harm of each; with matplotlib: also mistakes.png)

It prints:

    mistake                     law broken           ordinary data                  hard data
    truncation                  nearest              47 % differ, by up to 1        71 % differ
    half_away                   ties balance         0 % differ                     27 % differ
    reciprocal                  quotient             0 % differ                     10 % differ
    zero_inside                 zero point alone     0 % differ                     40 % differ
    zero_after_clamp            in range             1 % differ, by up to 3         67 % differ
    cast_before_clip            saturates            0 % differ                     14 % differ
    wraps                       saturates            1 % differ, by up to 254       43 % differ
    passes_everywhere           blocked outside      20 % differ, by up to 4.07     71 % differ
    difference_wraps            wide difference      1 % differ, by up to 5.12      53 % differ
    by_128                      largest code         0.03046 for 0.0307             350 for 400
    not_widened                 covers               0 % differ                     100 % differ
    arithmetic_shift            halves               48 % differ, by up to 1        93 % differ
    int16_sums                  K ones               46 % differ, by up to 1.31e+05 100 % differ
    weight_zero_forgotten       zero rows            0 % differ                     100 % differ
    high_first                  first is low         100 % differ, by up to 15      100 % differ
    percentile                  exact count          0 % differ                     73 % differ
    signed_weights              largest stays        60 % differ, by up to 1        64 % differ
    mask_not_reapplied          stays zero           50 % differ, by up to 0.171    50 % differ
    mean_of_rows                rows add up          13 % differ, by up to 11.3     93 % differ
    not_shifted                 no overflow          0 % differ                     82 % differ
    softmax_twice               sure and wrong       1.631 for 2.027                2.543 for 1230
    no_t_squared                hot limit            0.1335 for 2.135               33.43 for 1.337e+04
    mean                        absent classes       0.4271 for 2.135               1216 for 1.337e+04
    teacher_unused              zero at equality     0.4067 for 2.135               1.123e+04 for 0
    ties_won                    constant scores      0.5371 for 0.4463              0.5 for 0.3056
    empty_skipped               empty row            0.5086 for 0.3942              1 for 0.125
"""
import sys

from pictures import bars, draw

from tinycompress.verify.harm import measured
from tinycompress.verify.mutants import MUTANTS

SHOWN = """truncation half_away reciprocal zero_inside zero_after_clamp cast_before_clip wraps passes_everywhere difference_wraps
by_128 not_widened arithmetic_shift int16_sums weight_zero_forgotten high_first percentile signed_weights
mask_not_reapplied mean_of_rows not_shifted softmax_twice no_t_squared mean teacher_unused ties_won empty_skipped""".split()

everything, percent = "--all" in sys.argv, {}
print("mistake                     law broken           ordinary data                  hard data")
for mutant in MUTANTS:
    if everything or mutant.name in SHOWN:
        harm = measured(mutant)
        words = f"   {mutant.operation}: {mutant.harm}" if everything else ""
        print(f"{mutant.name:<27} {mutant.law:<20} {harm.ordinary:<30} {harm.hard}{words}")
        if "%" in harm.hard:
            percent[mutant.name] = [int(text.split(" %")[0]) for text in (harm.ordinary, harm.hard)]
ordinary, hard = zip(*percent.values())
draw("mistakes", bars({"ordinary": ordinary, "hard": hard}, list(percent), None, "outside", xlabel="% of answers wrong"),
     width=7.5, height=0.25 * len(percent) + 1)  # fmt: skip
