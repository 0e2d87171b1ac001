"""The Veneer artefact: the learned change dW of the LM head. Zero means no change."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from veneer.foundation.display import Shown
from veneer.foundation.errors import InputError, SettingError
from veneer.foundation.files import read_json, sha256_file, write_atomically, write_json
from veneer.hub import local_place
from veneer.models.computation import COMPUTATION, changes, computing_fields
from veneer.models.head import ROUNDINGS, Head

if TYPE_CHECKING:
    from veneer.models.language_model import LanguageModel

SCHEMA = 1
# of a veneer with a bias, which a reader of schema 1 would leave out without a word
BIAS_SCHEMA = 2
TENSORS = ("dW", "A", "B", "bias")
# of the facts: hashes of the head in half precision (Head.roundings)
ROUNDED = "unembedding_rounded"


@dataclass(repr=False)
class Veneer(Shown):
    """dW (V, d), stored dense on some rows, dense on all, or as A B; and perhaps a constant
    shift of the logits.

    dW: (R, d) with `rows` (R,) naming the vocabulary rows, or (V, d) with rows None; or None where
    A (V or R, r) and B (r, d) are given. bias: (R,) or (V,), added to dW h at every position
    (before the head's scale and cap); the bias-only veneer has A and B of rank 0. unembedding:
    sha256 of the head that it belongs to (Head.hash). facts: formats, stop ids, how it was
    extracted.
    """

    unembedding: str
    vocabulary: int
    dW: Tensor | None = None
    rows: Tensor | None = None
    A: Tensor | None = None
    B: Tensor | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    bias: Tensor | None = None

    @classmethod
    def of(cls, given: Any) -> Veneer:
        """A veneer as it is, the one of an extraction, or the one in a folder. Raises InputError
        for anything else."""
        if isinstance(given, str | Path):
            return cls.load(given)
        veneer = getattr(given, "veneer", given)  # an Extraction
        if not isinstance(veneer, Veneer):
            raise InputError(
                f"found {type(given).__name__} in the place of a veneer; expected what "
                "veneer.extract_veneer gives, or the folder of a veneer"
            )
        return veneer

    @classmethod
    def of_bias(
        cls,
        unembedding: str,
        width: int,
        bias: Tensor,
        rows: Tensor | None = None,
        *,
        vocabulary: int | None = None,
        **facts: Any,
    ) -> Veneer:
        """The veneer that is a constant vector in place of dW h: dW of rank 0, and `bias` on
        `rows` (or on all)."""
        size = len(bias) if rows is None else vocabulary
        if size is None:
            raise ValueError("a bias on some rows needs the size of the vocabulary")
        A, B = torch.zeros(len(bias), 0), torch.zeros(0, width)
        return cls(unembedding, size, None, rows, A, B, facts, bias)

    def __post_init__(self) -> None:
        if (self.dW is None) == (self.A is None) or (self.A is None) != (self.B is None):
            raise InputError("a veneer holds either dW or both A and B")
        values = self.dW if self.dW is not None else self.A
        assert values is not None
        wanted = self.vocabulary if self.rows is None else len(self.rows)
        if values.ndim != 2 or (
            self.B is not None and (self.B.ndim != 2 or self.B.shape[0] != values.shape[1])
        ):
            shapes = ", ".join(
                str(tuple(t.shape)) for t in (self.dW, self.A, self.B) if t is not None
            )
            raise InputError(
                f"the veneer's tensors have the shapes {shapes}, which do not fit together; "
                "extract it again"
            )
        if self.rows is not None and not _names_rows(self.rows, self.vocabulary):
            raise InputError(
                f"the veneer names row {self.rows.max().item()} of a vocabulary of "
                f"{self.vocabulary}, one below 0, or one twice; extract it again"
            )
        if len(values) != wanted:
            raise InputError(
                f"the veneer has {len(values)} rows of values; expected {wanted}; extract it again"
            )
        if self.bias is not None and self.bias.shape != (wanted,):
            raise InputError(
                f"the veneer's bias has the shape {tuple(self.bias.shape)}; expected ({wanted},); "
                "extract it again"
            )
        for name in TENSORS:
            tensor = getattr(self, name)
            if tensor is not None and not tensor.is_floating_point():
                raise InputError(
                    f"the veneer's {name} is of the type {tensor.dtype}; expected floating-point "
                    "numbers; extract it again"
                )
            if tensor is not None and not torch.isfinite(tensor).all():
                raise InputError(
                    f"the veneer's {name} holds values that are not finite; extract it again"
                )

    def _shown(self) -> dict[str, Any]:
        return {
            "dW": f"{self.vocabulary:,} x {self.width:,}",
            "rows that change": f"{len(self.changed_rows()):,}",
            "rank": "full" if self.rank is None else self.rank,
            "bias": "yes" if self.bias is not None else None,
            "as a tensor": ".dense()",
        }

    @property
    def rank(self) -> int | None:
        """r of a low-rank veneer (0 of a bias-only one), None of a dense one."""
        return None if self.B is None else len(self.B)

    @property
    def width(self) -> int:
        return (self.B if self.dW is None else self.dW).shape[1]  # type: ignore[union-attr]

    def changed_rows(self) -> Tensor:
        """Ids of the rows that may differ from zero, ascending as stored."""
        return torch.arange(self.vocabulary) if self.rows is None else self.rows.long()

    def values(self) -> Tensor:
        """dW on `changed_rows` (R, d)."""
        return self.dW if self.dW is not None else self.A @ self.B  # type: ignore[operator]

    def dense(self) -> Tensor:
        """dW (V, d)."""
        out = torch.zeros(self.vocabulary, self.width)
        out[self.changed_rows()] = self.values().float()
        return out

    def identity(self) -> str:
        """sha256 of the change, which identifies the veneer in a run's configuration."""
        digest = hashlib.sha256(self.unembedding.encode())
        for tensor in (self.dW, self.rows, self.A, self.B, self.bias):
            if tensor is not None:
                digest.update(tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()

    def scaled(self, alpha: float) -> Veneer:
        """alpha times this veneer."""
        words = {
            "dW": None if self.dW is None else alpha * self.dW,
            "A": None if self.A is None else alpha * self.A,
        }
        return Veneer(
            self.unembedding,
            self.vocabulary,
            words["dW"],
            self.rows,
            words["A"],
            self.B,
            {**self.facts, "alpha": alpha},
            None if self.bias is None else alpha * self.bias,
        )

    def check_fits(self, lm: LanguageModel) -> None:
        """Raise InputError where the veneer was extracted against another head, or from hidden
        states that another config gave."""
        head = lm.head
        if self.width != head.width or self.vocabulary > head.rows:
            raise InputError(
                f"this veneer changes a head of {self.vocabulary} x {self.width}, but {lm.name} "
                f"has {head.rows} x {head.width}; give the base that it was extracted from"
            )
        if head.weight.is_meta:  # a dry run: there are no numbers to compare
            return
        own = Head(head.weight[: self.vocabulary])
        if (digest := own.hash()) != self.unembedding and not self._rounded_alike(own, digest):
            dtype = (
                ""
                if head.weight.dtype not in ROUNDINGS
                else ", or load it with --dtype float32 if it is that base"
            )
            raise InputError(
                f"this veneer belongs to the unembedding {self.unembedding[:12]}, but {lm.name} "
                f"has {digest[:12]}; give the base that it was extracted from{dtype}"
            )
        now = {"config": computing_fields(lm.config.to_dict())}
        if changed := changes(self.facts.get(COMPUTATION), now):
            raise InputError(
                f"this veneer was extracted from a base with another config than {lm.name} has "
                f"({'; '.join(changed)}); give that base as it was, or extract the veneer again "
                "from this one"
            )

    def _rounded_alike(self, own: Head, digest: str) -> bool:
        """Whether `own` and the head of the extraction are one head, and one of the two was rounded
        when it was loaded.

        A head that is rounded here must be what the veneer recorded of its own head's roundings;
        one that is not rounded here must, when it is rounded, be the very head of the extraction.
        So two heads that merely round to the same numbers do not fit.
        """
        if own.weight.dtype in ROUNDINGS:
            return digest in dict(self.facts.get(ROUNDED) or {}).values()
        return any(own.rounded_hash(dtype) == self.unembedding for dtype in ROUNDINGS)

    def apply(self, head: Head, alpha: float = 1.0) -> Head:
        """The head with W + alpha dW, and alpha times the bias where there is one; the old
        one is not changed."""
        if not math.isfinite(alpha):
            raise SettingError("alpha", f"is {alpha}; expected a finite number")
        rows = self.changed_rows().to(head.weight.device)
        weight = head.weight
        if self.rank != 0:
            weight = weight.clone()
            wide = torch.promote_types(weight.dtype, torch.float32)  # W + dW is rounded once
            weight[rows] = (
                weight[rows].to(wide) + alpha * self.values().to(weight.device, wide)
            ).to(weight.dtype)
        if self.bias is None:
            return head.with_weight(weight)
        bias = weight.new_zeros(head.rows) if head.bias is None else head.bias.clone()
        bias[rows] += alpha * self.bias.to(bias.device, bias.dtype)
        return Head(weight, bias, head.scale, head.softcap)

    def save(self, folder: str | Path) -> Path:
        """Write veneer.safetensors and veneer.json (last, with the first one's
        hash) into `folder`."""
        folder = Path(folder)
        tensors = {k: v.contiguous().cpu() for k in TENSORS if (v := getattr(self, k)) is not None}
        if self.rows is not None:
            tensors["rows"] = self.rows.to(torch.int64).contiguous().cpu()
        write_atomically(folder / "veneer.safetensors", lambda p: save_file(tensors, p))
        write_json(
            folder / "veneer.json",
            {
                "kind": "veneer",
                "schema": SCHEMA if self.bias is None else BIAS_SCHEMA,
                "unembedding": self.unembedding,
                "vocabulary": self.vocabulary,
                "width": self.width,
                "rank": self.rank,
                "rows": len(self.changed_rows()),
                "sha256": sha256_file(folder / "veneer.safetensors"),
                **self.facts,
            },
        )
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Veneer:
        """Read a veneer from a folder, or from the hub (hf://OWNER/NAME[@REVISION][/FOLDER]), and
        check it. Raises InputError where it is no veneer, damaged, or of another schema."""
        folder = local_place(folder)
        facts = read_json(
            folder / "veneer.json", "the config of a veneer (a folder that `veneer extract` wrote)"
        )
        if (
            not isinstance(facts, dict)
            or facts.get("kind") != "veneer"
            or facts.get("schema") not in (SCHEMA, BIAS_SCHEMA)
        ):
            raise InputError(
                f"{folder}/veneer.json is not of a veneer of schema {SCHEMA} or {BIAS_SCHEMA}; "
                "extract it again with this version"
            )
        texts, numbers = ("unembedding",), ("vocabulary", "width")
        wrong = [k for k in texts if not isinstance(facts.get(k), str)] + [
            k for k in numbers if type(facts.get(k)) is not int
        ]
        stops = facts.get("stop_ids", [])
        if not isinstance(stops, list) or any(type(i) is not int or i < 0 for i in stops):
            wrong.append("stop_ids")
        texts_of_ends = facts.get("stop", [])
        if not isinstance(texts_of_ends, list) or any(
            not isinstance(s, str) or not s for s in texts_of_ends
        ):
            wrong.append("stop")
        if wrong:
            raise InputError(
                f"{folder}/veneer.json lacks {wrong[0]!r}, or has something else there; extract "
                "the veneer again"
            )
        path = folder / "veneer.safetensors"
        digest = sha256_file(path) if path.is_file() else "no file"
        if digest != facts.get("sha256"):
            raise InputError(
                f"{path} is damaged (sha256 {digest[:12]}, expected "
                f"{str(facts.get('sha256'))[:12]}); extract the veneer again"
            )
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} cannot be read ({error}); extract the veneer again") from None
        fields = ("kind", "schema", "unembedding", "vocabulary", "width", "rank", "rows", "sha256")
        rest = {k: v for k, v in facts.items() if k not in fields}
        return cls(
            facts["unembedding"],
            facts["vocabulary"],
            facts=rest,
            **{k: tensors.get(k) for k in ("rows", *TENSORS)},
        )


def _names_rows(rows: Tensor, vocabulary: int) -> bool:
    """Whether each of `rows` is a row of the vocabulary, and none is listed twice."""
    whole = rows.ndim == 1 and rows.dtype in (torch.int32, torch.int64)
    return whole and (
        len(rows) == 0
        or (
            int(rows.min()) >= 0
            and int(rows.max()) < vocabulary
            and len(rows.unique()) == len(rows)
        )
    )
