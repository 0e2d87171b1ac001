"""Every causal architecture through the whole door: loaded from a folder, read alone and in
batches, captured, merged, loaded again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from small_configs import small_config
from transformers import AutoModelForCausalLM, __version__
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from tiny import tokenizer
from veneer.capture import CaptureConfig, capture
from veneer.capture.teacher_forcing import response_hidden
from veneer.foundation.errors import VeneerError
from veneer.head.merge import merge
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling, decode
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.prompts.prompt import Prompt

KINDS = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
TOLERANCE = 2e-3  # of the largest logit
# 6 is padding: RoBERTa's family gives a pad token within a text no position of its own, with a
# cache another than without.
STOPS = (6, *range(300, 306))
STEPS = 45  # tokens decoded: several windows of small_configs.WINDOW


@dataclass
class Outcome:
    """result: "right", "refused", "not built" (transformers makes no small model of it that
    reads text), "wrong" or "crash". note: what the model cannot do, why it was refused or not
    built, or what is wrong."""

    kind: str
    name: str
    result: str
    note: str = ""
    checks: list[str] = field(default_factory=list)


class Wrong(AssertionError):
    """A result that differs from the right one."""


def examine(kind: str, folder: Path, steps: int = STEPS) -> Outcome:
    """What Veneer makes of a small model of this type; `folder` is an empty one for its files."""
    out = Outcome(kind, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind], "right")
    try:
        reason = save_small(kind, folder / "model")
        if reason:
            out.result, out.note = "not built", reason
            return out
        lm = load_model(str(folder / "model"), device="cpu", dtype="float32")
        for check in (forcing, batches, captured, merged):
            check(lm, folder) if check is not batches else batches(lm, folder, steps)
            out.checks.append(check.__name__)
        out.note = "; ".join(
            f"{k}: {v}" for k, v in lm.abilities.facts().get("reading", {}).items()
        )
    except VeneerError as error:
        out.result, out.note = (
            "refused",
            str(error)
            .replace(str(folder / "model"), "MODEL")
            .replace(str(folder / "merged"), "MERGED"),
        )
    except Wrong as error:
        out.result, out.note = "wrong", str(error)
    except Exception as error:
        out.result, out.note = "crash", first_line(error)
    return out


def save_small(kind: str, folder: Path) -> str:
    """Write a small model with random weights, in which every token before counts. Returns "", or
    why transformers makes no small model of this type that reads text; nothing is written then."""
    torch.manual_seed(0)
    try:
        model = AutoModelForCausalLM.from_config(small_config(kind), dtype=torch.float32).eval()
    except Exception as error:
        return f"transformers makes no model of the small config ({first_line(error)})"
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2 and "embed" not in name:
                p.mul_(4.0)
        weight = getattr(model.get_input_embeddings(), "weight", None)
        # the row of the pad token is zero, for which an indexer finds all tokens alike
        if weight is not None:
            empty = weight.abs().sum(-1) == 0
            weight[empty] = weight[~empty][: int(empty.sum())].flip(-1)
        head = model.get_output_embeddings()
        if head is not None:
            head.weight.mul_(2.0 / head.weight.norm(dim=1).mean().clamp(min=1e-6))
        for p in model.parameters():  # as a hub's checkpoints store them: steps pack such weights
            p.copy_(p.bfloat16())
        try:
            model(input_ids=torch.tensor(rows((12,), 0)), use_cache=False)
        except Exception as error:
            return f"the small model itself does not read 12 tokens of text ({first_line(error)})"
    model.generation_config.eos_token_id = 1
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return ""


def first_line(error: Exception) -> str:
    """The kind of an error and the first line of its words."""
    return (
        f"{type(error).__name__}: "
        f"{str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    )


def plain(lm: LanguageModel, ids: list[int]) -> torch.Tensor:
    """The model's own logits (T, V) of one row, without Veneer."""
    with torch.inference_mode():
        return lm.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def compare(what: str, actual: torch.Tensor, true: torch.Tensor) -> None:
    apart, limit = float((actual - true).abs().max()), TOLERANCE * max(1.0, float(true.abs().max()))
    if not apart <= limit:
        raise Wrong(f"{what}: logits differ by {apart:.3g} (allowed {limit:.3g})")


def rows(lengths: tuple[int, ...], shared: int) -> list[list[int]]:
    """Rows of random ids that begin with the same `shared` tokens."""
    draw = torch.Generator().manual_seed(5)
    start = torch.randint(10, 250, (shared,), generator=draw).tolist()
    return [start + torch.randint(10, 250, (n - shared,), generator=draw).tolist() for n in lengths]


def forcing(lm: LanguageModel, folder: Path) -> None:
    """Teacher forcing of unequal rows, across a window, equals a plain forward."""
    for shared in (6, 0):
        prompts, answers = rows((9, 12, 7, 30), shared), rows((5, 14, 30, 8), 0)
        for p, a, states in zip(
            prompts, answers, response_hidden(lm, prompts, answers), strict=True
        ):
            compare("teacher forcing", lm.head.logits(states), plain(lm, p + a)[len(p) - 1 : -1])


def batches(lm: LanguageModel, folder: Path, steps: int) -> None:
    """A batch of unequal rows, decoded across windows while rows leave it, equals plain
    forwards of its answers."""
    for shared in (6, 0):
        prompts = rows((9, 13, 7, 24), shared)
        seen: list[list[torch.Tensor]] = [[] for _ in prompts]

        def watch(
            numbers: Any, hidden: torch.Tensor, logits: torch.Tensor, seen: Any = seen
        ) -> None:
            for place, row in enumerate(numbers):
                seen[row].append(logits[place])

        length = steps if shared else 8
        answers = decode(
            lm,
            prompts,
            Sampling(max_new_tokens=length, temperature=1.0, seed=1),
            stop_ids=STOPS,
            watch=watch,
        )
        for p, one, logits in zip(prompts, answers, seen, strict=True):
            compare(
                "a batch", torch.stack(logits), plain(lm, [*p, *one.token_ids])[len(p) - 1 : -1]
            )


def captured(lm: LanguageModel, folder: Path) -> None:
    """What a capture stores of base's states gives base's own log-normalisers."""
    words = ("How do I", "How do I bake bread and sit on the mat", "Tom")
    prompts = [Prompt.from_text(str(i), w) for i, w in enumerate(words)]
    config = CaptureConfig(
        k=8,
        batch_size=3,
        shard_batches=1,
        noise_prompts=1,
        hidden_dtype="float32",
        sampling=Sampling(max_new_tokens=5),
    )
    recorded = capture(
        Pair(lm, lm, PlainFormat(), PlainFormat()), prompts, folder / "capture", config
    )
    columns = {
        name: torch.cat(parts)
        for name in ("prompt", "token", "hidden")
        if (parts := [b[name] for b in recorded.blocks(("prompt", "token", "hidden"))])
    }
    for number, prompt in enumerate(prompts):
        own = columns["prompt"] == number
        ids = PlainFormat().encode(lm.tokenizer, prompt)
        true = plain(lm, [*ids, *columns["token"][own].tolist()])[len(ids) - 1 : -1]
        compare("a capture", lm.head.logits(columns["hidden"][own].float()), true)


def merged(lm: LanguageModel, folder: Path) -> None:
    """A veneer merged into the checkpoint gives W + dW behind the same states, loaded again."""
    ids = rows((20,), 0)[0]
    draw = torch.Generator().manual_seed(3)
    change = 0.3 * torch.randn(lm.head.weight.shape, generator=draw)
    with torch.inference_mode():
        states = lm.hidden(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))[0]
    veneer = Veneer(lm.head.hash(), lm.head.rows, change)
    true = veneer.apply(lm.head).logits(states)
    merge(veneer, lm, folder / "merged")
    again = load_model(str(folder / "merged"), device="cpu", dtype="float32")
    compare("a merged checkpoint", plain(again, ids), true)


# the page


def table(outcomes: list[Outcome]) -> str:
    """Counts and a row for each architecture, in Markdown."""
    counts = {
        result: sum(o.result == result for o in outcomes)
        for result in ("right", "refused", "not built", "wrong", "crash")
    }
    lines = [
        f"**{len(outcomes)} architectures of transformers {__version__}: {counts['right']} right, "
        f"{counts['refused']} refused, {counts['not built']} not built here, {counts['wrong']} "
        f"silently wrong, {counts['crash']} crashed.**",
        "",
        "| type | class | result | what it cannot do, or why it is refused |",
        "|---|---|---|---|",
        *(f"| {o.kind} | {o.name} | {o.result} | {o.note.replace('|', '/')} |" for o in outcomes),
    ]
    missing = sorted(set(KINDS) - {o.kind for o in outcomes})
    if missing:
        lines += ["", f"Not examined yet ({len(missing)} of {len(KINDS)}): {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def read_page(page: Path) -> dict[str, Outcome]:
    """The rows of the page by type."""
    lines = [
        line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    ]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {
        c[0]: Outcome(c[0], c[1], c[2], c[3] if len(c) > 3 else "") for c in cells if c[0] != "type"
    }


def version_of(page: Path) -> str:
    """The version of transformers whose architectures the page holds."""
    known = re.search(r"architectures of transformers (\S+):", page.read_text(encoding="utf-8"))
    return known.group(1) if known else ""
