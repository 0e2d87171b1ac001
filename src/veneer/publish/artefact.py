"""What a folder is that may be published: a veneer, a capture, a merged checkpoint, an adapter or a
study, whole and finished."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json
from veneer.foundation.results import Results
from veneer.head.merge import results_of

RECORD = "run.json"
EXPECTED = (
    "expected the folder of a veneer, a capture, a merged checkpoint, an adapter or a study that "
    "Veneer wrote"
)
# a path of this machine, as JSON writes it
PATH = re.compile(r'"((?:/|~/|[A-Za-z]:\\\\)[^"\s]{2,})"')


@dataclass(frozen=True)
class Artefact:
    """kind: "veneer", "capture", "checkpoint", "adapter" or "study". files: name relative to the
    folder -> file. facts: what veneer.json, manifest.json or run.json records. record: run.json,
    where there is one. results: the figures beside it."""

    kind: str
    folder: Path
    files: dict[str, Path]
    facts: dict[str, Any]
    record: dict[str, Any] = field(default_factory=dict)
    results: Results | None = None

    @classmethod
    def of(cls, folder: str | Path) -> Artefact:
        """Read and check a folder. Raises InputError where it is none of ours, damaged, not
        finished, or holds links to files outside."""
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; {EXPECTED}")
        record = _json(folder / RECORD)
        kind = _kind(folder, record)
        if record and record.get("finished") is False:
            raise InputError(
                f"the run in {folder} is not finished; run its command again to resume, then push"
            )
        facts = _checked(kind, folder, record)
        results = results_of(folder)  # of a veneer in a study, the study's
        return cls(kind, folder, dict(_files(kind, folder)), facts, record, results)

    def own_paths(self) -> list[str]:
        """Paths of this machine that its records name."""
        paths: dict[str, None] = {}
        for name, file in self.files.items():
            if Path(name).name in (RECORD, "manifest.json", "veneer.json", "adapter_config.json"):
                for path in PATH.findall(file.read_text(encoding="utf-8", errors="replace")):
                    paths.setdefault(path)
        return list(paths)


def _json(file: Path) -> dict[str, Any]:
    with contextlib.suppress(InputError, json.JSONDecodeError):
        value = read_json(file, "a record") if file.is_file() else {}
        return value if isinstance(value, dict) else {}
    return {}


def _kind(folder: Path, record: dict[str, Any]) -> str:
    if (folder / "veneer.json").is_file():
        return "veneer"
    if _json(folder / "manifest.json").get("kind") == "capture":
        return "capture"
    if record.get("command") == "merge":
        if (folder / "adapter_config.json").is_file():
            return "adapter"
        if (folder / "config.json").is_file():
            return "checkpoint"
    if record and (folder / "results.jsonl").is_file():
        return "study"
    names = sorted(p.name for p in folder.iterdir())[:3]
    raise InputError(
        f"{folder} holds {', '.join(names) if names else 'nothing'}, and no record of Veneer; "
        f"{EXPECTED}"
    )


def _checked(kind: str, folder: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The facts of an artefact; its own reader checks it."""
    if kind == "veneer":
        from veneer.head.veneer import Veneer

        veneer = Veneer.load(folder)
        return {**_json(folder / "veneer.json"), "identity": veneer.identity()}
    if kind == "capture":
        from veneer.capture.artefact import Capture

        capture = Capture.open(folder)
        return {
            **capture.manifest,
            "tokens": capture.tokens,
            "prompts": len(capture.prompt_numbers),
            "tasks": sorted({str(row.get("task")) for row in capture.prompts}),
        }
    if kind in ("checkpoint", "adapter") and not any(folder.glob("*.safetensors")):
        raise InputError(f"{folder} holds no *.safetensors; merge it again")
    return record


def _files(kind: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file that belongs to the artefact: hidden files, locks and logs stay here, and so does
    the record of a merge, which names folders of this machine."""
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(segment.startswith(".") for segment in name.split("/")) or path.suffix == ".log":
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise InputError(
                f"{path} is a link to {path.resolve()}, outside of the folder; put a copy in its "
                "place, or delete it"
            )
        if path.is_file() and not (name == RECORD and kind in ("checkpoint", "adapter")):
            yield name, path
