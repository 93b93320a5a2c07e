"""The mistake museum: what do people really get wrong, which law does each mistake break, and why did no test of theirs notice?

Ordinary data are 2,000 normal weights, 20 rows at temperature 4, 40 ranked lists. Hard data are the worst of 48 live inputs:
ties, range ends, outliers, empty rows. Where the first column says 0 %, random tests prove nothing. "a for b": where the answer
is one number, the wrong one and the right one.

    python examples/mistakes.py [--all]    (--all: also their relatives, and the harm of each; with matplotlib: also mistakes.png)

It prints:

    operation, mistake                       law broken           ordinary data                  hard data
    quantize truncation                      nearest              47 % differ, by up to 1        71 % differ
    quantize half_away                       ties balance         0 % differ                     27 % differ
    quantize reciprocal                      quotient             0 % differ                     10 % differ
    quantize zero_inside                     zero point alone     0 % differ                     40 % differ
    quantize zero_after_clamp                in range             1 % differ, by up to 3         67 % differ
    quantize cast_before_clip                saturates            0 % differ                     14 % differ
    quantize wraps                           saturates            1 % differ, by up to 254       43 % differ
    fake_quantize_backward passes_everywhere blocked outside      20 % differ, by up to 4.07     71 % differ
    dequantize difference_wraps              wide difference      1 % differ, by up to 5.12      53 % differ
    symmetric_qparams by_128                 largest code         0.03046 for 0.0307             350 for 400
    asymmetric_qparams not_widened           covers               0 % differ                     100 % differ
    requantize arithmetic_shift              halves               48 % differ, by up to 1        93 % differ
    integer_matmul int16_sums                K ones               46 % differ, by up to 1.31e+05 100 % differ
    integer_matmul weight_zero_forgotten     zero rows            0 % differ                     100 % differ
    pack high_first                          first is low         100 % differ, by up to 15      100 % differ
    magnitude_mask percentile                exact count          0 % differ                     73 % differ
    magnitude_mask signed_weights            largest stays        60 % differ, by up to 1        64 % differ
    masked_training mask_not_reapplied       stays zero           50 % differ, by up to 0.171    50 % differ
    linear_backward mean_of_rows             rows add up          13 % differ, by up to 11.3     93 % differ
    softmax not_shifted                      no overflow          0 % differ                     82 % differ
    cross_entropy softmax_twice              sure and wrong       1.631 for 2.027                2.543 for 1230
    kd_loss no_t_squared                     hot limit            0.1335 for 2.135               33.43 for 1.337e+04
    kd_loss mean                             absent classes       0.4271 for 2.135               1216 for 1.337e+04
    kd_loss teacher_unused                   zero at equality     0.4067 for 2.135               1.123e+04 for 0
    auc ties_won                             constant scores      0.5371 for 0.4463              0.5 for 0.3056
    hit_rate empty_skipped                   empty row            0.5086 for 0.3942              1 for 0.125
"""
import sys

from pictures import bars, draw

from tinycompress.verify.harm import measured
from tinycompress.verify.mutants import MUTANTS

SHOWN = """truncation half_away reciprocal zero_inside zero_after_clamp cast_before_clip wraps passes_everywhere difference_wraps
by_128 not_widened arithmetic_shift int16_sums weight_zero_forgotten high_first percentile signed_weights
mask_not_reapplied mean_of_rows not_shifted softmax_twice no_t_squared mean teacher_unused ties_won empty_skipped""".split()
if sys.argv[1:] not in ([], ["--all"]):
    sys.exit(f"usage: python {sys.argv[0]} [--all], not {' '.join(sys.argv[1:])}")
percent, shown = {}, [mutant for mutant in MUTANTS if sys.argv[1:] or mutant.name in SHOWN]
print("operation, mistake                       law broken           ordinary data                  hard data")
for mutant in shown:
    harm, name = measured(mutant), f"{mutant.operation} {mutant.name}"
    print(f"{name:<40} {mutant.law:<20} {harm.ordinary:<30} {harm.hard}" + f"   {mutant.harm}" * len(sys.argv[1:]))
    if "%" in harm.hard:
        percent[name] = [int(text.split(" %")[0]) for text in (harm.ordinary, harm.hard)]
wrong = dict(zip(("ordinary", "hard"), zip(*percent.values())))
note = f"% of answers wrong (not here: {len(shown) - len(percent)} with 'a for b', which have no %)"
draw("mistakes", bars(wrong, list(percent), legend="outside", xlabel=note), width=9, height=0.25 * len(percent) + 1)
