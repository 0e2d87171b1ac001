"""MMLU: multiple choice in 57 subjects, without examples (Hendrycks et al. 2021, arXiv 2009.03300;
MIT). Measured only."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from veneer.foundation.errors import InputError
from veneer.foundation.files import sha256_file
from veneer.foundation.reading.content import check_regular
from veneer.prompts.prompt import Prompt
from veneer.tasks.data import Origin
from veneer.tasks.tables import in_turn, line_feeds
from veneer.tasks.task import Better, Split, Task, check_split

LETTERS = "ABCD"
HEAD = "The following are multiple choice questions (with answers) about {subject}.\n\n"
LAYOUTS = (
    "mmlu/test/SUBJECT_test.csv (the original archive) or mmlu/CONFIG/test-*.parquet (cais/mmlu "
    "from the hub: hf download cais/mmlu --repo-type dataset --revision COMMIT "
    "--local-dir DATA/mmlu)"
)
SOUND = "ok"  # the error_type of MMLU-Redux's sound questions
Row = tuple[str, str, list[str], int]  # subject, question, choices, index of the right one
Marked = tuple[str, str]  # subject, error_type: a question that MMLU-Redux found to be wrong


@dataclass(frozen=True)
class Mmlu(Task):
    """The subjects take turns. reference: {"choices"}, the letters as continuations, {"answer"}, an
    index, and {"group"}, the subject.

    MMLU-Redux (Gema et al. 2024, arXiv 2406.04127) marks its questions in `error_type`: the sound
    ones alone are prompts, as in lm-eval's task, and `source` counts the others.

    The data is read from the data folder alone: no commit of the hub's files is pinned, so
    none is downloaded.
    """

    data: Path | None = None
    name = "mmlu"
    kind: Literal["generate", "choice"] = "choice"
    origin = Origin("hendrycks/test", {})
    licence = "MIT"
    citation = "Hendrycks et al. 2021, arXiv 2009.03300"
    headlines: ClassVar[Mapping[str, Better]] = {"accuracy": "up"}
    judges = ()
    scoring = "accuracy: the letter of the right choice has the highest log-likelihood"
    max_new_tokens = 1
    published_max_new_tokens = 1

    def prompts(self, split: Split) -> list[Prompt]:
        check_split(split)
        if split == "train":
            return []
        sound = [(n, row) for n, row in _numbered(self._rows()) if len(row) == 4]
        if not sound:
            raise InputError(
                f"{self._found()[0].parent} holds no question whose error_type is {SOUND}; "
                "expected the whole of MMLU-Redux"
            )
        return [self._prompt(number, row) for number, row in in_turn(sound, lambda n: n[1][0])]

    def _rows(self) -> list[Row | Marked]:
        return [
            row
            for path in self._found()
            for row in (_csv if path.suffix == ".csv" else _parquet)(path)
        ]

    def group(self, prompt: Prompt) -> str | None:
        return prompt.reference["group"]

    def source(self) -> dict[str, Any]:
        wrong = Counter(row[1] for row in self._rows() if len(row) == 2)
        return {
            "from": self.origin.repository,
            "files": [{"file": str(p), "sha256": sha256_file(p)} for p in self._found()],
            "left_out": {
                "prompts": wrong.total(),
                "why": f"error_type is not {SOUND}",
                "error_types": dict(sorted(wrong.items())),
            }
            if wrong
            else None,
        }

    def in_folder(self) -> bool:
        return bool(self._files())

    def available(self) -> bool:
        return self.in_folder()

    def _found(self) -> list[Path]:
        if not (files := self._files()):
            where = (
                "no data folder is given"
                if self.data is None
                else f"{self.data} holds no test part of MMLU"
            )
            raise InputError(
                f"{where}; give --data or set VENEER_DATA to a folder that holds {LAYOUTS}"
            )
        return files

    def _files(self) -> list[Path]:
        """Return the original archive's tables, otherwise the hub's; of those, the config "all"
        where it is there."""
        if self.data is None:
            return []
        folder = self.data / "mmlu"
        return (
            sorted((folder / "test").glob("*_test.csv"))
            or sorted((folder / "all").glob("test-*.parquet"))
            or sorted(
                p for p in folder.glob("*/test-*.parquet") if p.parent.name != "auxiliary_train"
            )
        )

    def _prompt(self, number: int, row: Row) -> Prompt:
        subject, question, choices, answer = row
        lines = [
            question.strip(),
            *(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True)),
            "Answer:",
        ]
        text = HEAD.format(subject=subject.replace("_", " ")) + "\n".join(lines)
        return Prompt.from_text(
            f"mmlu-{subject}-{number}",
            text,
            task=self.name,
            choices=[f" {a}" for a in LETTERS],
            answer=answer,
            group=subject,
        )


def _numbered(rows: list[Row | Marked]) -> list[tuple[int, Row | Marked]]:
    """Return each row with its number within its subject."""
    count: dict[str, int] = {}
    out: list[tuple[int, Row | Marked]] = []
    for row in rows:
        count[row[0]] = count.get(row[0], -1) + 1
        out.append((count[row[0]], row))
    return out


def _csv(path: Path) -> Iterator[Row]:
    """Return the rows of a table without a header: question, four choices, the letter of the right
    one."""
    subject = path.name.removesuffix("_test.csv")
    check_regular(path, "a table of MMLU's questions")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, fields in enumerate(csv.reader(stream), 1):
                row = [line_feeds(field) for field in fields]
                if len(row) != 6 or row[5] not in tuple(LETTERS):
                    raise _broken(path, number, "a question, four choices and one of A, B, C, D")
                yield subject, row[0], row[1:5], LETTERS.index(row[5])
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read ({error}); expected MMLU's table; get the file again"
        ) from None


def _parquet(path: Path) -> Iterator[Row | Marked]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition(". ")[0]
        raise InputError(
            f"{path} cannot be read as Parquet ({reason}); expected MMLU's table; get the file "
            "again"
        ) from None
    for number, row in enumerate(rows, 1):
        subject, question, choices, answer, mark = (
            row.get(k) for k in ("subject", "question", "choices", "answer", "error_type")
        )
        subject = subject or path.parent.name
        if "error_type" in row and not (isinstance(mark, str) and mark.strip()):
            raise _broken(path, number, f"an error_type, {SOUND} for a sound question")
        if mark is not None and mark != SOUND:
            yield subject, mark
            continue
        texts = (
            isinstance(choices, list)
            and len(choices) == 4
            and all(isinstance(c, str) for c in choices)
        )
        if not (isinstance(question, str) and texts and _index(answer)):
            raise _broken(path, number, "question, four choices and an answer from 0 to 3")
        yield subject, question, choices, int(answer)


def _index(answer: Any) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool) and answer in range(4)


def _broken(path: Path, number: int, expected: str) -> InputError:
    return InputError(
        f"{path} row {number} is no question of MMLU; expected {expected}; get the file again"
    )
