"""The model card of a merged checkpoint: figures of the report split, how to prompt it, and nothing
of this machine."""

import yaml

from checkpoints import save, veneer_of
from tiny import tiny
from veneer.foundation.results import Measurement, Results
from veneer.head.card import model_card, shown
from veneer.head.merge import merge, results_of
from veneer.models.formats import PlainFormat
from veneer.models.load import load_model

ROWS = [
    Measurement(
        "extract", "joint", "kl", "base", 2.371, 20, 2.06, 2.7, split="report", unit="nats/token"
    ),
    Measurement(
        "extract",
        "joint",
        "kl",
        "veneer",
        0.0912,
        20,
        0.07,
        0.11,
        split="report",
        unit="nats/token",
    ),
    Measurement("extract", "joint", "kl", "aligned", -3e-8, 20, split="noise", unit="nats/token"),
    Measurement(
        "extract",
        "joint",
        "kl_recovered",
        "veneer",
        0.96,
        20,
        0.94,
        0.97,
        split="report",
        unit="share",
    ),
    Measurement(
        "measure",
        "advbench",
        "refused",
        "base",
        0.03,
        100,
        0.01,
        0.08,
        "words",
        split="test",
        unit="share",
    ),
    Measurement(
        "measure",
        "advbench",
        "refused",
        "veneer",
        1.0,
        100,
        0.96,
        1.0,
        "words",
        split="test",
        unit="share",
    ),
    Measurement(
        "measure",
        "advbench",
        "refused",
        "shuffled",
        0.5,
        100,
        0.4,
        0.6,
        "words",
        split="test",
        unit="share",
    ),
    Measurement(
        "measure",
        "advbench",
        "refused",
        "veneer",
        0.99,
        67,
        0.9,
        1.0,
        "words",
        split="deduplicated",
        unit="share",
    ),
]


def head(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_figures_stand_with_their_intervals_and_come_from_the_report_split():
    card = model_card(veneer_of(tiny()), tiny(), 1.0, Results(ROWS))
    assert (
        "| held-out responses | kl (nats/token) | 2.37 [2.06, 2.7] | 0.0912 [0.07, 0.11] |  | 20 |"
        in card
    )
    assert "| held-out responses | kl recovered (share) |  | 0.96 [0.94, 0.97] |  | 20 |" in card
    assert (
        "| advbench | refused (share), judge words | 0.03 [0.01, 0.08] | 1 [0.96, 1] |  | 100 |"
        in card
    )
    assert (
        "0.99" not in card and "0.5 [" not in card and "select" not in card.split("## Figures")[1]
    )


def test_figures_of_the_whole_veneer_are_not_those_of_a_part_of_it():
    card = model_card(veneer_of(tiny()), tiny(), 0.5, Results(ROWS))
    assert (
        "No held-out figures of alpha = 0.5 were measured" in card
        and "W + 0.5 dW" in card
        and "2.37" not in card
    )


def test_how_to_prompt_and_how_it_was_made():
    veneer = veneer_of(tiny())
    veneer.facts |= {
        "split": {"train": 80, "select": 10, "report": 10},
        "tasks": {"advbench": 60, "svamp": 40},
    }
    card = model_card(veneer, tiny(), 1.0)
    assert "```\nQ: {prompt}\nA:\n```" in card
    assert (
        "Fitted on the responses to 80 prompts; 10 more chose the settings, and another 10 "
        "were held out."
    ) in card
    assert "advbench (60), svamp (40)" in card
    veneer.facts["base_format"] = {"kind": "chat", "system": None}
    assert "Use the tokenizer's chat template (`tokenizer.apply_chat_template`)." in model_card(
        veneer, tiny(), 1.0
    )


ROW = {"template": "Say: {prompt}", "prompts": 3, "share": 0.75, "tasks": {"a": 3}}
OTHER = {"template": "{prompt} =", "prompts": 1, "share": 0.25, "tasks": {"b": 1}}


def test_a_card_without_a_chat_template_of_its_own_names_the_recorded_text():
    """An adapter has no chat template, and some tokenizers have none that renders the format."""
    veneer = veneer_of(tiny())
    veneer.facts |= {"base_format": {"kind": "plain", "template": "{prompt}"}, "templates": [ROW]}
    adapter = model_card(veneer, tiny(), 1.0, library="peft")
    assert (
        "It reads plain text, with the prompt in the place of `{prompt}`:\n\n```\n"
        "Say: {prompt}\n```"
    ) in adapter
    checkpoint = model_card(veneer, tiny(), 1.0, form=PlainFormat("Say: {prompt}"), rendered=False)
    assert (
        "```\nSay: {prompt}\n```" in checkpoint
        and "apply_chat_template" not in checkpoint + adapter
    )
    assert "as it stands" not in checkpoint + adapter
    assert "Use the tokenizer's chat template" in model_card(
        veneer, tiny(), 1.0, form=PlainFormat("Say: {prompt}")
    )
    veneer.facts["templates"] = [ROW, OTHER]
    several = model_card(veneer, tiny(), 1.0, library="peft")
    assert (
        "75% of the prompts:\n\n```\nSay: {prompt}\n```\n\n25% of the prompts:\n\n```\n"
        "{prompt} =\n```"
    ) in several


def test_nothing_of_this_machine_is_in_the_card_and_base_s_licence_is(tmp_path):
    base = save(tmp_path / "somewhere" / "base")
    (base / "README.md").write_text(
        "---\nlicense: apache-2.0\nlanguage:\n- en\ntags: [secret]\n---\n# Base\n"
    )
    lm = load_model(str(base), device="cpu")
    veneer = veneer_of(lm)
    veneer.facts["aligned"] = str(tmp_path / "somewhere" / "aligned")
    card = (merge(veneer, lm, tmp_path / "m") / "README.md").read_text()
    assert (
        str(tmp_path) not in card
        and "somewhere" not in card
        and "`base`" in card
        and "`aligned`" in card
    )
    logits = head(card)
    assert (
        logits["license"] == "apache-2.0"
        and logits["language"] == ["en"]
        and logits["tags"] == ["veneer", "superficial-alignment"]
    )
    assert (
        logits["library_name"] == "transformers"
        and logits["pipeline_tag"] == "text-generation"
        and "base_model" not in logits
    )


def test_a_base_of_the_hub_is_named_by_its_id(tmp_path, monkeypatch):
    """A snapshot in the hub's cache, as the library lays it out."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit, repository = "a" * 40, tmp_path / "models--org--name"
    folder = save(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    lm = load_model(str(folder), device="cpu")
    lm.name = lm.model.name_or_path = lm.tokenizer.name_or_path = "org/name"
    lm.config._name_or_path, lm.config._commit_hash = "org/name", commit
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    out = merge(veneer_of(lm), lm, tmp_path / "m")
    assert head((out / "README.md").read_text())["base_model"] == "org/name"
    assert (out / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_names_without_folders(tmp_path):
    assert shown("org/name") == "org/name" and shown("lab:base") == "lab:base"
    assert shown(str(tmp_path / "a" / "base")) == "base" and shown("../models/base") == "base"
    assert shown(f"{tmp_path}/adapter@{tmp_path}/base") == "adapter@base"


def test_results_are_those_of_the_veneer_s_own_study(tmp_path):
    study = tmp_path / "study"
    for folder in (study / "veneer", study / "veneer-svamp"):
        folder.mkdir(parents=True)
    Results(ROWS).write(study / "results.jsonl")
    assert len(results_of(study / "veneer") or ()) == len(ROWS)
    assert results_of(study / "veneer-svamp") is None  # the study's figures are of the joint one
    Results(ROWS[:2]).write(study / "veneer" / "results.jsonl")
    assert len(results_of(study / "veneer") or ()) == 2
