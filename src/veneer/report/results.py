"""The results of a study with what lies beside them in its folder: tables and plots for a
notebook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from veneer.foundation import results
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.foundation.table import Kind, Table
from veneer.report.export.plots import Plots
from veneer.report.load import StudyFolder, load
from veneer.systems.responses import read_responses

SHIFT_COLUMNS: dict[str, Kind] = {
    **dict.fromkeys(("task", "base", "veneer", "aligned"), "text"),
    "count": "whole",
    "shift": "text",
    "restored": "truth",
    **dict.fromkeys(("group", "deep_group"), "text"),
}
RESPONSE_COLUMNS: dict[str, Kind] = {
    **dict.fromkeys(("task", "prompt_id"), "text"),
    "sample_id": "whole",
    **dict.fromkeys(("system", "text", "reasoning", "finish_reason"), "text"),
    **dict.fromkeys(("tokens", "seed"), "whole"),
}
TOKEN_COLUMNS: dict[str, Kind] = {
    **dict.fromkeys(("task", "prompt_id", "system"), "text"),
    "position": "whole",
    "token": "text",
}


class Results(results.Results):
    """An ordered table of measurements with unique keys, and the study folder that it came from.

    `to_pandas`, `to_polars` and `to_arrow` give the measurements; the same methods of
    `kl_by_position`, `token_shifts`, `responses` and `token_kl` give what these hold. `plot` has
    matplotlib figures. folder: None for results that lie in no folder, which have measurements
    alone.
    """

    def __init__(self, rows: Iterable[Measurement] = (), folder: Path | None = None):
        super().__init__(rows)
        self.folder = folder

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a study folder, or its results.jsonl. Raises InputError naming the line that is not
        a measurement."""
        read = super().read(path)
        read.folder = Path(path) if Path(path).is_dir() else Path(path).parent
        return read

    @property
    def plot(self) -> Plots:
        """Plots of the study: `portion()`, `positions()`, `shifts()`. Raises MissingExtra where
        matplotlib is not installed."""
        return Plots(self._study)

    def kl_by_position(self, task: str | None = None) -> Table:
        """KL from the aligned model by response position and system, in nats per token, with n
        prompts and a 95 % interval; the noise floor is the row of "aligned", without a position.
        task: only that task; "joint" is all together."""
        fields: dict[str, Any] = {"study": "position", "metric": "kl"}
        return self.table(**fields, **({} if task is None else {"task": task}))

    def token_shifts(self) -> Table:
        """The kinds of token shift with their counts, of the held-out prompts: base's token, the
        veneer's and the aligned model's (docs/token-shifts.md)."""
        return Table("shifts", SHIFT_COLUMNS, [asdict(s) for s in self._study.shifts])

    def responses(self) -> Table:
        """Every system's answers, one row each; `tokens` is the length of the answer."""
        files = sorted((self._in_folder("answers") / "responses").glob("*.jsonl"))
        rows = [
            {**asdict(answer), "tokens": len(answer.token_ids)}
            for file in files
            for answer in read_responses(file)
        ]
        return Table("responses", RESPONSE_COLUMNS, rows)

    def token_kl(self) -> Table:
        """One row per token of each answer that the report shows, with the class of its shift, and
        `kl_SYSTEM` for each system: KL of the yardstick's distribution (of the aligned model, or of
        an audit's reference) from the system's, in nats over the whole vocabulary."""
        answers = self._study.responses
        compared = dict.fromkeys(s for answer in answers for s in answer.kl)
        columns: dict[str, Kind] = {
            **TOKEN_COLUMNS,
            **dict.fromkeys((f"kl_{s}" for s in compared or ("base", "veneer")), "number"),
            **dict.fromkeys(("shift", "group"), "text"),
        }
        rows = [
            {
                **{name: getattr(answer, name) for name in ("task", "prompt_id", "system")},
                "position": i + 1,
                "token": token,
                **{f"kl_{s}": answer.kl[s][i] if s in answer.kl else None for s in compared},
                "shift": answer.shift[i],
                "group": answer.group[i],
            }
            for answer in answers
            for i, token in enumerate(answer.tokens)
        ]
        return Table("token_kl", columns, rows)

    @cached_property
    def _study(self) -> StudyFolder:
        if self.folder is None:
            return StudyFolder("results", tuple(self))
        return load(self.folder)

    def _in_folder(self, what: str) -> Path:
        if self.folder is None:
            raise InputError(
                f"these results lie in no study folder, which would hold the {what}; expected "
                "Results.read(FOLDER), or what a study gave"
            )
        return self.folder
