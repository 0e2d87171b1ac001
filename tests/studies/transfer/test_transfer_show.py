"""The table that `veneer transfer` prints: with n, and without columns that nothing fills."""

from __future__ import annotations

import pytest

from veneer.foundation.results import Measurement, Results
from veneer.studies.transfer.show import show


def rows(*, with_aligned: bool) -> Results:
    measurements = [
        Measurement("measure", "lab-requests", metric, system, value, 10, 0.0, 1.0, split="test")
        for system, value in (("base", 0.0), ("shifted-1", 0.9))
        for metric, value in (("refusal_rate", value), ("empty_rate", 0.0))
    ]
    measurements.append(
        Measurement(
            "transfer", "joint", "time_ratio", "shifted-1", 1.4, 5, 1.1, 1.9, split="timing"
        )
    )
    if with_aligned:
        measurements += [
            Measurement("transfer", "joint", "kl", "base", 2.0, 10, 1.0, 3.0, split="report"),
            Measurement(
                *("measure", "lab-requests", "portion", "shifted-1", 0.9, 10, 0.5, 1.1),
                of="refusal_rate",
                split="test",
            ),
        ]
    return Results(measurements)


@pytest.mark.parametrize("with_aligned", [True, False])
def test_columns_that_nothing_fills_are_left_out(with_aligned, capsys):
    """Without a large aligned model there is no KL and no portion."""
    show(rows(with_aligned=with_aligned), "shifted-1")
    output = capsys.readouterr().out
    assert "n = 10" in output and "time" in output and "memory" not in output
    assert ("KL" in output) is with_aligned and ("the portion" in output) is with_aligned
    assert ("(0.90)" in output) is with_aligned
    assert ("nats per token, n = 10" in output) is with_aligned
    assert "ratio to base, runs = 5" in output
