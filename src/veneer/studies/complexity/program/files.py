"""Program files: what a kind's decoder costs, and decoding in a fresh process in which Veneer
cannot be imported."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoModelForCausalLM

from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.files import sha256_file, write_folder
from veneer.models.auto_class import auto_class
from veneer.models.checkpoint.originals import Originals
from veneer.models.language_model import LanguageModel
from veneer.studies.complexity.program.decoders.coder import KINDS, MAGIC

DECODERS = Path(__file__).parent / "decoders"
SCRIPTS = {  # kind -> the files of its decoder; the last one is run
    "head": ("coder.py", "head.py"),
    "text": ("coder.py", "tokens.py", "text.py"),
    "data": ("coder.py", "tokens.py", "adapter.py", "data.py"),
    "lora": ("coder.py", "adapter.py", "lora.py"),
}
RESULTS = {  # kind -> the file that a program is decoded to, and is compared by
    "head": "veneer.safetensors",
    "text": "prompt.txt",
    "data": "adapter_model.safetensors",
    "lora": "adapter_model.safetensors",
}
SUFFIX = ".vnp"
# Only the decoder's folder and the installed libraries can be imported, Veneer not.
START = (
    "import runpy, sys; sys.modules['veneer'] = None; sys.argv = sys.argv[1:]; "
    "sys.path[0] = sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
)


def decoder_bits(kind: str) -> int:
    """8 times the size of the decoder's source, uncompressed."""
    return 8 * sum((DECODERS / name).stat().st_size for name in SCRIPTS[kind])


def program_bits(path: Path) -> int:
    return 8 * path.stat().st_size


def kind_of(path: Path) -> str:
    """The kind of a program file. Raises InputError where it is none, or is damaged: the decoder
    would say so too, after the seconds that its libraries take to start."""
    if not path.is_file():
        raise InputError(f"there is no file {path}; expected a program file (*{SUFFIX})")
    content = path.read_bytes()
    kinds = {number: kind for kind, number in KINDS.items()}
    if content[:4] != MAGIC or len(content) < 5 or content[4] not in kinds:
        raise InputError(
            f"{path} is no program file of version 2; expected one that this version of "
            "`veneer complexity` wrote"
        )
    if zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "big"):
        raise InputError(
            f"{path} is damaged: its checksum does not fit; copy it again, or make it again with "
            "`veneer complexity`"
        )
    return kinds[content[4]]


@dataclass(frozen=True)
class BaseFiles:
    """The folders that a decoder reads base's weights and tokenizer from."""

    model: Path
    tokenizer: Path

    @classmethod
    def of(cls, lm: LanguageModel) -> BaseFiles:
        """Raises InputError where base is no whole checkpoint in a folder, or not one of a causal
        language model, as which a decoder opens it."""
        if auto_class(lm.config) is not AutoModelForCausalLM:
            raise InputError(
                f"a program's decoder opens base as a causal language model, and {lm.name} is a "
                f"{type(lm.model).__name__}, which has other parts; give its text model as a "
                "checkpoint of its own"
            )
        files = Originals.of(lm)
        if not files.weights or files.model is None or files.tokenizer is None:
            raise InputError(
                f"a program is decoded from base's own files, and {lm.name} has none (an adapter, "
                "GGUF or quantised model); give a base that is a folder with *.safetensors"
            )
        return cls(files.model.resolve(), files.tokenizer.resolve())


def decode_programs(files: Sequence[Path], base: BaseFiles, out: Path) -> None:
    """Decode program files into OUT/STEM each. Files of one kind share one process, and a folder
    that exists is left as it is.

    Raises InputError where a file is damaged, no program, or belongs to another base.
    """
    by_kind: dict[str, list[Path]] = {}
    for file in files:
        if not (out / file.stem).exists():
            by_kind.setdefault(kind_of(file), []).append(file)
    for kind, own in by_kind.items():
        decode_kind(kind, own, base, out)


def decode_kind(kind: str, files: Sequence[Path], base: BaseFiles, out: Path) -> None:
    """The same for files of one kind, each folder whole or not at all."""

    def write(scratch: Path) -> None:
        run_decoder(kind, files, base, scratch)
        for file in files:
            # on one disk: whole folders appear
            (scratch / file.stem).replace(out / file.stem)

    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    scratch = out / f"decoded-{kind}"
    try:
        write_folder(scratch, write)
        scratch.rmdir()
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):  # not empty
                out.rmdir()
        raise


def run_decoder(
    kind: str,
    files: Sequence[Path],
    base: BaseFiles,
    out: Path,
    *,
    environment: Mapping[str, str] | None = None,
    scripts: Path = DECODERS,
) -> None:
    """Run a kind's decoder in a fresh process. environment: in place of this process's own."""
    script = scripts / SCRIPTS[kind][-1]
    words = [*map(str, files), "--base", str(base.model), "--tokenizer", str(base.tokenizer)]
    done = subprocess.run(
        [sys.executable, "-c", START, str(scripts), str(script), *words, "--out", str(out)],
        capture_output=True,
        text=True,
        env=None if environment is None else dict(environment),
        check=False,
    )
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode == 2:
        raise InputError(f"{last}; make it again with `veneer complexity`, or give its own base")
    if done.returncode:
        raise VeneerError(f"the decoder of the kind {kind} failed ({last[:300]})")


def digest(kind: str, folder: Path) -> str:
    """sha256 of the file that a program was decoded to."""
    return sha256_file(folder / RESULTS[kind])
