"""How an extraction begins: its parametrisation, its ridge, and a start from a part of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from veneer.head.config import ExtractConfig
from veneer.head.constant import Constant
from veneer.head.events import Log
from veneer.head.objective import Objective
from veneer.head.parametrisation import Dense, Full, Hidden
from veneer.head.solve import Solution, solve
from veneer.head.token_sources import TokenSource
from veneer.models.head import Head

COARSE_TOKENS = 4000  # with more train tokens than that, the ridge is chosen on a part of them


@dataclass(frozen=True)
class TrainTokens:
    """The train prompts of an extraction. head: base's, as the objective uses it. count: about how
    many tokens the prompts' responses have."""

    source: TokenSource
    prompts: Sequence[int]
    rows: Tensor
    head: Head
    count: float

    def objective(self, every: int = 1) -> Objective:
        """The objective over every n-th prompt."""
        sums = self.source.token_sums(self.prompts[::every], self.rows)
        return Objective(sums, self.head, self.rows)


def full_parametrisation(objective: Objective, config: ExtractConfig) -> Full:
    """The parametrisation of `config.output`, before any low rank."""
    if config.output == "bias":
        return Constant.of(objective)
    return Hidden.of(objective) if config.output == "hidden" else Dense.of(objective)


def ridge_centre(objective: Objective, config: ExtractConfig) -> Tensor | None:
    """The change (R, d) to which the ridge pulls; None for no change."""
    return -objective.W if config.direct else None


def choose_ridge(
    tokens: TrainTokens, select: Objective, config: ExtractConfig, log: Log
) -> tuple[Objective, float, Tensor | None]:
    """The objective over all train tokens, its ridge, and the change from which to start (None: no
    change).

    The ridge is chosen among `config.ridges` by the select part, on a part of the train tokens. The
    prior's precision is what carries over from the part to the whole, so the ridge is scaled with
    the number of tokens.
    """
    every = 1 if tokens.count <= COARSE_TOKENS else round(tokens.count / COARSE_TOKENS)
    strengths = sorted(config.ridges if config.ridge is None else (config.ridge,), reverse=True)
    if config.stop == "optimum" or (every == 1 and len(strengths) == 1):
        train = tokens.objective()
        strength = sorted(strengths)[len(strengths) // 2]
        return train, _unit_ridge(train, config) * strength, None
    coarse = tokens.objective(every)
    full = full_parametrisation(coarse, config)
    # Without the soft cap the problem is convex, and a pass builds no targets.
    train, on_select = (o.uncapped() if o.capped else o for o in (coarse, select))
    best: tuple[Solution, float] | None = None
    for strength in strengths:
        solution = solve(
            train,
            on_select,
            full,
            best[0].x if best else full.start(None, direct=config.direct),
            ridge=_unit_ridge(coarse, config) * strength,
            max_evaluations=15,
            patience=2,
            centre=ridge_centre(coarse, config),
            log=log,
            stage="ridge",
            strength=strength,
        )
        if best is not None and not solution.select_kl < best[0].select_kl:
            break
        best = (solution, strength)
    assert best is not None
    whole = tokens.objective() if every > 1 else coarse
    return whole, _unit_ridge(whole, config) * best[1], full.to_change(best[0].x)


def _unit_ridge(objective: Objective, config: ExtractConfig) -> float:
    """Ridge in the objective for a strength of 1: the mean square of what the change multiplies (a
    hidden state's entries, or the 1 beside a constant), divided by the number of tokens."""
    if config.output == "bias":
        return 1 / objective.n
    return float(objective.covariance.diagonal().mean()) / objective.n
