"""The model card (README.md) of a merged checkpoint: where it comes from, its figures, how to
prompt it, and what it is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml  # transformers needs it

from veneer.foundation.results import Measurement, Results
from veneer.head.recorded import recorded_templates
from veneer.head.veneer import Veneer
from veneer.hub import is_hub
from veneer.models.checkpoint.originals import Originals
from veneer.models.formats import Format, PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import PLACE

PAPER = "[arXiv 2502.04602](https://arxiv.org/abs/2502.04602)"
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# what a card takes over from base's
OF_LICENCE = ("license", "license_name", "license_link", "language")
SYSTEMS = ("base", "veneer", "aligned")
MOST_ROWS = 40


def model_card(
    veneer: Veneer,
    base: LanguageModel,
    alpha: float,
    results: Results | None = None,
    *,
    form: Format | None = None,
    rendered: bool = True,
    library: str = "transformers",
) -> str:
    """README.md of base with the head W + alpha dW, saved as a checkpoint or (library "peft") as an
    adapter. results: the figures that were measured with this veneer. form: the format that the
    checkpoint serves; None: what the veneer recorded for base. rendered: whether the checkpoint's
    own chat template renders `form`."""
    facts = veneer.facts
    change, what, shape = _change(veneer, alpha)
    name, teacher = shown_name(base), shown(str(facts.get("aligned", "an aligned model")))
    lines = [
        *front_matter(base, ("veneer", "superficial-alignment"), library=library),
        f"# {name} with a veneer",
        "",
        f"This is `{name}` with another output head: {change}. Every other weight is that "
        f"of `{name}`. The change {what} (the veneer) was extracted from the responses of "
        f"`{teacher}` by Veneer, with the method of {PAPER}. It carries what a change of the last "
        "step alone can carry of that model's alignment, and nothing deeper.",
        "",
        "## How it was made",
        "",
        *_made(facts),
        (
            f"- The veneer is {shape}; it changes {len(veneer.changed_rows()):,} of "
            f"{veneer.vocabulary:,} rows of the head."
        ),
        *(
            [DEQUANTISED.format(method)]
            if (method := getattr(base.model, "dequantised_from", None))
            else []
        ),
        *([UNTIED] if library != "peft" else []),
        "",
        "## How to prompt it",
        "",
        *how_to_prompt(facts, form, rendered=rendered),
        "",
        "## Figures",
        "",
        *figures(results if alpha == 1 else None, alpha),
        "",
        "## Limits",
        "",
        *LIMITS,
        "",
    ]
    return "\n".join(lines)


def _change(veneer: Veneer, alpha: float) -> tuple[str, str, str]:
    """The changed head in symbols, the symbols of the change, and its shape in words."""
    if veneer.bias is None:
        shape = "dense" if veneer.rank is None else f"of rank {veneer.rank}"
        return f"W + {alpha:g} dW", "dW", shape
    bias = f"the bias b + {alpha:g} c"
    if veneer.rank == 0:
        return f"{bias}, with base's W and b", "c", "a constant shift of the logits"
    return f"W + {alpha:g} dW, and {bias}", "(dW, c)", "a change of weights and bias"


DEQUANTISED = (
    "- The base's weights are stored in {} form; here they are plain numbers, computed from "
    "that form."
)
UNTIED = "- `tie_word_embeddings` is false: the input embeddings are base's, the head is its own."
LIMITS = (
    "- It refuses and pleases in style. Do not take that for safety: what the base model knew is "
    "still there, and what the veneer does not carry, the model does not have.",
    "- A veneer that was fitted on harmful requests alone may also refuse harmless ones that look "
    "like them. Measure over-refusal on prompts of your own before use.",
    (
        "- It was fitted behind the prompt format above. Behind another format its answers may "
        "be nonsense."
    ),
    "- The licence and the terms of use of the base model and of the aligned model apply.",
)


def front_matter(
    base: LanguageModel, tags: Iterable[str], *, library: str = "transformers"
) -> list[str]:
    """The YAML head of a card: base as a hub id if it has one, and the licence that
    base's own card names."""
    originals = Originals.of(base)
    fields: dict[str, Any] = {}
    if originals.hub_id:
        fields |= {
            "base_model": originals.hub_id,
            "base_model_relation": "adapter" if library == "peft" else "finetune",
        }
    fields |= {"library_name": library, "pipeline_tag": "text-generation", "tags": list(tags)}
    fields |= {k: v for k, v in _metadata(originals.model).items() if k in OF_LICENCE and v}
    return ["---", *yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).splitlines(), "---"]


def _metadata(folder: Path | None) -> dict[str, Any]:
    """The YAML head of the card in a model's folder."""
    if folder is None or not (folder / "README.md").is_file():
        return {}
    text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")
    head = re.match(r"---\s*\n(.*?\n)---\s*\n", text, re.DOTALL)
    try:
        front = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:
        return {}
    return front if isinstance(front, dict) else {}


def shown_name(lm: LanguageModel) -> str:
    """What a card calls a model: its hub id, or the last part of its path."""
    return Originals.of(lm).hub_id or shown(lm.name)


def shown(name: str) -> str:
    """A model's name without the folders of this machine."""
    if (
        is_hub(name)
        or name.startswith("lab:")
        or (HUB_ID.fullmatch(name) and not Path(name).exists() and not name.startswith("."))
    ):
        return name
    return "@".join(Path(model).name or model for model in name.split("@"))


def _made(facts: Mapping[str, Any]) -> list[str]:
    split, tasks = facts.get("split"), facts.get("tasks")
    lines = []
    if isinstance(split, dict) and {"train", "select", "report"} <= set(split):
        lines.append(
            f"- Fitted on the responses to {split['train']:,} prompts; {split['select']:,} more "
            f"chose the settings, and another {split['report']:,} were held out."
        )
    if isinstance(tasks, dict) and tasks:
        lines.append(
            "- Prompts by task: "
            f"{', '.join(f'{name} ({count:,})' for name, count in tasks.items())}."
        )
    return lines


def how_to_prompt(
    facts: Mapping[str, Any], form: Format | None = None, *, rendered: bool = True
) -> list[str]:
    """Lines that say what the model reads: `form`, otherwise what the veneer recorded for base.
    rendered: whether the checkpoint's chat template renders `form`."""
    reads = facts.get("base_format") or {}
    if isinstance(form, PlainFormat) and rendered:
        return [
            "Use the tokenizer's chat template (`tokenizer.apply_chat_template`). It renders the "
            "format that the veneer was fitted behind, which as plain text is:",
            *_fenced(form.template),
        ]
    if form is None and reads.get("kind") == "chat":
        system = f" with the system text {reads['system']!r}" if reads.get("system") else ""
        return [f"Use the tokenizer's chat template{system} (`tokenizer.apply_chat_template`)."]
    records = (
        [(form.template, 1.0)] if isinstance(form, PlainFormat) else recorded_templates(dict(facts))
    )
    templates = [(template, share) for template, share in records if template is not None]
    if [template for template, _ in templates] in ([], [PLACE]):
        return ["It reads plain text: the prompt as it stands, without a chat template."]
    if len(templates) == 1:
        return [
            "It reads plain text, with the prompt in the place of `{prompt}`:",
            *_fenced(templates[0][0]),
        ]
    return [
        (
            "It reads plain text, with the prompt in the place of `{prompt}`. It was fitted "
            "behind several texts:"
        ),
        *(
            line
            for template, share in templates
            for line in ("", f"{share:.0%} of the prompts:", *_fenced(template))
        ),
    ]


def _fenced(template: str) -> list[str]:
    return ["", "```", template, "```"]


def figures(results: Results | None, alpha: float = 1.0) -> list[str]:
    """Tables of the held-out figures with their 95 % intervals."""
    rows = [] if results is None else list(results)
    held_out = [
        r
        for r in rows
        if r.study == "extract" and r.task == "joint" and r.split == "report" and r.position is None
    ]
    tests = [r for r in rows if r.study == "measure" and r.split == "test" and r.position is None]
    if not held_out and not tests:
        why = "" if alpha == 1 else f" of alpha = {alpha:g}"
        return [f"No held-out figures{why} were measured with this veneer."]
    return [
        (
            "Each figure stands with its 95 % interval and, in the last column, the number of "
            "prompts that no step of the fit has seen."
        ),
        "",
        f"| task | measure | {' | '.join(SYSTEMS)} | n |",
        f"|---|---|{'---|' * len(SYSTEMS)}---|",
        *[*_table(held_out, "held-out responses"), *_table(tests)][:MOST_ROWS],
    ]


def _table(rows: Iterable[Measurement], task: str | None = None) -> list[str]:
    """A line for each measure, the systems side by side."""
    groups: dict[tuple[str, ...], dict[str, Measurement]] = {}
    for r in rows:
        system = "veneer" if r.system == "baked" else r.system
        if system in SYSTEMS and r.value is not None and not r.metric.startswith("difference"):
            measure = " ".join(
                filter(
                    None, (r.metric, f"of {r.of}" if r.of else "", f"({r.unit})" if r.unit else "")
                )
            )
            groups.setdefault((task or r.task, measure, r.judge or ""), {})[system] = r
    return [
        f"| {name} | {measure.replace('_', ' ')}{f', judge {judge}' if judge else ''} | "
        f"{' | '.join(_cell(by_system.get(s)) for s in SYSTEMS)} | "
        f"{max(r.n for r in by_system.values())} |"
        for (name, measure, judge), by_system in groups.items()
    ]


def _cell(row: Measurement | None) -> str:
    if row is None or row.value is None:
        return ""
    interval = "" if row.low is None or row.high is None else f" [{row.low:.3g}, {row.high:.3g}]"
    return f"{row.value:.3g}{interval}"
