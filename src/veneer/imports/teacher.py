"""Stored answers as the teacher of a capture: match answers to prompts, and check whether their
token ids can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veneer.capture.teachers.stored import StoredAnswer, StoredTeacher
from veneer.capture.thoughts import DROPPED
from veneer.endpoint.finish import Ending, ending_of
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, sha256_file
from veneer.imports.imported import AS_STORED
from veneer.imports.registry import guess, read_stored
from veneer.models.decode import response_text
from veneer.models.language_model import LanguageModel
from veneer.prompts.numbers import check_numbers
from veneer.prompts.prompt import Prompt
from veneer.systems.responses import Response, read_responses

NO_PROMPT = "answers to prompts that are not among the prompts"
NO_ANSWER = "prompts without an answer"
EMPTY = "prompts whose answer is empty"
UNFINISHED = "prompts whose answer was cut within its reasoning"
REASONING = "answers whose reasoning is left out"
FURTHER = "further answers to a prompt: the first one is taken"
LEFT_OUT = "answers left out"
RETOKENISED = "answers tokenised from their text"


@dataclass(frozen=True)
class ImportedTeacher:
    """A teacher read from a file. prompts: those of the given prompts, in their order, that have an
    answer. noticed: sentence -> how many answers or prompts it concerns."""

    teacher: StoredTeacher
    prompts: list[Prompt]
    noticed: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        """Return what was noticed as lines for people."""
        return [f"{n:,} {what}" for what, n in self.noticed.items() if n]


def read_teacher(
    path: str | Path,
    base: LanguageModel,
    prompts: Sequence[Prompt],
    *,
    format: str = "auto",
    answers_only: bool = False,
) -> ImportedTeacher:
    """Return the answers in a file (what `veneer generate` writes, or any format of
    `imports.registry`) to `prompts`, as a teacher.

    Token ids are used unchanged where the file's manifest says that they are of base's
    vocabulary and they spell the stored text; otherwise base's tokenizer reads the text. An answer
    belongs to the prompt with its text where the file stores that, otherwise to the one of its task
    and id, or of its id alone. The first of several samples is used. Reasoning is a part of the
    answer's token ids, and stays where these are used; answers_only reads the text of every
    answer, without its reasoning. Raises InputError where the file is damaged, holds answers of
    several systems, or answers none of the prompts.
    """
    path = Path(path)
    facts = _manifest(path)
    own_ids = format in ("auto", "jsonl") and facts.get("vocabulary") == base.vocabulary_hash()
    noticed: Counter[str] = Counter()
    rows, stored = _read_rows(path, None if own_ids else format, noticed)
    systems = _one_system(path, rows)
    ends = tuple(facts.get("system", {}).get("stop_ids", ())) if own_ids else ()
    chosen = _matched(path, rows, prompts, stored, noticed)
    answers: dict[tuple[str, str], StoredAnswer] = {}
    for key, row in chosen.items():
        answer = _answer(
            row, base, ends, own_ids and not (answers_only and row.reasoning is not None)
        )
        noticed[RETOKENISED] += answer.token_ids is None
        if answer.token_ids is None and not answer.text.strip():
            noticed[UNFINISHED if row.unfinished else EMPTY] += 1
        else:
            noticed[REASONING] += row.reasoning is not None and answer.token_ids is None
            answers[key] = answer
    kept = [p for p in prompts if (p.task, p.id) in answers]
    noticed[NO_ANSWER] += len(prompts) - len(chosen)
    if not kept:
        empty = noticed[EMPTY] + noticed[UNFINISHED]
        left_out = "".join(f", {n} {why}" for why, n in noticed.items() if LEFT_OUT in why)
        raise InputError(
            f"{path} answers none of the prompts ({len(prompts)} prompts, {len(rows)} answers, "
            f"{empty} of them empty{left_out}); give the prompts that were answered, with the "
            "same ids"
        )
    dropped = (
        {"reasoning": {"part": DROPPED, "responses": noticed[REASONING]}}
        if noticed[REASONING]
        else {}
    )
    teacher_facts = {
        **dropped,
        "file_sha256": sha256_file(path),
        "answers": len(answers),
        "noticed": {k: n for k, n in noticed.items() if n},
    }
    return ImportedTeacher(
        StoredTeacher(base, answers, systems[0], ends, teacher_facts), kept, noticed
    )


def check_answers(path: str | Path, prompts: Sequence[Prompt], *, format: str = "auto") -> None:
    """Raise InputError for a file that `read_teacher` refuses whatever base is: damaged, with
    answers of several systems, or with answers to none of the prompts."""
    path = Path(path)
    own = format in ("auto", "jsonl") and bool(_manifest(path))
    rows, stored = _read_rows(path, None if own else format, Counter())
    _one_system(path, rows)
    if not _matched(path, rows, prompts, stored, Counter()):
        raise InputError(
            f"{path} answers none of the prompts ({len(prompts)} prompts, {len(rows)} answers); "
            "give the prompts that were answered, with the same ids"
        )


def _read_rows(
    path: Path, format: str | None, noticed: Counter[str]
) -> tuple[Sequence[Response], dict[str, Prompt]]:
    """(answers of a file, the prompts that it stores by id). format: None for what `veneer
    generate` writes with base's token ids. noticed: gets the answers left out."""
    if format is None:
        return read_responses(path), {}
    imported = read_stored(path, guess(path) if format == "auto" else format, AS_STORED)
    noticed.update({f"{LEFT_OUT} ({why})": n for why, n in imported.dropped.items()})
    return imported.responses, {p.id: p for p in imported.prompts}


def _one_system(path: Path, rows: Sequence[Response]) -> list[str]:
    """The systems of the answers. Raises InputError for more than one."""
    systems = sorted({r.system for r in rows})
    if len(systems) > 1:
        raise InputError(
            f"{path} holds answers of {len(systems)} systems ({', '.join(systems[:4])}); give a "
            "file with those of one"
        )
    return systems


def _manifest(path: Path) -> dict[str, Any]:
    """Return the manifest that `respond` writes beside its answers, or an empty one."""
    beside = path.with_name(path.name + ".manifest.json")
    manifest = read_json(beside, "the settings of a file of responses") if beside.is_file() else {}
    return manifest if isinstance(manifest, dict) and manifest.get("kind") == "responses" else {}


def _matched(
    path: Path,
    rows: Sequence[Response],
    prompts: Sequence[Prompt],
    stored: Mapping[str, Prompt],
    noticed: Counter[str],
) -> dict[tuple[str, str], Response]:
    """(task, id) of each prompt that has one -> its answer with the lowest sample number."""
    by_key = {(p.task, p.id): p for p in prompts}
    by_id: dict[str, list[Prompt]] = {}
    by_text = _by_text(prompts)
    for p in prompts:
        by_id.setdefault(p.id, []).append(p)
    chosen: dict[tuple[str, str], Response] = {}
    check_numbers({r.prompt_id for r in rows} - stored.keys(), [p.id for p in prompts], path)
    for row in rows:
        if row.prompt_id in stored:
            own = by_text.get(_key(stored[row.prompt_id].messages), [])
        elif (row.task, row.prompt_id) in by_key:
            own = [by_key[row.task, row.prompt_id]]
        else:
            own = by_id.get(row.prompt_id, [])
            own = own if len(own) == 1 else []
        noticed[NO_PROMPT] += not own
        for p in own:
            before = chosen.get((p.task, p.id))
            noticed[FURTHER] += before is not None
            if before is None or row.sample_id < before.sample_id:
                chosen[p.task, p.id] = row
    return chosen


def _by_text(prompts: Sequence[Prompt]) -> dict[Any, list[Prompt]]:
    """Return what a file may store of a prompt -> the prompts that it belongs to: all turns, or the
    text of the only one, or base's text. The last turn alone will do where no other prompt ends
    with it."""
    whole: dict[Any, list[Prompt]] = {}
    last: dict[Any, list[Prompt]] = {}
    for p in prompts:
        for key in {_key(p.messages), p.plain}:
            whole.setdefault(key, []).append(p)
        if len(p.messages) > 1:
            last.setdefault(p.messages[-1]["content"], []).append(p)
    return {**{k: responses for k, responses in last.items() if len(responses) == 1}, **whole}


def _key(turns: Sequence[Mapping[str, str]]) -> Any:
    """Key for matching: the text of a single user turn, otherwise all roles and texts."""
    if len(turns) == 1 and turns[0]["role"] == "user":
        return turns[0]["content"]
    return tuple((t["role"], t["content"]) for t in turns)


def _answer(row: Response, base: LanguageModel, ends: Sequence[int], own_ids: bool) -> StoredAnswer:
    # many files do not say how their answers ended
    ended = ending_of(row.finish_reason) in (Ending.FINISHED, Ending.UNKNOWN)
    if own_ids and row.token_ids and 0 <= min(row.token_ids) <= max(row.token_ids) < base.head.rows:
        spelt = response_text(base, row.token_ids, {*base.stop_ids, *ends})
        # otherwise it was cut at a stop string, and the ids say more than the answer
        if spelt == row.text:
            return StoredAnswer(row.text, row.token_ids, ended)
    return StoredAnswer(row.text, None, ended)
