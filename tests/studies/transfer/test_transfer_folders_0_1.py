"""Folders of Veneer 0.1, whose run.json holds sentences; and what today's data reads like."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.results import Measurement
from veneer.foundation.system_id import SystemId
from veneer.report.load import load
from veneer.report.page_context import PageContext
from veneer.studies.transfer.page import SECTION, choice, leading
from veneer.studies.transfer.words import (
    BEST_HEADLINES,
    FIRST_ALPHA,
    LOWEST_KL,
    RULES,
    fairness,
    rule,
)

# run.json and rows of a folder that Veneer 0.1.0 made, as they stand there
RUN = {
    "command": "transfer",
    "choice": {
        "system": "shifted-1.5>0.5@10",
        "rule": "the lowest KL(large aligned || shifted) in nats a token on the select part of the "
        "train prompts",
        "n": 6,
        "figures": {"shifted-0.5": 0.3002977511203935, "shifted-1.5>0.5@10": 0.27982962732925815},
    },
    "fairness": [
        "No train prompt has the text of a test prompt; figures on tasks are of test prompts "
        "alone.",
        "Fitted to 52 train prompts of these tasks: the small veneer, the baked head, the own "
        "veneer, and with the small veneer every shifted system. Alpha was chosen on the select "
        "part, distances are reported on the report part; nothing was fitted to either.",
    ],
}
KL = {"base": 0.81, "shifted-0.5": 0.3002977511203935, "shifted-1.5>0.5@10": 0.27982962732925815}
NEW = {
    "choice": RUN["choice"] | {"rule": LOWEST_KL},
    "fairness": {
        "dropped": 0,
        "train_prompts": 52,
        "fitted": ["small_veneer", "baked", "own_veneer"],
        "report_part": "extracted_here",
    },
}


def rows(identities: bool) -> list[dict]:
    table = []
    for name, value in KL.items():
        row = Measurement(
            "transfer", "joint", "kl", name, value, 6, split="select", unit="nats/token"
        ).to_json()
        if identities:
            row["system_id"] = SystemId.from_name(name).to_json()
        table.append(row)
    return table


def page(folder, run, identities: bool) -> PageContext:
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows(identities))
    (folder / "results.jsonl").write_text(text)
    (folder / "run.json").write_text(json.dumps(run))
    return PageContext(load(folder))


def test_an_old_folder_shows_its_sentences_and_a_new_one_those_of_its_facts(tmp_path):
    old, new = page(tmp_path / "old", RUN, False), page(tmp_path / "new", NEW, True)
    assert choice(old)["rule"] == RUN["choice"]["rule"]
    assert choice(new)["rule"] == RULES[LOWEST_KL]
    assert leading(old) == leading(new) == ["shifted-0.5", "shifted-1.5>0.5@10"]
    assert RUN["fairness"][1] in SECTION.render(old)
    assert fairness(NEW["fairness"])[1] in SECTION.render(new)


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"dropped": 2}, "2 train prompts were left out because a test prompt has the same text"),
        ({"dropped": 0}, "No train prompt has the text of a test prompt"),
        ({"train_prompts": 9, "fitted": ["baked"]}, "Fitted to 9 train prompts of these tasks: "),
        ({"report_part": "held_out"}, "the report part is held out for it"),
        ({"report_part": "unknown"}, "The given veneer was extracted elsewhere"),
    ],
)
def test_fairness_in_words(facts, sentence):
    assert any(sentence in text for text in fairness(facts))


@pytest.mark.parametrize("value", [None, 3, [], [3], {"fitted": "x", "report_part": 3}])
def test_a_record_of_any_shape(value):
    assert len(fairness(value)) == isinstance(value, dict)
    assert rule({"rule": value}) in (str(value), "")


def test_every_rule_has_words():
    texts = {rule({"rule": code}) for code in (LOWEST_KL, BEST_HEADLINES, FIRST_ALPHA)}
    assert len(texts) == 3 and "the first of --alphas" in rule({"rule": FIRST_ALPHA})
