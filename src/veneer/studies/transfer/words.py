"""A transfer in English: notes of rows, the rule that chose alpha, and which prompts each part has
seen, from facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veneer.studies.transfer.folders_0_1 import fairness_of_0_1, rule_of_0_1

LOWEST_KL, BEST_HEADLINES, FIRST_ALPHA = "lowest_kl", "best_headlines", "first_alpha"
RULES = {
    LOWEST_KL: (
        "the lowest KL(large aligned || shifted) in nats per token on the select part of the train "
        "prompts"
    ),
    BEST_HEADLINES: (
        "the highest mean over tasks of the task's first headline on the select part of the train "
        "prompts, counted as 1 minus itself where lower is better"
    ),
    FIRST_ALPHA: "the first of --alphas: no task has train prompts with a headline to compare",
}
PARTS = {
    "small_veneer": "the small veneer",
    "baked": "the baked head",
    "own_veneer": "the own veneer",
}
UNKNOWN = "whether the small veneer's extraction saw these prompts is not known"


def rule(choice: Mapping[str, Any]) -> str:
    """The rule of a choice in run.json."""
    code = choice.get("rule")
    return RULES[code] if isinstance(code, str) and code in RULES else rule_of_0_1(choice)


def fairness(value: Any) -> list[str]:
    """What each part of the study has seen of the tasks' prompts. value: as run.json holds it;
    nothing about it is assumed."""
    if not isinstance(value, Mapping):
        return fairness_of_0_1(value)
    dropped, prompts = value.get("dropped"), value.get("train_prompts")
    tested = "figures on tasks are of test prompts alone."
    sentences = [
        f"{dropped} train prompts were left out because a test prompt has the same text; {tested}"
        if dropped
        else f"No train prompt has the text of a test prompt; {tested}"
    ]
    if repeated := value.get("repeated"):
        sentences.append(f"{repeated} train prompts were left out because they repeat another one.")
    fitted = value.get("fitted")
    parts = [PARTS[p] for p in PARTS if isinstance(fitted, list) and p in fitted]
    if parts:
        sentences.append(
            f"Fitted to {prompts} train prompts of these tasks: {', '.join(parts)}, and with the "
            "small veneer every shifted system. Alpha was chosen on the select part, distances are "
            "reported on the report part; nothing was fitted to either."
        )
    if value.get("report_part") == "held_out":
        sentences.append(
            "The given veneer was extracted from the same train prompts under the same split: the "
            "report part is held out for it."
        )
    if value.get("report_part") == "unknown":
        sentences.append(
            f"The given veneer was extracted elsewhere: {UNKNOWN}, and that it saw no test prompt "
            "is the claim of the person who gives it."
        )
    return sentences


# Notes of rows


def report_part_note(facts: Mapping[str, Any]) -> str | None:
    """Beside a distance of what comes of the small veneer."""
    return UNKNOWN if facts.get("report_part") == "unknown" else None


def teacher_note(facts: Mapping[str, Any]) -> str:
    return f"distributions of {facts['teacher']}"


def timing_note(facts: Mapping[str, Any]) -> str:
    return (
        f"n counts rounds of one batch a system, {facts['answers']} answers of {facts['tokens']} "
        "tokens each, the prompt's reading included"
    )


def memory_note(facts: Mapping[str, Any]) -> str:
    return (
        f"weights {facts['weights'] / 2**20:.1f} MiB, and at most {facts['working'] / 2**20:.1f} "
        "MiB while one batch is decoded"
    )
