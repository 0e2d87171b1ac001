"""The tokenizer of a merged checkpoint: base's own files, in a form that engines of several
generations read."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from veneer.foundation.files import read_json, write_json, write_text
from veneer.models.checkpoint.originals import PAPERS, PROCESSOR_FILES, TOKENIZER_FILES, Originals
from veneer.models.tokenizer import load_tokenizer
from veneer.models.tokenizer_pipeline import follows

# transformers 5: 4
NEW_CLASSES = {
    "TokenizersBackend": "PreTrainedTokenizerFast",
    "PythonBackend": "PreTrainedTokenizer",
}
OF_THIS_MACHINE = (
    "backend",
    "is_local",
    "local_files_only",
    "name_or_path",
    "tokenizer_file",
    "special_tokens_map_file",
)
PROBE = "How do I bake bread?\n\n  It's 3 o'clock: naïve café, 10% 中文"


def write_tokenizer(tokenizer: Any, originals: Originals, folder: Path) -> None:
    """Write the files of `tokenizer` into `folder`: base's originals where they exist and
    `tokenizer` is what they say, otherwise what the library saves; then what older engines need
    (see `for_older_engines`)."""
    if originals.tokenizer is not None:
        copied = _copy(originals.tokenizer, folder, TOKENIZER_FILES)
        for_older_engines(folder)
        if not (folder / "tokenizer.json").is_file() and hasattr(tokenizer, "backend_tokenizer"):
            # Base has a tokenizer.model alone; this is the form that most engines read.
            tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
        if _reads_back(folder, tokenizer):
            _for_plain_transformers(folder, tokenizer)
            return
        for path in {*copied, folder / "tokenizer.json"}:
            path.unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
    for_older_engines(folder)
    _for_plain_transformers(folder, tokenizer)


def copy_papers(originals: Originals, folder: Path) -> None:
    """The licence and its like of base, and the files of a multimodal model's processor."""
    if originals.model is not None:
        _copy(originals.model, folder, (*PAPERS, *PROCESSOR_FILES))


def for_older_engines(folder: Path) -> None:
    """tokenizer_config.json as transformers 4 reads it: a class that it has, extra tokens under
    their old name, nothing of the machine that saved it, and the chat template, which newer engines
    read from files of their own."""
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return
    config = read_json(path, "the config of a tokenizer")
    config["tokenizer_class"] = NEW_CLASSES.get(
        config.get("tokenizer_class"), config.get("tokenizer_class")
    )
    if config["tokenizer_class"] is None:
        del config["tokenizer_class"]
    # transformers 4 expects a mapping in extra_special_tokens
    if isinstance(config.get("extra_special_tokens"), list):
        config.setdefault("additional_special_tokens", config["extra_special_tokens"])
        del config["extra_special_tokens"]
    for key in OF_THIS_MACHINE:
        config.pop(key, None)
    if (written := _templates(folder)) is not None:
        config["chat_template"] = written
    write_json(path, config)


def write_chat_template(folder: Path, template: str | None) -> None:
    """Make `template` the only chat template of the tokenizer in `folder`, in both
    places from which engines read it; None: it has none. Named templates go, which a
    client may pick for tools."""
    shutil.rmtree(folder / "additional_chat_templates", ignore_errors=True)
    (folder / "chat_template.json").unlink(missing_ok=True)
    path, own = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    config = read_json(path, "the config of a tokenizer") if path.is_file() else {}
    config.pop("chat_template", None)
    if template is None:
        own.unlink(missing_ok=True)
    else:
        write_text(own, template)
        config["chat_template"] = template
    write_json(path, config)


def _templates(folder: Path) -> Any:
    """The chat template of the files beside tokenizer_config.json: a text, a list of named ones, or
    None without files."""
    main = folder / "chat_template.jinja"
    named = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    texts = {"default": main.read_text(encoding="utf-8")} if main.is_file() else {}
    texts |= {p.stem: p.read_text(encoding="utf-8") for p in named}
    if set(texts) == {"default"}:
        return texts["default"]
    return [{"name": name, "template": text} for name, text in texts.items()] or None


def _copy(source: Path, folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Copies of the files of these names; returns where they are."""
    out = []
    for path in sorted({p for pattern in patterns for p in source.glob(pattern) if p.is_file()}):
        target = folder / path.relative_to(source)
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, target)  # copies the target of a link into the hub's cache
        out.append(target)
    return out


def _for_plain_transformers(folder: Path, tokenizer: Any) -> None:
    """Name the class that follows tokenizer.json, where the class that is named cuts texts
    otherwise in transformers 5 (tokenizer_pipeline.py) and where this changes nothing else."""
    path = folder / "tokenizer_config.json"
    if not path.is_file() or not (folder / "tokenizer.json").is_file():
        return
    if follows(_plainly(folder), tokenizer):
        return
    config = read_json(path, "the config of a tokenizer")
    write_json(path, {**config, "tokenizer_class": NEW_CLASSES["TokenizersBackend"]})
    again = _plainly(folder)
    if not follows(again, tokenizer) or not _same(again, tokenizer):
        write_json(path, config)


def _plainly(folder: Path) -> Any:
    """The tokenizer that transformers gives; None where its class is the folder's own code."""
    with contextlib.suppress(Exception):
        return AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    return None


def _reads_back(folder: Path, tokenizer: Any) -> bool:
    """Whether the copied files give `tokenizer`; they do not where it was changed
    after it was loaded."""
    remote = type(tokenizer).__module__.startswith("transformers_modules")
    try:
        again = load_tokenizer(str(folder), trust_remote_code=remote)
    except Exception:  # files of a form that only another class reads
        return False
    return _same(again, tokenizer)


def _same(again: Any, tokenizer: Any) -> bool:
    same = ("chat_template", "special_tokens_map")
    return (
        again.get_vocab() == tokenizer.get_vocab()
        and again(PROBE, verbose=False)["input_ids"] == tokenizer(PROBE, verbose=False)["input_ids"]
        and all(getattr(again, k, None) == getattr(tokenizer, k, None) for k in same)
    )
