"""The card (README.md) of a published veneer, capture or study, made from what its files record:
the pair and its fingerprints, how to load it, figures with n, interval and judge, and limits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml  # transformers needs it

from veneer.foundation.results import Measurement, Results
from veneer.head.card import HUB_ID, LIMITS, PAPER, how_to_prompt, shown
from veneer.hub.address import Address
from veneer.publish.artefact import Artefact

CARD = "README.md"
MOST_ROWS = 40
SIGNED = "\n<!-- made by veneer push; sha256 of the text above: {} -->\n"
FINGERPRINTS = ("fingerprint", "tokenizer", "unembedding")
LICENCE = (
    "Not stated. Whoever publishes this states it here, and in `license` at the head of this file. "
    "The licence and the terms of use of the base model and of the aligned model apply."
)
SENTENCES = {
    "veneer": (
        "A veneer: a change dW of the output head of `{base}`, extracted from the responses of "
        f"`{{aligned}}` by Veneer, with the method of {PAPER}. Base with the head W + dW behaves "
        "like the aligned model as far as a change of the last step alone can do that."
    ),
    "capture": (
        "A capture: the responses of `{aligned}` to {prompts:,} prompts ({tokens:,} tokens), the "
        "hidden states of `{base}` on them, and the most likely tokens of both models. `veneer "
        "extract` makes a veneer of it; neither model is needed for that."
    ),
    "study": (
        "A study of `{base}` and `{aligned}` by Veneer (`veneer {command}`): its figures, the "
        "responses behind them, and its report (`report.html`)."
    ),
}
LOADING = {
    "veneer": (
        "veneer generate --model BASE --veneer {at} --prompts FILE --out answers.jsonl",
        "veneer merge {at} --base BASE --out merged",
        'python -c "from veneer import Veneer; print(Veneer.load({at!r}))"',
    ),
    "capture": ("veneer extract {at} --out veneer",),
    "study": ("veneer report {at} --out report.html",),
}


def signed(text: str) -> str:
    """The text with a last line by which `is_made` knows that no person has changed it."""
    body = text.rstrip("\n") + "\n"
    return body + SIGNED.format(hashlib.sha256(body.encode()).hexdigest())


def is_made(text: str) -> bool:
    """Whether a card is as Veneer wrote it: its text has the sha256 that its last line names."""
    body = text.rpartition(SIGNED.partition("{}")[0])[0]
    return bool(body) and signed(body) == text


def card_of(artefact: Artefact, address: Address, licence: str | None = None) -> str:
    """README.md of a veneer, a capture or a study, to be found at `address`. licence: an id of the
    hub's list, such as apache-2.0. The same artefact gives the same text."""
    base, aligned = _models(artefact)
    facts = artefact.facts
    tasks = facts.get("tasks")
    words = {
        "base": base["name"],
        "aligned": aligned["name"],
        "prompts": facts.get("prompts", 0),
        "tokens": facts.get("tokens", 0),
        "command": facts.get("command", "run"),
    }
    lines = [
        *_front(artefact, base, licence),
        f"# {address.inside or address.repository.partition('/')[2]}",
        "",
        SENTENCES[artefact.kind].format(**words),
        "",
        "## The pair",
        "",
        *_pair(base, aligned, facts),
        *([f"- Prompts by task: {_tasks(tasks)}."] if tasks else []),
        "",
        "## How to load it",
        "",
        "    pip install veneer",
        *(f"    {line.format(at=str(address))}" for line in LOADING[artefact.kind]),
        *_parts(artefact, address),
        "",
    ]
    if artefact.kind == "veneer":
        lines += ["## How to prompt it", "", *how_to_prompt(facts), ""]
    if artefact.kind != "capture":
        lines += ["## Figures", "", *figures(artefact.results), ""]
    lines += ["## Limits", "", *_limits(artefact.kind), ""]
    lines += ["## Licence", "", licence or LICENCE]
    return signed("\n".join(lines))


def _models(artefact: Artefact) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the files record of base and of aligned, each with the name that a card shows."""
    facts = artefact.facts
    pair = facts.get("pair") if isinstance(facts.get("pair"), Mapping) else facts
    config = facts.get("config") if isinstance(facts.get("config"), Mapping) else {}
    made = []
    for role in ("base", "aligned"):
        model = pair.get(role) if isinstance(pair, Mapping) else None
        known = dict(model) if isinstance(model, Mapping) else {"name": model}
        name = known.get("name") or (config or {}).get(role)
        if role == "aligned" and not name:
            name = (facts.get("teacher") or {}).get("name")
        made.append({**known, "name": shown(str(name)) if name else f"the {role} model"})
    return made[0], made[1]


def _front(artefact: Artefact, base: Mapping[str, Any], licence: str | None) -> list[str]:
    kind = [] if artefact.kind == "veneer" else [f"veneer-{artefact.kind}"]
    fields: dict[str, Any] = {"tags": ["veneer", *kind, "superficial-alignment"]}
    if HUB_ID.fullmatch(base["name"]):
        fields["base_model"] = base["name"]
    if licence:
        fields["license"] = licence
    return ["---", *yaml.safe_dump(fields, sort_keys=False, allow_unicode=True).splitlines(), "---"]


def _pair(
    base: Mapping[str, Any], aligned: Mapping[str, Any], facts: Mapping[str, Any]
) -> Iterator[str]:
    """The two models, and the hashes by which Veneer checks that they are the ones."""
    for role, model in (("base", base), ("aligned", aligned)):
        prints = [f"{k} `{str(model[k])[:16]}`" for k in FINGERPRINTS if model.get(k)]
        yield f"- {role}: `{model['name']}`{': ' if prints else ''}{', '.join(prints)}"
    own = [k for k in ("unembedding", "tokenizer", "identity") if isinstance(facts.get(k), str)]
    if own:
        yield f"- of the veneer: {', '.join(f'{k} `{facts[k][:16]}`' for k in own)}"


def _tasks(tasks: Any) -> str:
    if isinstance(tasks, Mapping):
        return ", ".join(f"{name} ({count:,})" for name, count in tasks.items())
    return ", ".join(str(name) for name in tasks)


def _parts(artefact: Artefact, address: Address) -> Iterator[str]:
    """Veneers and captures inside a study, each with an address of its own."""
    marks = {"veneer.json": "a veneer", "manifest.json": "a capture"}
    parts = [
        (name.rpartition("/")[0], marks[name.rpartition("/")[2]])
        for name in artefact.files
        if artefact.kind == "study" and "/" in name and name.rpartition("/")[2] in marks
    ]
    if parts:
        yield ""
        yield "Parts of it:"
        yield ""
    for folder, what in parts:
        yield f"- {what}: `{address}/{folder}`"


def _limits(kind: str) -> Sequence[str]:
    if kind == "veneer":
        return LIMITS[:3]
    if kind == "capture":
        return [
            "- The responses are those of a model, and may be wrong or harmful; so may the prompts."
        ]
    return [
        "- A portion of 1 is not safety: what the base model knew is still there.",
        "- The responses are those of models, and may be wrong or harmful.",
    ]


def figures(results: Results | None) -> list[str]:
    """Measured rows with n, 95 % interval and judge; the whole table is in results.jsonl."""
    rows = [r for r in results or () if r.value is not None and r.position is None]
    if not rows:
        return ["No figures were measured with it."]
    # portions, then what was measured on test prompts; otherwise the study's own order
    rows.sort(key=lambda r: (r.metric != "portion", r.split != "test"))
    more = len(rows) - MOST_ROWS
    return [
        "Each figure stands with its 95 % interval, the number of prompts behind it (n), and the "
        "judge that decided, where one did.",
        "",
        "| task | measure | system | value | n | judge |",
        "|---|---|---|---|---|---|",
        *(_row(r) for r in rows[:MOST_ROWS]),
        *(["", f"{more:,} more rows are in `results.jsonl`."] if more > 0 else []),
    ]


def _row(r: Measurement) -> str:
    of, unit = (f" of {r.of}" if r.of else ""), (f" ({r.unit})" if r.unit else "")
    split = f", {r.split}" if r.split and r.split not in ("test", "report") else ""
    known = None not in (r.low, r.high)
    interval = f" [{r.low:.3g}, {r.high:.3g}]" if known else " (interval not determined)"
    measure = f"{r.metric}{of}{split}{unit}".replace("_", " ").replace("|", "\\|")
    return (
        f"| {r.task} | {measure} | {r.system} | {r.value:.3g}{interval} | {r.n} | {r.judge or ''} |"
    )
