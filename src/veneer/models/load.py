"""Names to models: a hub id, a folder, an adapter folder (`ADAPTER` or `ADAPTER@BASE`), a GGUF
file, an address on the hub (hf://OWNER/NAME), or `lab:NAME`."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, GenerationConfig

from veneer.foundation.dry_run import is_dry_run, note_model
from veneer.foundation.errors import InputError, MissingExtra, VeneerError, first_sentence
from veneer.foundation.files import ScratchFolder
from veneer.hub import is_hub, local_place
from veneer.models import packed_integers
from veneer.models.adapters import check_kind, merged, resize_to
from veneer.models.auto_class import auto_class, check_causal
from veneer.models.device import resolve_device, resolve_dtype
from veneer.models.gguf.config import GGUFFile, check_biases_read, whole_config
from veneer.models.gguf.cuts import cut_as_llama_cpp
from veneer.models.language_model import LanguageModel, check_model
from veneer.models.load_errors import FOREIGN_CODE, needs_code, why_not_loaded
from veneer.models.places import check_place
from veneer.models.quantised import plain_words, settle, stored
from veneer.models.split import DeviceSplit, quiet, room_on_disk
from veneer.models.tokenizer import load_tokenizer
from veneer.models.unread import check_all_read
from veneer.models.unweighted import opening, packed_words, unweighted, without_weights
from veneer.models.vetting import vet_adapter, vet_files, vet_folder


def load_model(
    name: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    plain: bool = False,
) -> LanguageModel:
    """Load a causal language model by name. Only safetensors (or GGUF) are read, never pickles.

    plain: make plain numbers of quantised weights (quantised.py), as a merged checkpoint needs; on
    a CPU that is always done.

    In a dry run (foundation/dry_run.py), files, config and tokenizer are checked, and the model has
    no weights. Raises InputError where the name leads nowhere, or to something that is not a causal
    language model.
    """
    if not isinstance(name, str | Path):
        check_model(name)  # says how a model in memory is given
        raise InputError(
            f"found {type(name).__name__} in the place of a model's name; expected a hub id, a "
            "folder, a .gguf file, or lab:base and its kin"
        )
    name = str(name)
    if not name:
        raise InputError(
            "the name of a model is empty; expected a hub id, a folder, a .gguf file, or "
            "lab:base and its kin"
        )
    try:
        Path(name).exists()
    except (OSError, ValueError) as error:
        raise InputError(
            f"{name[:80]!r} cannot be read ({first_sentence(error)}); expected the name of a model "
            "or of its folder"
        ) from None
    given, name = name, str(local_place(name, revision=revision)) if is_hub(name) else name
    where, split = resolve_device(device), DeviceSplit.parse(device)
    words = {
        "dtype": resolve_dtype(dtype, where),
        "revision": revision,
        "trust_remote_code": trust_remote_code,
        "split": split,
    }
    words["plain"] = plain or where.type == "cpu"
    adapter, at, named_base = name.partition("@")
    if at and (Path(adapter) / "adapter_config.json").is_file():
        model, tokenizer = _adapter(Path(adapter), named_base, words)
    elif (Path(name) / "adapter_config.json").is_file():
        model, tokenizer = _adapter(Path(name), None, words)
    else:
        model, tokenizer = _whole(name, words)
    if is_dry_run():
        note_model(given, model)
        return LanguageModel(given, model, tokenizer)
    return LanguageModel(given, model if split else model.to(where), tokenizer)


def may_be_on_hub(name: str) -> bool:
    """Whether files of a model may come from the hub: those of an adapter's base, too."""
    if is_hub(name):
        return True
    places = [Path(part) for part in name.split("@") if part and not part.startswith("lab:")]
    return any(not p.exists() or (p / "adapter_config.json").is_file() for p in places)


def _whole(name: str, words: dict[str, Any]) -> tuple[Any, Any]:
    """A complete model (no adapter)."""
    if name.startswith("lab:"):
        from veneer.lab import lab_folder

        folder, tokenizer_folder = lab_folder(name)
        return _from_pretrained(name, str(folder), str(tokenizer_folder), words)
    check_place(name)
    path = Path(name)
    if path.suffix == ".gguf":
        return _gguf(path, words)
    if path.is_dir():
        _vet(name, path)
    else:
        config = _check_hub(name, words["revision"])
        if config is not None:
            _vet(name, config.parent)
    return _from_pretrained(name, name, name, words)


def _vet(name: str, folder: Path) -> None:
    """Raise InputError where files of a model's folder are hostile or damaged."""
    try:
        if folder.parent.name != "snapshots":  # the hub's cache, which may be incomplete
            vet_folder(folder)
        vet_files(folder, folder, _on_no_device)
    except InputError as error:
        raise InputError(f"{name} cannot be loaded: {error}") from None


def _check_hub(name: str, revision: str | None) -> Path | None:
    """Where the hub's config.json lies; None where it has none.

    One file is requested before the library requests ten: a hub that fails would otherwise be tried
    again for minutes. Those that are vetted follow, as far as the model has them.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        config = Path(hf_hub_download(name, "config.json", revision=revision))
    except EntryNotFoundError:
        return None  # the library says what is missing
    except Exception as error:  # address, network, server, cache or access is at fault
        raise InputError(
            f"{name} cannot be loaded ({first_sentence(error)}); expected a hub id that this "
            "machine can reach, a local folder with config.json, tokenizer and *.safetensors, an "
            "adapter folder, a .gguf file, or lab:base and its kin"
        ) from None
    for file in (
        "generation_config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "chat_template.json",
        "processor_config.json",
    ):
        with contextlib.suppress(Exception):  # the model has none, or the library says why not
            hf_hub_download(name, file, revision=revision)
    return config


def _from_pretrained(
    name: str, model_at: str, tokenizer_at: str, words: dict[str, Any], **more: Any
) -> tuple[Any, Any]:
    """Model and tokenizer from a folder or the hub. Raises VeneerError and InputError that say how
    to fix the cause."""
    remote = {k: words[k] for k in ("revision", "trust_remote_code")}
    weights = {k: v for k, v in words.items() if k not in ("split", "plain", "adapter")}
    method: str | None = None
    room: ScratchFolder | None = None
    try:
        file = GGUFFile(Path(model_at) / more["gguf_file"]) if more else None
        tokenizer = load_tokenizer(tokenizer_at, **remote, **more)
        config, method = stored(name, model_at, **remote, **more)
        check_causal(name, config)
        if file is not None:
            config = more["config"] = whole_config(file, config)
            if file.fact("tokenizer.ggml.model") == "gpt2":
                cut_as_llama_cpp(tokenizer, file.fact("tokenizer.ggml.pre"), Path(name))
        if is_dry_run():
            opens = opening(config, weights, words.get("adapter"))
            return unweighted(config, weights, opens), tokenizer
        if file is None:  # a GGUF file is always made plain
            more = {
                "use_safetensors": True,
                **(plain_words(config, method) if words["plain"] else {}),
            }
        if words["split"] is not None:
            more["device_map"] = words["split"].placement(without_weights(model_at, weights), name)
            room = room_on_disk(more["device_map"])
            more["offload_folder"] = room.path if room else None
        packed = words["plain"] and file is None and method in packed_integers.METHODS
        with quiet():
            opens = opening(config, weights, words.get("adapter"))
            more = {**weights, **more, "ignore_mismatched_sizes": True}
            if packed:
                opens, more = packed_words(name, model_at, config, more)
            model, info = opens.from_pretrained(
                None if packed else model_at, **more, output_loading_info=True
            )
        if file is not None:
            check_biases_read(file, model)
        model.room_on_disk = room
        if packed:
            model.name_or_path = model.config._name_or_path = model_at
            with contextlib.suppress(OSError):  # it ships none
                model.generation_config = GenerationConfig.from_pretrained(
                    model_at, revision=words["revision"]
                )
        settle(model, method, words["dtype"], plain=words["plain"] and file is None)
        _name_outputs(model)
    except VeneerError:
        raise
    # damaged or foreign files make the libraries raise all kinds, also bare Exception
    except Exception as error:
        raise why_not_loaded(name, error, method, room.path if room else None) from None
    check_all_read(name, info, model, is_quantised=method is not None)
    return model, tokenizer


def _name_outputs(model: Any) -> None:
    """Let every module return its outputs under names, also where its config asks for tuples
    (`return_dict`)."""
    for module in model.modules():
        if hasattr(module, "config"):
            module.config.return_dict = True


def _on_no_device(config: dict[str, Any]) -> Any:
    """The modules of a config's content on no device. Raises InputError where it is of no model
    that the library knows, or of impossible sizes."""
    try:
        made = AutoConfig.for_model(**config)
        with torch.device("meta"), quiet():
            return auto_class(made).from_config(made)
    except Exception as error:
        raise InputError(
            f"no model can be made of this config.json ({first_sentence(error)}); fetch it again"
        ) from None


def _gguf(path: Path, words: dict[str, Any]) -> tuple[Any, Any]:
    try:
        import gguf  # noqa: F401
    except ImportError:
        raise MissingExtra("gguf", "gguf", "reading GGUF files") from None
    if words["split"] is not None:
        raise InputError(
            f"{path} is a GGUF file, which is read whole; give --device a single device, or a "
            "folder of safetensors"
        )
    with ScratchFolder("veneer-gguf") as folder:  # other files beside it are not of this model
        (folder / path.name).symlink_to(path.resolve())
        alone = str(folder)
        model, tokenizer = _from_pretrained(str(path), alone, alone, words, gguf_file=path.name)
    model.name_or_path = tokenizer.name_or_path = str(path)
    # The weights are plain numbers now, and the library would refuse to save them.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.from_gguf = True
    return model, tokenizer


def _adapter(folder: Path, named_base: str | None, words: dict[str, Any]) -> tuple[Any, Any]:
    """A PEFT adapter merged in memory over its base."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise MissingExtra("peft", "peft", "loading an adapter folder") from None
    if words["split"] is not None:
        raise InputError(
            f"{folder} is an adapter, which is merged on one device; give --device a single "
            "device, or the merged model as a folder"
        )
    vet_folder(folder)
    written, base = _adapter_config(folder, named_base)
    try:
        model, tokenizer = _whole(base, {**words, "adapter": folder})
    except InputError as error:
        raise InputError(
            f"the adapter {folder} names the base {base!r}, which does not load: {error}; or give "
            f"{folder}@BASE"
        ) from None
    if (folder / "tokenizer_config.json").is_file():
        remote = {k: words[k] for k in ("revision", "trust_remote_code")}
        try:
            tokenizer = load_tokenizer(str(folder), **remote)
        except Exception as error:
            if FOREIGN_CODE in str(error):
                raise needs_code(f"the tokenizer of the adapter {folder}") from None
            raise InputError(
                f"the tokenizer of the adapter {folder} cannot be loaded "
                f"({first_sentence(error)}); save it again, or delete its files to use that "
                "of the base"
            ) from None
    vet_adapter(folder, written, model, tokenizer)
    if is_dry_run():
        return model, tokenizer
    try:
        resize_to(model, folder, written, tokenizer)
    except SafetensorError as error:
        raise InputError(
            f"the adapter {folder} does not fit the base {base!r} ({first_sentence(error)}); save "
            "it again"
        ) from None
    whole = merged(model, folder, written, base)
    whole.adapted = True
    return whole, tokenizer


def _adapter_config(folder: Path, named_base: str | None) -> tuple[dict[str, Any], str]:
    """The contents of adapter_config.json, and the base to load: `named_base`, or the one that the
    config names. Raises InputError where the folder is no adapter that can be merged."""
    if not (folder / "adapter_model.safetensors").is_file():
        raise InputError(
            f"{folder} has no adapter_model.safetensors; expected a PEFT adapter saved as "
            "safetensors (pickles are not read)"
        )
    try:
        written = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{folder}/adapter_config.json is not valid JSON ({error}); save the adapter again"
        ) from None
    base = named_base or (
        written.get("base_model_name_or_path") if isinstance(written, dict) else None
    )
    if not base or not isinstance(base, str):
        raise InputError(
            f"{folder}/adapter_config.json names no base model; give the model as {folder}@BASE"
        )
    check_kind(folder, written)
    if (
        Path(base).suffix == ""
        and named_base is None
        and not Path(base).is_dir()
        and (folder / base).is_dir()
    ):
        base = str(folder / base)
    return written, base
