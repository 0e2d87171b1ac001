"""Programs of each view: written, decoded in a fresh process, and kept only if both agree."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import ScratchFolder, read_json, sha256_file, write_json
from veneer.foundation.system_id import SystemId
from veneer.head.veneer import Veneer
from veneer.models.computation import COMPUTATION, check_unchanged, computations
from veneer.models.formats import Format, TextFormat
from veneer.models.in_context import STOP, FencedFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt
from veneer.studies.complexity.names import program_system
from veneer.studies.complexity.program import files
from veneer.studies.complexity.program.decoders.adapter import linears
from veneer.studies.complexity.program.decoders.coder import fingerprint
from veneer.studies.complexity.program.encoder import write_program
from veneer.systems.system import System
from veneer.systems.tuning import sharing

LIST = "programs.json"
FENCED, BEFORE = "fenced", "before"  # where a text program's prompt stands


@dataclass(frozen=True)
class Program:
    """A program file of a study. view: head, text, lora, data, or a control's name. file: below
    `programs/`. published_bits: by the published formula. sha256: of what it is decoded to. facts:
    the settings that made it."""

    view: str
    label: str
    kind: str
    file: str
    published_bits: int
    sha256: str
    facts: Mapping[str, Any]

    @property
    def identity(self) -> SystemId:
        return program_system(self.view, self.label)

    @property
    def name(self) -> str:
        return self.identity.name


@dataclass(frozen=True)
class PrefixFormat:
    """A text in front of every prompt of another format."""

    prefix: str
    inner: TextFormat

    def text(self, prompt: Prompt) -> str:
        return self.prefix + self.inner.text(prompt)

    def encode_text(self, tokenizer: Any, text: str) -> list[int]:
        return self.inner.encode_text(tokenizer, text)

    def encode(self, tokenizer: Any, prompt: Prompt) -> list[int]:
        return self.encode_text(tokenizer, self.text(prompt))

    def facts(self) -> dict[str, Any]:
        return {"kind": "prefix", "prefix": self.prefix, "inner": self.inner.facts()}


@contextlib.contextmanager
def as_decoders_do() -> Iterator[None]:
    """One thread and deterministic algorithms, so that tables of probabilities are the same."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


class Workshop:
    """Writes and decodes the programs of one study folder."""

    def __init__(self, out: Path, base: LanguageModel):
        if base.device.type != "cpu" or base.head.weight.dtype != torch.float32:
            raise InputError(
                f"programs are coded by base in float32 on a CPU, found {base.head.weight.dtype} "
                f"on {base.device}; give --device cpu --dtype float32"
            )
        self.base, self.files = base, files.BaseFiles.of(base)
        self.fingerprint = fingerprint(base.model, self.files.model, self.files.tokenizer)
        self.programs, self.rebuilt = out / "programs", out / "rebuilt"

    def write(self, view: str, label: str, kind: str, payload: bytes, **more: Any) -> Program:
        """A program file, not yet decoded. more: published_bits and facts."""
        path = self.programs / f"{view}-{label}{files.SUFFIX}"
        write_program(path, kind, self.fingerprint, payload)
        return Program(view, label, kind, path.name, sha256="", **more)

    def folder(self, program: Program) -> Path:
        return self.rebuilt / Path(program.file).stem

    def bits(self, program: Program) -> int:
        return files.program_bits(self.programs / program.file)

    def decoded(self, programs: Sequence[Program]) -> list[Program]:
        """The programs with the digest of what a fresh process decodes them to."""
        files.decode_programs([self.programs / p.file for p in programs], self.files, self.rebuilt)
        return [replace(p, sha256=files.digest(p.kind, self.folder(p))) for p in programs]

    def again(self, program: Program) -> bool:
        """Whether another fresh process decodes a program to the same bytes."""
        with ScratchFolder("veneer-decode") as scratch:
            path = self.programs / program.file
            files.run_decoder(program.kind, [path], self.files, scratch)
            return files.digest(program.kind, scratch / path.stem) == program.sha256

    def drop(self, program: Program) -> None:
        """Remove a program that does not decode to what was encoded."""
        (self.programs / program.file).unlink(missing_ok=True)

    def system(self, program: Program, pair: Pair) -> System:
        """Base with what the program was decoded to."""
        folder, lm, form = self.folder(program), pair.base, pair.base_format
        if program.kind == "head":
            veneer = Veneer.load(folder)
            system = System.of_model(lm, veneer, format=form, name=program.name)
            return replace(system, stop_ids=pair.stop_ids)
        if program.kind == "text":
            prompt = (folder / files.RESULTS["text"]).read_bytes().decode()
            if program.facts["place"] == FENCED:
                fenced = FencedFormat(program.name, prompt)
                return System(program.name, lm, fenced, lm.stop_ids, stop=STOP)
            return System(program.name, lm, before(prompt, form), pair.stop_ids)
        return System(program.name, adapted(lm, folder), form, pair.stop_ids)


def before(prompt: str, form: Format) -> PrefixFormat:
    if not isinstance(form, TextFormat):
        raise InputError(
            "examples stand in front of a plain prompt, but base reads a chat template; leave text "
            "out of --programs, or --base-template chat"
        )
    return PrefixFormat(prompt, form)


def adapted(base: LanguageModel, folder: Path) -> LanguageModel:
    """Base with the change of each layer that an adapter folder holds."""
    tensors = load_file(folder / files.RESULTS["lora"])
    start, end = "base_model.model.", ".lora_A.weight"
    names = [k.removeprefix(start).removesuffix(end) for k in tensors if k.endswith(end)]
    pairs = {n: [tensors[f"{start}{n}.lora_{x}.weight"] for x in "AB"] for n in names}
    return with_factors(base, {name: (A, B) for name, (A, B) in pairs.items()})


def with_factors(
    base: LanguageModel, factors: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
) -> LanguageModel:
    """Base with B A added to each named layer; base's own weights are not changed."""
    twin = sharing(base.model)
    layers = linears(twin)
    for name, (A, B) in factors.items():
        weight = layers[name].weight
        layers[name].weight = torch.nn.Parameter(weight + (B @ A).detach(), requires_grad=False)
    return LanguageModel(base.name, twin, base.tokenizer)


def write_list(
    out: Path, programs: Sequence[Program], tried: Mapping[str, int], base: LanguageModel
) -> None:
    contents = {"tried": dict(tried), "programs": [asdict(p) for p in programs]}
    write_json(out / LIST, {**contents, COMPUTATION: computations({"base": base})})


def check_base(programs: Path, base: LanguageModel, mend: str | None = None) -> None:
    """Raise InputError where a study's folder of programs was made when base computed something
    else. Programs without the list of their study are not compared: they know base by its weights.
    mend: as in `check_unchanged`.
    """
    record = programs.parent / LIST
    if record.is_file():
        contents = read_json(record, "the programs of a study")
        before = contents.get(COMPUTATION) if isinstance(contents, dict) else None
        check_unchanged(programs, before, computations({"base": base}), mend)


def read_list(out: Path, workshop: Workshop) -> tuple[list[Program], dict[str, int]] | None:
    """The programs of an interrupted run, checked; None where it had not come so far."""
    if not (out / LIST).is_file():
        return None
    check_base(workshop.programs, workshop.base)
    contents = read_json(out / LIST, "the programs of a study")
    programs = [Program(**row) for row in contents["programs"]]
    for program in programs:
        result = workshop.folder(program) / files.RESULTS[program.kind]
        if not result.is_file() or sha256_file(result) != program.sha256:
            raise VeneerError(
                f"{result} is not what its program was decoded to; delete {out / LIST} and "
                f"{workshop.rebuilt}, and run the same command again"
            )
    return programs, contents["tried"]
