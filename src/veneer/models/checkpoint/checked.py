"""Reading a written checkpoint back: every tensor but the head is base's, and the library finds
every tensor that the model has."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers.utils import is_accelerate_available

from veneer.foundation.errors import VeneerError
from veneer.models.checkpoint.originals import safetensors_of
from veneer.models.head import Head

EXAMPLES = 3
DIFFERS = "the merged checkpoint would differ from base beside its head (tensors: {})"


class Tensors:
    """The tensors of safetensors files, read one at a time."""

    def __init__(self, files: list[Path], stack: ExitStack):
        self._where: dict[str, Any] = {}
        for file in files:
            stream = stack.enter_context(safe_open(file, framework="pt"))
            self._where |= dict.fromkeys(stream.keys(), stream)

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __getitem__(self, name: str) -> Tensor:
        return self._where[name].get_tensor(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._where[name].get_slice(name).get_shape())


def check_checkpoint(folder: Path, model: Any, head: Head, base_files: list[Path]) -> list[str]:
    """Raise VeneerError unless the checkpoint in `folder` is base with the weight and bias of
    `head` and loads whole.

    base_files: base's own safetensors files, or [] where only the loaded `model` is left of
    base. Returns the names of base's tensors that the checkpoint lacks: those that the library
    leaves unread in base (layers for drafting tokens, buffers that are computed). Tensors are
    compared one at a time; only where the library saves them under other names than base's files
    and the model use is the checkpoint loaded whole beside the model.
    """
    name, weight = head_name(model), head.weight
    with ExitStack() as stack:
        saved = Tensors(safetensors_of(folder), stack)
        names = set(saved)
        written = _written_head(saved, name, weight)
        biases = {_bias_of(written)} & names if head.bias is not None else set()
        for bias in biases:
            _check_bias(saved, bias, head)
        originals: Any = Tensors(base_files, stack) if base_files else model.state_dict()
        left_out = sorted(set(originals) - names)
        others = names - {written} - biases
        # a bias that has another name than its weight, and a head that is filled up with rows when
        # it is saved, are compared in the loaded model
        direct = (
            others <= set(originals)
            and (head.bias is None or bool(biases))
            and saved.shape(written) == tuple(weight.shape)
        )
        if direct:
            _compare(saved, originals, sorted(others))
        _check_loads(folder, model, weight, name, values=not direct)
    return left_out if base_files else []


def _written_head(saved: Tensors, head: str, weight: Tensor) -> str:
    """The name of the head in the files: the model's own (`head`), or that of
    the architecture's published files (GPT-NeoX: embed_out). It may be filled up there with rows
    that the library takes off again (Inkling 2). Raises VeneerError where no tensor there begins
    with `weight`."""
    rows, *others = weight.shape
    for name in [head] if head in set(saved) else saved:
        number, *width = saved.shape(name) or (0,)
        if number >= rows and width == others:
            first = saved[name][:rows]
            if torch.equal(first, weight.to(first.dtype).cpu()):
                return name
    raise VeneerError(
        f"{head} of the saved checkpoint is not the merged head: this version of transformers "
        "saves another tensor as the head of this architecture, and nothing was written"
    )


def _bias_of(weight_name: str) -> str:
    return weight_name.removesuffix("weight") + "bias"


def _check_bias(saved: Tensors, name: str, head: Head) -> None:
    """Raise VeneerError where the tensor is not the head's bias."""
    tensor = saved[name]
    assert head.bias is not None
    if tensor.shape != head.bias.shape or not torch.equal(tensor, head.bias.to(tensor).cpu()):
        raise VeneerError(
            f"{name} of the saved checkpoint is not the merged head's bias: this version of "
            "transformers saves another tensor there, and nothing was written"
        )


def head_name(model: Any) -> str:
    """The name of the output embeddings' weight in the model."""
    layer = model.get_output_embeddings()
    return next(n for n, m in model.named_modules() if m is layer) + ".weight"


def _compare(saved: Tensors, originals: Any, names: list[str]) -> None:
    """Raise VeneerError where a tensor is not the original, rounded to the dtype in
    which it is saved."""
    differ = []
    for name in names:
        ours, theirs = saved[name], _there(originals[name])
        if theirs is not None and (
            ours.shape != theirs.shape or not _equal(ours, theirs.to(ours.dtype))
        ):
            differ.append(name)
    _raise_if(differ, DIFFERS.format(len(differ)), differ)


def _there(tensor: Tensor) -> Tensor | None:
    """The tensor's values in memory; None where a split model keeps them outside its devices."""
    return None if tensor.is_meta else tensor.detach().cpu()


def _equal(a: Tensor, b: Tensor) -> bool:
    """Bit by bit, so that a NaN equals itself."""
    return torch.equal(a, b) or torch.equal(*(t.contiguous().view(torch.uint8) for t in (a, b)))


def _check_loads(folder: Path, model: Any, weight: Tensor, head: str, *, values: bool) -> None:
    """Load the checkpoint and raise VeneerError where the library misses a tensor or
    finds one too many.

    values: also compare every tensor with the model's. Otherwise the weights need not be read,
    where `accelerate` is installed.
    """
    words: dict[str, Any] = {"dtype": model.dtype}
    if not values and is_accelerate_available():
        words["device_map"] = "meta"
    try:
        with _quiet():
            loaded, info = type(model).from_pretrained(
                folder, output_loading_info=True, ignore_mismatched_sizes=True, **words
            )
    except Exception as error:  # the library raises all kinds for a checkpoint that it cannot read
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise VeneerError(
            f"the merged checkpoint would not load again ({first}); nothing was written"
        ) from None
    wrong = [
        *info["missing_keys"],
        *info["unexpected_keys"],
        *(key for key, *_ in info["mismatched_keys"]),
    ]
    _raise_if(
        wrong,
        f"the merged checkpoint would load with {len(wrong)} tensors missing, too many or of "
        "another shape",
        wrong,
    )
    if values:
        again: Mapping[str, Tensor] = loaded.state_dict()
        differ = [
            n
            for n, t in model.state_dict().items()
            if (own := _there(weight if n == head else t)) is not None
            and not _equal(again[n].cpu(), own.to(again[n].dtype))
        ]
        _raise_if(
            differ,
            DIFFERS.format(len(differ)),
            differ,
        )


def _raise_if(names: list[str], what: str, examples: list[str]) -> None:
    if names:
        raise VeneerError(
            f"{what}, e.g. {', '.join(sorted(examples)[:EXAMPLES])}; this version of transformers "
            "does not save this architecture as it loads it, and nothing was written"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """No report of the library's on what it loads: what is wrong is in the error."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
