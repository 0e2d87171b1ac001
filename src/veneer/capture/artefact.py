"""A Capture on disk: a folder of shards with a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from veneer.capture.integrity import check_manifest
from veneer.capture.shards import SCHEMA, check_shard, is_done, read_shard
from veneer.foundation.display import Shown
from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json, read_json_lines
from veneer.hub import local_place
from veneer.models.head import Head
from veneer.prompts.clusters import clusters_of


class Capture(Shown):
    """An open capture.

    folder: where it lies. manifest: models, formats, settings, plan. Use `Capture.open`, which
    checks every shard.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any], shards: list[int], tokens: int):
        self.folder, self.manifest, self.shards, self.tokens = folder, manifest, shards, tokens

    @classmethod
    def open(cls, folder: str | Path, *, partial: bool = False) -> Capture:
        """Open and check a capture in a folder or on the hub (hf://OWNER/NAME). partial: accept
        one that is not finished (its disk was full, say).

        Raises InputError where the folder is no capture, a shard is damaged (it is named), or
        shards are missing.
        """
        folder = local_place(folder)
        manifest = read_json(
            folder / "manifest.json",
            "the manifest of a capture (a folder that `veneer capture` wrote)",
        )
        if (
            not isinstance(manifest, dict)
            or manifest.get("schema") != SCHEMA
            or manifest.get("kind") != "capture"
        ):
            raise InputError(
                f"{folder}/manifest.json is not of a capture of schema {SCHEMA}; make the capture "
                "again with this version"
            )
        check_manifest(folder, manifest)
        number = len(manifest["plan"])
        done = [i for i in range(number) if is_done(folder, i)]
        tokens = sum(check_shard(folder, i, manifest) for i in done)
        if not done or (len(done) < number and not partial):
            raise InputError(
                (
                    f"{folder} has {len(done)} of {number} shards; run the same `veneer capture` "
                    "command again to finish it"
                )
                + (", or give --partial to use the finished part" if done else "")
            )
        return cls(folder, manifest, done, tokens)

    def _shown(self) -> dict[str, Any]:
        teacher = self.manifest.get("aligned") or self.manifest.get("teacher") or {}
        done, planned = len(self.shards), len(self.manifest["plan"])
        return {
            "folder": str(self.folder),
            "prompts": len(self.prompt_numbers),
            "response tokens": f"{self.tokens:,}",
            "tasks": ", ".join(dict.fromkeys(row["task"] for row in self.prompts)),
            "base": (self.manifest.get("base") or {}).get("name"),
            "teacher": teacher.get("name"),
            "shards": f"{done} of {planned}" if done < planned else None,
        }

    @cached_property
    def prompts(self) -> list[dict[str, Any]]:
        """The prompts in input order: `id`, `task`, `base_length`, `aligned_length`, `plain`, and
        `cluster` where a prompt has one."""
        return [
            row
            for _, row in read_json_lines(self.folder / "prompts.jsonl", "the prompts of a capture")
        ]

    @cached_property
    def clusters(self) -> list[int] | None:
        """The cluster of each prompt by its number: of those that the data puts together, and of
        those of one text (prompts/clusters.py); None where every prompt stands by itself."""
        return clusters_of(
            [row["plain"] for row in self.prompts],
            [(row["task"], row["cluster"]) if "cluster" in row else None for row in self.prompts],
        )

    @cached_property
    def prompt_numbers(self) -> list[int]:
        """Numbers of the prompts whose responses are complete."""
        return sorted(n for s in self.shards for batch in self.manifest["plan"][s] for n in batch)

    @cached_property
    def head(self) -> Head:
        """Base's head over the shared vocabulary, in float32."""
        facts, path = self.manifest["head"], self.folder / "head.safetensors"
        try:
            saved = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read ({error}); make the capture again") from None
        wanted = (facts["rows"], facts["width"])
        if (
            "weight" not in saved
            or saved["weight"].shape != wanted
            or not torch.isfinite(saved["weight"]).all()
        ):
            raise InputError(
                f"{path} holds no head of {wanted[0]} x {wanted[1]} finite numbers; make the "
                "capture again"
            )
        return Head(
            saved["weight"].float(),
            saved["bias"].float() if "bias" in saved else None,
            facts["scale"],
            facts["softcap"],
        )

    @cached_property
    def tokenizer(self) -> Any:
        """Base's tokenizer, as the capture stored it."""
        from veneer.models.tokenizer import load_tokenizer

        return load_tokenizer(str(self.folder / "tokenizer"))

    @property
    def one_hot(self) -> bool:
        """Whether the teacher gave nothing but its responses: a "KL" from them is base's negative
        log-likelihood, and has no noise floor."""
        return self.manifest.get("teacher", {}).get("targets") == "one-hot"

    def need_distributions(self, purpose: str) -> None:
        """Raise InputError where the capture has none."""
        if self.one_hot:
            raise InputError(
                f"{self.folder} was made from responses alone, which have no distributions, but "
                f"{purpose} compares with those; capture an aligned model, a shifted system or an "
                "endpoint that gives log-probabilities"
            )

    @property
    def endpoint_note(self) -> str | None:
        """A note on the figures of a capture whose endpoint gave only its most likely tokens'
        log-probabilities; None for any other."""
        targets = str(self.manifest.get("teacher", {}).get("targets"))
        if not targets.startswith("top-"):
            return None
        most = targets.removeprefix("top-")
        return (
            f"the endpoint told its {most} most likely tokens, the rest is one class: a lower "
            "bound without a noise floor"
        )

    @property
    def noise(self) -> list[dict[str, Any]]:
        """The noise floor by prompt (see noise.self_kl)."""
        path = self.folder / "noise.json"
        return read_json(path, "the noise floor of a capture") if path.is_file() else []

    def read(
        self, shard: int, columns: tuple[str, ...], prompts: Sequence[int] | None = None
    ) -> dict[str, Tensor]:
        """Columns of one shard (see shards.py), only the tokens of the given prompts
        where some are given."""
        if prompts is None:
            return read_shard(self.folder, shard, columns)
        stored = read_shard(self.folder, shard, (*columns, "prompt"))
        keep = torch.isin(stored["prompt"], torch.tensor(sorted(prompts), dtype=torch.int32))
        return {c: stored[c][keep] for c in columns}

    def blocks(
        self, columns: tuple[str, ...], prompts: Sequence[int] | None = None
    ) -> Iterator[dict[str, Tensor]]:
        """Columns shard by shard; shards without a token of the given prompts are passed over."""
        wanted = None if prompts is None else set(prompts)
        for shard in self.shards:
            if wanted is not None and not any(
                n in wanted for batch in self.manifest["plan"][shard] for n in batch
            ):
                continue
            yield self.read(shard, columns, prompts)

    def responses(self) -> list[dict[str, Any]]:
        """The teacher's responses in input order."""
        rows = []
        for shard in self.shards:
            rows += [
                r
                for _, r in read_json_lines(
                    self.folder / f"responses-{shard:05d}.jsonl", "the responses of a shard"
                )
            ]
        return sorted(rows, key=lambda r: r["number"])
