"""When to prune how much: sparsity as a function of the training step.

All gradual schedules that were met are one curve, a cubic that rises fast while there is much to spare and flattens towards
the target. They differ in how a step becomes progress: whether the first step already counts, which step is the last, and
what is drawn before the first. Those are named in `ScheduleRule`; the curve is one line.

Letters     t step, x progress from 0 to 1, s_i initial and s_f final sparsity, c = (1 - x)^power
Not here: which weights go; training between two steps. Read next: pruning, retraining.
"""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycompress.conventions import ScheduleRule, resolve

DEFAULT = ScheduleRule()


def cubic_sparsity(
    step: int,
    begin: int = 0,
    end: int = 1,
    initial: float = 0.0,
    final: float = 1.0,
    *,
    frequency: int = 1,
    power: float = 3,
    convention: ScheduleRule | str = DEFAULT,
) -> float:
    """Return the sparsity that training should have at a step.

    Equation    s_t = s_f + (s_i - s_f) (1 - x)^3,   x = (t - begin) / (end - begin), clipped to [0, 1]              (1)
    Shapes      takes numbers
    Bound       monotone from s_i to s_f, and concave if s_f > s_i and power >= 1
    Limits      power -> inf: s_f at once
    Convention  default: s_i up to `begin`, s_f from `end` on; power 1 is the linear schedule, 1/3 sparseml's inverse cubic.
                To four steps for .8: TFMOT starts at 0 and ends at .8; jaxpruner starts one step ahead (.4625); PaddleSlim
                asks only for steps before its end, so it stops at .7875
    Raises      ValueError if end < begin, a sparsity is no fraction, frequency or power is not positive, or where the rule
                says `error`: an empty span (begin = end), a falling schedule, a final sparsity of 1
    Source      Zhu, Gupta 2017 (arXiv 1710.01878), section 3; peers in conventions.toml

    >>> [cubic_sparsity(t, 0, 4, final=0.5) for t in range(5)]
    [0.0, 0.2890625, 0.4375, 0.4921875, 0.5]
    >>> cubic_sparsity(0, 0, 4, final=0.5, convention="jaxpruner.polynomial")
    0.2890625
    """
    rule = resolve(convention, ScheduleRule)
    _refuse_impossible(begin, end, initial, final, frequency, power, rule)
    if step < begin and rule.before_begin == "zero":
        return 0.0
    if rule.falling == "stay" and initial > final:
        return float(initial)
    x = _progress(step, begin, end, frequency, rule)
    number: Any = np.float32 if rule.precision == "float32" else float
    c = number(number(1) - number(x)) ** number(power)
    if rule.form == "from_final":
        s = number(final) + number(initial - final) * c  # (1)
    elif rule.form == "from_initial":
        s = (number(1) - c) * number(final - initial) + number(initial)
    else:
        s = number(final) * (number(1) - number(1 - initial) * c)
    return float(s)


def is_update_step(step: int, begin: int, end: int, frequency: int = 1, convention: ScheduleRule | str = DEFAULT) -> bool:
    """Return whether the masks are computed anew at a step.

    Shapes      takes numbers
    Convention  default: begin, begin + frequency, ..., up to and with end. If frequency does not divide the span, the final
                sparsity is never applied: TFMOT from 3 to 10 every 3 steps stops at .4985 of .5. distiller leaves `end` out
                and ends the curve on its last update; jaxpruner counts multiples of frequency from step 0
    Raises      ValueError if frequency is not positive
    Source      TFMOT 0.8.1 PruningSchedule (default), peers in conventions.toml

    >>> [t for t in range(12) if is_update_step(t, 3, 10, 3)]
    [3, 6, 9]
    """
    rule = resolve(convention, ScheduleRule)
    if frequency < 1:
        raise ValueError(f"frequency is {frequency}; update every 1 or more steps")
    if step < begin or step > end or (step == end and rule.end_included == "no"):
        return False
    if rule.update_at == "every_step":
        return True
    return (step - (begin if rule.update_at == "frequency_from_begin" else 0)) % frequency == 0


def geometric_sparsity(rounds: int, fraction: float) -> float:
    """Return the sparsity after pruning the same fraction of what remains, several times.

    Equation    s_r = 1 - (1 - f)^r
    Shapes      takes numbers
    Convention  the lottery-ticket schedule: 20 % of the rest each round, 67 % pruned after 5
    Raises      ValueError if rounds is negative or fraction is none
    Source      Frankle, Carbin 2019 (arXiv 1803.03635), section 2; open_lth 2ce732f

    >>> [geometric_sparsity(r, 0.5) for r in range(4)]
    [0.0, 0.5, 0.75, 0.875]
    """
    if rounds < 0 or not 0 <= fraction <= 1:
        raise ValueError(f"rounds is {rounds} and fraction is {fraction}; need rounds >= 0 and a fraction from 0 to 1")
    return float(1 - (1 - fraction) ** rounds)


def fraction_of_remaining(before: float, after: float) -> float:
    """Return the fraction of the remaining weights whose pruning takes a total sparsity from one value to another.

    Equation    f = (after - before) / (1 - before)
    Shapes      takes numbers
    Convention  what a library that composes relative amounts must be told. Rounding adds up over the rounds; a mask computed
                from the total count does not drift
    Raises      ValueError if the sparsity would fall, or is no fraction
    Source      this package; torch.nn.utils.prune 2.13.0 composes in this way

    >>> fraction_of_remaining(0.5, 0.75)
    0.5
    """
    if not 0 <= before <= after <= 1:
        raise ValueError(f"sparsity from {before} to {after}; it can only rise, within 0 and 1")
    return 0.0 if before == after else (after - before) / (1 - before)


def _progress(step: int, begin: int, end: int, frequency: int, rule: ScheduleRule) -> Any:
    """x of (1): how much of the way is done, in the dtype of the rule."""
    number: Any = np.float32 if rule.precision == "float32" else float
    span = end - begin if rule.span == "to_end" else (end - begin - 1) // frequency * frequency
    if span <= 0:
        if rule.empty_span == "error":
            raise ValueError(f"begin is {begin} and end is {end}: there is no step between them; move the end")
        return number(math.nan if rule.empty_span == "nan" else 1)
    done = step - begin + (1 if rule.progress == "next_step" else 0)
    return number(min(max(number(done) / number(span), number(0)), number(1)))


def _refuse_impossible(
    begin: int, end: int, initial: float, final: float, frequency: int, power: float, rule: ScheduleRule
) -> None:
    if end < begin:
        raise ValueError(f"begin is {begin} and end is {end}; a schedule must not end before it begins")
    if not (0 <= initial <= 1 and 0 <= final <= 1):
        raise ValueError(f"initial is {initial} and final is {final}; a sparsity is a fraction from 0 to 1")
    if frequency < 1 or not power > 0:
        raise ValueError(f"frequency is {frequency} and power is {power}; both must be positive")
    if rule.falling == "error" and initial >= final:
        raise ValueError(f"initial is {initial} and final is {final}; this convention wants the sparsity to rise")
    if rule.final_one == "error" and 1 in (initial, final):
        raise ValueError(f"initial is {initial} and final is {final}; this convention refuses a sparsity of 1")
