"""The mistake museum: what people really get wrong, the law that each mistake breaks, and the harm, measured.

Ordinary data are 2,000 normal weights, a batch of 20 rows at temperature 4, and 40 ranked lists. Hard data are those of the 48
inputs of the live tests on which most entries are wrong: ties, range ends, outliers, empty rows. Where the first column says 0 %
and the second says 100 %, random tests prove nothing.

    python examples/mistakes.py [--all]        (--all: also the relatives of these, and what each does to whoever uses it)

It prints:

    mistake                     law broken           ordinary data                  hard data
    truncation                  nearest              47 % differ, by up to 1        71 % differ
    half_away                   ties balance         0 % differ                     27 % differ
    reciprocal                  quotient             0 % differ                     10 % differ
    zero_inside                 zero point alone     0 % differ                     40 % differ
    zero_after_clamp            in range             1 % differ, by up to 3         67 % differ
    cast_before_clip            saturates            0 % differ                     14 % differ
    wraps                       saturates            1 % differ, by up to 254       43 % differ
    tail_lanes                  lanes                0 % differ                     14 % differ
    remembers                   forgets              0 % differ                     90 % differ
    passes_everywhere           blocked outside      20 % differ, by up to 4.07     71 % differ
    difference_wraps            wide difference      1 % differ, by up to 5.12      53 % differ
    max_for_absmax              sign                 0.02414 for 0.0307             179 for 400
    by_128                      largest code         0.03046 for 0.0307             350 for 400
    not_widened                 covers               0 % differ                     100 % differ
    arithmetic_shift            halves               48 % differ, by up to 1        93 % differ
    int16_sums                  K ones               46 % differ, by up to 1.31e+05 100 % differ
    weight_zero_forgotten       zero rows            0 % differ                     100 % differ
    high_first                  first is low         100 % differ, by up to 15      100 % differ
    percentile                  exact count          0 % differ                     73 % differ
    count_cut_off               even count           0 % differ                     12 % differ
    kept_rounded                even count           0 % differ                     14 % differ
    signed_weights              largest stays        60 % differ, by up to 1        64 % differ
    n_pruned                    so many kept         50 % differ, by up to 1        100 % differ
    mask_not_reapplied          stays zero           50 % differ, by up to 0.171    50 % differ
    weight_gradient_transposed  from x to y          0 % differ                     91 % differ
    mean_of_rows                rows add up          13 % differ, by up to 11.3     93 % differ
    not_shifted                 no overflow          0 % differ                     82 % differ
    softmax_twice               sure and wrong       1.631 for 2.027                2.543 for 1230
    epsilon_inside              eps is a gradient    59 % differ, by up to 0.00096  33 % differ
    not_corrected               first step           59 % differ, by up to 0.00216  33 % differ
    no_t_squared                hot limit            0.1335 for 2.135               33.43 for 1.337e+04
    mean                        absent classes       0.4271 for 2.135               1216 for 1.337e+04
    swapped                     cold limit           2.032 for 2.135                1.856e+04 for 1.337e+04
    batch_axis                  rows alone           0.6346 for 2.135               2.264e+04 for 1.337e+04
    probabilities               never negative       -27.32 for 2.135               nan for 5.549e-126
    epsilon                     linear growth        2.135 for 2.135                5934 for 1.337e+04
    teacher_unused              zero at equality     0.4067 for 2.135               1.123e+04 for 0
    alpha_swapped               soft alone           2.038 for 2.124                2.038 for 2.124
    one_logit                   clicks differ        0 for 0.7749                   0 for 2970
    f1_of_averages              exchanged            0.2232 for 0.209               0.4615 for 0.3704
    ties_won                    constant scores      0.5371 for 0.4463              0.5 for 0.3056
    empty_skipped               empty row            0.5086 for 0.3942              1 for 0.125
    exponential_gain            grades in proportion 0.2199 for 0.2174              0.5723 for 0.7104
    argsort_ties                place of equals      0.2375 for 0.2174              0.3333 for 0.5556
"""
import sys

from tinycompress.verify.harm import measured
from tinycompress.verify.mutants import FAMOUS, MUTANTS


def main():
    everything = "--all" in sys.argv
    chosen = MUTANTS if everything else [m for m in MUTANTS if m.name in FAMOUS]
    print("mistake                     law broken           ordinary data                  hard data")
    for mutant in chosen:
        harm = measured(mutant)
        words = f"   {mutant.operation}: {mutant.harm}" if everything else ""
        print(f"{mutant.name:<27} {mutant.law:<20} {harm.ordinary:<30} {harm.hard}{words}")


if __name__ == "__main__":
    main()
