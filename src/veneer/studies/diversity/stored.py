"""Stored answers and judgements as the material of a diversity study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import json_lines, sha256_file, sha256_text
from veneer.imports import Rules, read_stored
from veneer.imports.joined import join_answers
from veneer.prompts.clusters import clusters_by_id
from veneer.prompts.prompt import Prompt
from veneer.studies.diversity.answers_table import (
    Judgements,
    Material,
    by_prompt,
    read_judgements,
)
from veneer.studies.diversity.judged import aspect, novelty, stance, topics


@dataclass
class StoredMaterial:
    """Stored answers, and what is recorded of their files.

    prompts: id -> prompt, where the files have them; the first file decides. notes: one sentence
    for each thing that the import left out. settings: files and their hashes. counts: system ->
    number of prompts that its file is about. ids: system -> id in its file -> id of the prompt
    here. limit: number of prompts that are read, or None for
    all.
    """

    limit: int | None = None
    material: Material = field(default_factory=lambda: Material("prompts", {}))
    prompts: dict[str, Prompt] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_answers(
        self,
        files: Mapping[str, Path],
        rules: Rules,
        prompts: Sequence[Prompt] = (),
        source: str = "",
    ) -> None:
        """files: name of a system -> file of its answers. prompts: those that were answered, read
        from `source`; without them the files' own count."""
        read = {n: read_stored(path, rules=rules, system=n) for n, path in files.items()}
        joined = join_answers(read, prompts, source)
        for prompt in (*prompts, *(p for i in read.values() for p in i.prompts)):
            self.prompts.setdefault(prompt.id, prompt)
        answered = dict.fromkeys(r.prompt_id for i in read.values() for r in i.responses)
        order = [p.id for p in prompts if p.id in answered] or list(answered)
        for name, imported in read.items():
            table = by_prompt(imported.responses)
            self.material.answers[name] = {
                id: table[id] for id in order[: self.limit] if id in table
            }
            self.ids[name] = imported.ids
            self.counts[name] = imported.facts.get(
                "prompts", len({r.prompt_id for r in imported.responses})
            )
            self.notes += imported.summary()
            path = files[name]
            self.settings[f"responses {name}"] = {"file": str(path), "sha256": sha256_file(path)}
        self.notes += joined
        if prompts:
            texts = json_lines([p.id, p.messages, p.cluster] for p in prompts)
            self.settings["prompts"] = {"source": source, "sha256": sha256_text(texts)}
        every = (id for table in self.material.answers.values() for id in table)
        self.material.clusters = clusters_by_id(every, self.prompts.values())

    def add_judgements(
        self,
        quality: Mapping[str, Path],
        stances: Mapping[str, Path],
        novelties: Mapping[tuple[str, str], Path],
        topic_files: Mapping[tuple[str, str], Path],
        filtering: str,
    ) -> None:
        """Judgements by system, or by (reference, alternative). filtering: the aspect of quality
        judgements that is read. Raises InputError for a file without verdicts."""
        material = self.material
        material.aspect = filtering
        for name, path in quality.items():
            material.quality[name] = self._read(path, aspect(filtering), name)
        for name, path in stances.items():
            material.stance[name] = self._read(path, stance, name)
        for (reference, name), path in novelties.items():
            material.novelty[reference, name] = self._read(path, novelty, name)
        for (reference, name), path in topic_files.items():
            material.topics[reference, name] = self._read(path, topics, name)

    def _read(self, path: Path, parse: Callable[[str], Any], name: str) -> Judgements[Any]:
        """The judgements of a system's answers."""
        judgements = read_judgements(path, parse, prompts=self.counts.get(name))
        self.settings[f"judgements {path}"] = sha256_file(path)
        here = self.ids.get(name, {})
        judgements.values = {here.get(p, p): row for p, row in judgements.values.items()}
        answers = self.material.answers
        if self.limit is not None and name in answers:
            judgements.values = {
                p: row for p, row in judgements.values.items() if p in answers[name]
            }
        return judgements


def named_files(words: Sequence[str], option: str) -> dict[str, Path]:
    """NAME=FILE words as a mapping. Raises InputError for another form, a name that is given
    twice, or a file that does not exist."""
    files: dict[str, Path] = {}
    for word in words:
        name, sign, path = word.partition("=")
        if not sign or not name or not path:
            raise InputError(f"found {option} {word}; expected NAME=FILE")
        if name in files:
            raise InputError(f"found {option} {name} twice; give each name once")
        if not Path(path).is_file():
            raise InputError(
                f"{path} ({option} {name}) "
                f"{'is a folder' if Path(path).is_dir() else 'does not exist'}; expected a file"
            )
        files[name] = Path(path)
    return files


def paired_files(words: Sequence[str], option: str) -> dict[tuple[str, str], Path]:
    """REFERENCE/ALTERNATIVE=FILE words as a mapping. Raises InputError as `named_files`."""
    files = {}
    for name, path in named_files(words, option).items():
        reference, sign, alternative = name.partition("/")
        if not (sign and reference and alternative):
            raise InputError(
                f"found {option} {name}=...; expected REFERENCE/ALTERNATIVE=FILE, such as "
                "aligned/base=FILE"
            )
        files[reference, alternative] = path
    return files
