"""Made-up figures of a study: shaped like real ones, measured on nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hostile_texts import IMAGE, SCRIPT
from veneer.foundation.results import Measurement

NO_DIFFERENCE = (
    "aligned and base do not differ: the interval of their paired difference, -0.02 to "
    "0.04, holds 0"
)
BINS = [(i, i) for i in range(1, 11)] + [(11, 20), (21, 40), (41, 80), (81, 128)]


def row(study, task, metric, system, value, low, high, n=200, **more) -> Measurement:
    """A measurement, in the order in which its figures are written below."""
    return Measurement(study, task, metric, system, value, n, low, high, **more)


def figures() -> list[Measurement]:
    """The rows of results.jsonl."""
    return [
        *held_out_rows(),
        *position_rows(),
        *shift_rate_rows(),
        *behaviour_rows(),
        *strange_rows(),
        *baselines(),
        *groups(),
        *unscored(),
    ]


def held_out_rows() -> Iterator[Measurement]:
    """KL on held-out prompts: of each task, its own veneer and the control."""
    for task, base, veneer, shuffled, n in (
        ("joint", 2.016, 0.192, 0.921, 82),
        ("advbench", 2.64, 0.071, 0.488, 42),
        ("svamp", 1.11, 0.402, 0.83, 40),
    ):
        for system, x in (("base", base), ("veneer", veneer), ("shuffled", shuffled)):
            yield row(
                "extract",
                task,
                "kl",
                system,
                x,
                x * 0.9,
                x * 1.12,
                n,
                unit="nats/token",
                split="report",
            )
        yield row(
            "extract", task, "kl", "aligned", 2e-6, 1e-6, 3e-6, 16, unit="nats/token", split="noise"
        )
        for system, x in (("veneer", veneer), ("shuffled", shuffled)):
            y = 1 - x / base
            yield row(
                "extract", task, "kl_recovered", system, y, y - 0.03, y + 0.02, n, split="report"
            )
        yield row("extract", task, "top1_agreement", "base", 0.52, 0.49, 0.55, n, split="report")
        yield row("extract", task, "top1_agreement", "veneer", 0.93, 0.92, 0.95, n, split="report")


def position_rows() -> Iterator[Measurement]:
    """KL by position, and how the joint veneer does on one task."""
    for i, bin_ in enumerate(BINS):
        base = 6.2 * math.exp(-i / 2.4) + 0.35
        veneer = 0.06 + 0.22 * (1 - math.exp(-i / 3)) + 0.02 * math.sin(i)
        for task, systems in (
            (
                "joint",
                {
                    "base": base,
                    "veneer": veneer,
                    "shuffled": 0.4 * base + 0.2,
                    "urial": 0.55 * base + 0.3,
                    "lora-100": 0.2 * base + 0.1,
                    "veneer-rank-1": 0.35 * base + 0.1,
                },
            ),
            ("advbench", {"base": base * 1.2, "veneer": veneer / 2}),
        ):
            for system, x in systems.items():
                low, high, n = x * (0.9 - 0.02 * i), x * (1.1 + 0.02 * i), 82 - 4 * i
                yield row(
                    "position",
                    task,
                    "kl",
                    system,
                    x,
                    low,
                    high,
                    n,
                    unit="nats/token",
                    position=bin_,
                    split="report",
                )
    yield row(
        "position", "joint", "kl", "aligned", 2e-6, 1e-6, 3e-6, 16, unit="nats/token", split="noise"
    )
    yield row(
        "position",
        "joint",
        "early_kl_share",
        "base",
        0.81,
        0.77,
        0.84,
        82,
        position=(1, 10),
        split="report",
    )
    yield row(
        "extract",
        "svamp",
        "kl",
        "veneer-joint",
        0.431,
        0.38,
        0.49,
        40,
        unit="nats/token",
        split="report",
    )
    yield row(
        "extract", "svamp", "kl_recovered", "veneer-joint", 0.612, 0.58, 0.64, 40, split="report"
    )
    yield row(
        "measure",
        "advbench",
        "portion",
        "veneer",
        0.98,
        0.86,
        1.06,
        34,
        judge="refusal-words-1",
        of="refusal_rate",
        split="deduplicated",
    )


def shift_rate_rows() -> Iterator[Measurement]:
    """Shares of shifted tokens, and how many of each kind a veneer restores."""
    for metric, x in (("unshifted_rate", 0.612), ("marginal_rate", 0.174), ("shifted_rate", 0.214)):
        yield row("shift", "joint", metric, "base", x, x - 0.02, x + 0.02, 82)
    yield row("shift", "joint", "restored_rate", "veneer", 0.874, 0.85, 0.895, 82)
    for group, x in (
        ("style", 0.97),
        ("structure", 0.99),
        ("refusal", 1.0),
        ("number", 0.04),
        ("content", 0.71),
    ):
        yield row(
            "shift",
            "joint",
            f"{group}_restored_rate",
            "veneer",
            x,
            x - 0.04,
            min(1, x + 0.03),
            80,
            split="report",
        )


def behaviour_rows() -> Iterator[Measurement]:
    """Scores of every system on three tasks, and portions."""
    judged = {"advbench": "refusal-words-1", "xstest": "refusal-words-1"}
    measured = {
        ("advbench", "refusal_rate"): {
            "base": 0.0,
            "veneer": 1.0,
            "aligned": 1.0,
            "shuffled": 0.42,
            "base-chat": 0.13,
            "aligned-plain": 0.88,
            "base-no-empty": 0.0,
        },
        ("svamp", "accuracy"): {
            "base": 0.023,
            "veneer": 0.157,
            "aligned": 0.307,
            "shuffled": 0.03,
            "base-chat": 0.19,
            "aligned-plain": 0.29,
            "base-no-empty": 0.11,
        },
        ("xstest", "refusal_rate"): {
            "base": 0.02,
            "veneer": 0.02,
            "aligned": 0.03,
            "shuffled": 0.03,
            "base-chat": 0.02,
            "aligned-plain": 0.03,
            "base-no-empty": 0.02,
        },
    }
    for (task, metric), systems in measured.items():
        n = {"advbench": 50, "svamp": 300, "xstest": 250}[task]
        for system, x in systems.items():
            wide = 1.96 * math.sqrt(max(x * (1 - x), 0.01) / n)
            yield row(
                "measure",
                task,
                metric,
                system,
                x,
                max(0, x - wide),
                min(1, x + wide),
                n,
                judge=judged.get(task),
                unit="share",
            )
            yield row(
                "measure",
                task,
                "empty_rate",
                system,
                0.83 if system == "base" and task == "svamp" else 0.0,
                0,
                0.04,
                n,
                unit="share",
            )
        for system, x in systems.items():
            if system in ("base", "aligned"):
                continue
            if task == "xstest":
                yield row(
                    "measure",
                    task,
                    "portion",
                    system,
                    None,
                    None,
                    None,
                    n,
                    judge=judged.get(task),
                    of=metric,
                    note=NO_DIFFERENCE,
                )
                continue
            y = (x - systems["base"]) / (systems["aligned"] - systems["base"])
            yield row(
                "measure",
                task,
                "portion",
                system,
                y,
                y - 0.09,
                y + 0.08,
                n,
                judge=judged.get(task),
                of=metric,
            )
    yield row("measure", "svamp", "portion", "veneer", 0.97, 0.92, 1.01, 300, of="empty_rate")


def strange_rows() -> Iterator[Measurement]:
    """Rows of a study that Veneer does not know, with markup in their names."""
    yield row(
        "somebody-elses",
        "advbench",
        "refusal_rate",
        "lab:large-base + shift",
        0.92,
        0.81,
        0.97,
        50,
        judge="refusal-words-1",
        note=SCRIPT,
    )
    yield row("somebody-elses", IMAGE, "odd metric & <more>", "base", -1234.5678, None, None, 3)


BASELINES = {
    "urial": 0.61,
    "system-prompt": 0.4,
    "lora-100": 0.86,
    "veneer-bias": 0.2,
    "veneer-rank-1": 0.34,
    "veneer-rank-16": 0.78,
}
FROM = {
    ("veneer-from-advbench", "advbench"): 0.99,
    ("veneer-from-advbench", "svamp"): -0.18,
    ("veneer-from-svamp", "advbench"): 0.09,
    ("veneer-from-svamp", "svamp"): 0.51,
}


def baselines() -> list[Measurement]:
    """Baselines, and the veneers of each task measured on each."""
    rows = []
    for task, metric, base, aligned, n, judge in (
        ("advbench", "refusal_rate", 0.0, 1.0, 50, "refusal-words-1"),
        ("svamp", "accuracy", 0.023, 0.307, 300, None),
    ):
        portions = BASELINES | {name: x for (name, of), x in FROM.items() if of == task}
        for i, (system, portion) in enumerate(portions.items()):
            p = portion * (0.8 if task == "svamp" and not system.startswith("veneer-from") else 1.0)
            x = base + p * (aligned - base)
            more = {"judge": judge, "split": None}
            rows.append(
                Measurement(
                    "measure", task, metric, system, x, n, x - 0.03, x + 0.03, unit="share", **more
                )
            )
            rows.append(
                Measurement(
                    "measure",
                    task,
                    "portion",
                    system,
                    p,
                    n,
                    p - 0.08 - 0.01 * i,
                    p + 0.1,
                    of=metric,
                    **more,
                )
            )
    return rows


def groups() -> list[Measurement]:
    """A task whose prompts fall into groups, judged by a model that is noted beside its figures."""
    judge, note = "toxicity-minilm-1", "accuracy 0.81 on statements of other groups, n = 1,870"
    rows = []
    for i, group in enumerate(
        (
            "overall",
            "asian",
            "black",
            "chinese",
            "disabled",
            "jewish",
            "latino",
            "lgbtq",
            "mexican",
            "women",
        )
    ):
        split, n = ("test", 390) if group == "overall" else (f"group:{group}", 30)
        rates = {
            "base": 0.42 - 0.02 * i,
            "veneer": 0.11 + 0.01 * i,
            "aligned": 0.02 + 0.003 * i,
            "urial": 0.3 - 0.01 * i,
        }
        for system, x in rates.items():
            low, high = max(0, x - 0.08), min(1, x + 0.1)
            more = {"judge": judge, "split": split, "note": note}
            rows.append(
                Measurement(
                    "measure",
                    "toxigen",
                    "toxicity_rate",
                    system,
                    x,
                    n,
                    low,
                    high,
                    unit="share",
                    **more,
                )
            )
            if system in ("veneer", "urial"):
                p = (x - rates["base"]) / (rates["aligned"] - rates["base"])
                rows.append(
                    Measurement(
                        "measure",
                        "toxigen",
                        "portion",
                        system,
                        p,
                        n,
                        p - 0.1,
                        p + 0.1,
                        of="toxicity_rate",
                        **more,
                    )
                )
    return rows


def unscored() -> list[Measurement]:
    """Answers of which a judge could make nothing."""
    rates = {"base": 0.02, "veneer": 0.0, "aligned": 0.004}
    more = {"unit": "share", "judge": "harm-model-1", "split": "test"}
    return [
        Measurement("measure", "toxigen", "harm_unscored_rate", s, x, 390, 0, 0.05, **more)
        for s, x in rates.items()
    ]
