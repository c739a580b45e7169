"""Learning rates as plain functions of the step: cosine, linear, warm-up-stable-decay, inverse root, restarts.

A step counts from 0 and all rates are positive before `steps`, so no step is wasted. They know no optimizer.

- Goyal et al. (2017), Accurate, Large Minibatch SGD, section 2.2: warm-up in a straight line.
- Loshchilov and Hutter (2017), SGDR, section 3: the cosine, and restarts.
- Vaswani et al. (2017), Attention Is All You Need, section 5.3: the inverse square root.
- Hägele et al. (2024), Scaling Laws and Compute-Optimal Training Beyond Fixed Training Durations: constant, then down.
"""

import math


def warmed_up(step: int, peak: float, warm_up: int) -> float:
    """Up in a straight line, then the peak for ever: peak / warm_up at step 0, the peak from step warm_up - 1 on."""
    return peak * min(1.0, (step + 1) / warm_up) if warm_up else peak


def warmup_cosine(step: int, peak: float, warm_up: int, steps: int, last: float = 0.0) -> float:
    """Up in a straight line, then down along half a cosine: the peak at step warm_up, `last` from step `steps` on."""
    if step < warm_up:
        return warmed_up(step, peak, warm_up)
    return _between(peak, last, (1 - math.cos(math.pi * _done(step, warm_up, steps))) / 2)


def warmup_linear(step: int, peak: float, warm_up: int, steps: int, last: float = 0.0) -> float:
    """Up in a straight line, then down in another: the peak at step warm_up, `last` from step `steps` on."""
    if step < warm_up:
        return warmed_up(step, peak, warm_up)
    return _between(peak, last, _done(step, warm_up, steps))


def warmup_stable_decay(step: int, peak: float, warm_up: int, decay: int, steps: int, last: float = 0.0) -> float:
    """Up, then the peak, then down in a straight line over the last `decay` steps; `last` from step `steps` on.

    Raises ValueError when warm-up and decay do not fit into the steps.
    """
    if warm_up + decay > steps:
        raise ValueError(f"{warm_up} steps of warm-up and {decay} of decay do not fit into {steps}: give fewer")
    if step < steps - decay:
        return warmed_up(step, peak, warm_up)
    return _between(peak, last, _done(step, steps - decay, steps))


def inverse_root(step: int, peak: float, warm_up: int) -> float:
    """Up in a straight line, then down as 1 / sqrt(step): it needs no last step. Raises ValueError without warm-up."""
    if warm_up < 1:
        raise ValueError("the inverse root has its peak where the warm-up ends: give at least one step of it")
    return peak * min((step + 1) / warm_up, math.sqrt(warm_up / (step + 1)))


def cosine_restarts(step: int, peak: float, cycle: int, last: float = 0.0) -> float:
    """Half a cosine, from the peak toward `last`, again and again: the peak at each multiple of `cycle`."""
    return warmup_cosine(step % cycle, peak, 0, cycle, last)


def _done(step: int, begin: int, end: int) -> float:
    # The share of a decay that is behind us, 0 to 1.
    return 1.0 if step >= end else (step - begin) / (end - begin)


def _between(peak: float, last: float, share: float) -> float:
    # Written so that both ends are exact.
    return peak * (1 - share) + last * share
