"""How fast a model decodes here, measured before a run begins: what a first estimate of the run's
time rests on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from veneer.foundation.errors import VeneerError
from veneer.foundation.memory import is_out_of_memory
from veneer.models.decode import Row, Sampling, decode_steps
from veneer.models.language_model import LanguageModel
from veneer.models.stepper import ModelStepper

READ = 64  # first tokens of a prompt, at most
STEPS = 8  # at most
SECONDS = 2.0  # after which no further step begins


def seconds_per_token(lm: LanguageModel, prompts: Sequence[Sequence[int]]) -> float | None:
    """Seconds for each token that the model decodes, with one row for each prompt.

    prompts: token ids, of which the first ones are read. The median of a few decoding steps; two
    do not count: one reads the prompts, the next packs the weights (models/step_weights.py). None
    where the model cannot decode them, which the run itself will say.
    """
    new = STEPS + 3  # no row ends while it is watched
    read = min(READ, (lm.longest or READ + new) - new)
    if read < 1:
        return None
    rows = [Row(Sampling(new))] * len(prompts)
    try:
        steps = decode_steps(ModelStepper(lm, [p[:read] for p in prompts]), rows, stop_ids=())
        next(steps), next(steps)
        seconds: list[float] = []
        while len(seconds) < STEPS and sum(seconds) < SECONDS:
            began = time.perf_counter()
            next(steps)
            seconds.append(time.perf_counter() - began)
    except (VeneerError, MemoryError, RuntimeError) as error:
        if isinstance(error, VeneerError) or is_out_of_memory(error):
            return None
        raise
    return statistics.median(seconds) / len(prompts)
