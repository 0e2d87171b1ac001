"""Stages of a long command: finished stages are skipped, and run.json records the seconds of
each."""

from __future__ import annotations

import contextlib
import json
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

from veneer.foundation.days import today
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, remove_leftovers, write_json
from veneer.foundation.invocation import noted_options
from veneer.foundation.stages import Stage

SHORT = 48  # characters of a setting in a sentence: no hash is that short
PACKAGES = ("veneer", "torch", "transformers", "safetensors", "numpy", "scipy")


class StageWatch(Protocol):
    """Hears of the stages of a run, such as a progress line (foundation/progress.py)."""

    def enter(self, stage: str) -> None: ...

    def leave(self) -> None: ...

    def revise(self, stage: Stage) -> None: ...

    def expect(self, pace: float) -> None: ...


class RunRecord:
    """run.json of a folder: the resolved configuration, the command's options (`--config` reads
    them), versions, hashes, seeds, seconds per stage, and whether the run is finished.

    fresh: refuse a folder that holds something but no record (a capture keeps that rule itself).
    clean: remove what killed writes left behind. watch: hears when a stage begins and ends.
    """

    def __init__(
        self,
        folder: Path,
        command: str,
        config: dict[str, Any],
        *,
        fresh: bool = True,
        clean: bool = True,
        watch: StageWatch | None = None,
    ):
        self.path, self.watch = folder / "run.json", watch
        config = json.loads(json.dumps(config))  # as it is read back
        self.contents: dict[str, Any] = {
            "command": command,
            "config": config,
            "options": noted_options(),
            "finished": False,
            "versions": {name: version(name) for name in PACKAGES},
            "machine": {
                "python": platform.python_version(),
                "system": platform.system(),
                "processor": platform.machine(),
                "threads": torch.get_num_threads(),
            },
            "seconds": {},
            "day": today(),
        }
        if self.path.is_file():
            before = read_json(self.path, "the record of a run")
            if (
                not isinstance(before, dict)
                or before.get("command") != command
                or before.get("config") != config
            ):
                raise InputError(
                    f"{folder} holds {_other(before, command, config)}; give another --out, or "
                    "delete the folder"
                )
            self.contents = before
            if clean:
                remove_leftovers(folder)
        elif folder.is_dir():
            if clean:
                remove_leftovers(folder, ["run.json"])
            if fresh and any(p for p in folder.iterdir() if not p.name.startswith(".lock")):
                raise InputError(
                    f"{folder} is not empty and holds no run of this command; give a new or an "
                    "empty folder"
                )

    @property
    def day(self) -> str:
        """The date of the first run, which chat templates write that ask for today's."""
        return str(self.contents.get("day") or today())

    @property
    def threads(self) -> Any:
        """The number of threads of the first run."""
        machine = self.contents.get("machine")
        return machine.get("threads") if isinstance(machine, dict) else None

    @property
    def finished(self) -> bool:
        return bool(self.contents.get("finished"))

    def note(self, **facts: Any) -> None:
        self.contents.update(facts)
        write_json(self.path, self.contents)

    @contextlib.contextmanager
    def stage(self, name: str, within: str = "") -> Iterator[None]:
        """Add the seconds of a stage, also where it is cut: time spent on it in all. The record
        stands before the first stage writes anything, so that a killed run recognises its folder;
        bad input leaves none. within: tells the plan's stages apart that are recorded as one."""
        started = time.perf_counter()
        bad, new = False, not self.path.exists()
        if new:
            write_json(self.path, self.contents)
        if self.watch:
            self.watch.enter(f"{name} {within}" if within else name)
        try:
            yield
        except InputError:
            bad = True
            if new:
                self.path.unlink(missing_ok=True)
            raise
        finally:
            if self.watch:
                self.watch.leave()
            spent = self.contents["seconds"].get(name, 0.0) + time.perf_counter() - started
            self.contents["seconds"][name] = round(spent, 2)
            with contextlib.suppress(OSError):
                if not bad:
                    write_json(self.path, self.contents)

    def finish(self, **facts: Any) -> None:
        """Note that the run is finished, with last facts on it."""
        self.note(**facts, finished=True)


def _other(before: Any, command: str, config: dict[str, Any]) -> str:
    """What a folder's record says of another run, and what this one would be."""
    before = before if isinstance(before, dict) else {}
    name = before.get("command")
    if not isinstance(name, str):
        return "a run.json that names no command"
    if name != command:
        return f"a run of {name!r}, not of {command!r}"
    changes = "; ".join(_changes(before.get("config"), config)) or "fewer settings here"
    return f"a run with another configuration ({changes})"


def _changes(before: Any, now: dict[str, Any]) -> Iterator[str]:
    """Each setting that differs, with both values where they are short; the fields of a settings
    object one by one."""
    before = before if isinstance(before, dict) else {}
    for name, value in now.items():
        old = before.get(name)
        if old == value and name in before:
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            yield from _changes(old, value)
            continue
        texts = [_short(v) for v in (old, value)]
        known = all(texts) and texts[0] != texts[1]
        yield f"{name}: {texts[0]} there, {texts[1]} here" if known else f"{name} differs"


def _short(value: Any) -> str:
    """A value in a few characters; "" for one that needs more."""
    if isinstance(value, dict):
        return ""
    items = value if isinstance(value, list) else [value]
    text = ",".join("none" if v is None else str(v) for v in items) or "none"
    return text if len(text) <= SHORT else ""
