"""The one template that a run puts all tasks behind, and what `veneer measure` makes of a
veneer's record."""

from __future__ import annotations

import json
import logging

import pytest

from veneer.foundation.errors import InputError
from veneer.head.veneer import Veneer
from veneer.lab.world import PLAIN
from veneer.measures.answers import _ends
from veneer.measures.run_template import (
    check_base_template,
    measure_template,
    run_template,
    warn_of_refusals_alone,
)
from veneer.models.formats import PlainFormat
from veneer.prompts.templates import ALPACA, NAMED
from veneer.systems.system import System
from veneer.tasks.registry import get_task


def own_task(
    folder,
    name: str,
    *,
    template: str | None = None,
    plain: str | None = None,
    judge: str | None = None,
):
    header = {"name": name, "scorer": "exact", **({"base_template": template} if template else {})}
    row = {"prompt": "Two and two?", "answer": "4", **({"plain": plain} if plain else {})}
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(x) + "\n" for x in ({"task": header}, row)))
    return get_task(f"file:{path}")


def test_the_default_is_one_template_for_all(tmp_path):
    assert run_template([own_task(tmp_path, "a"), own_task(tmp_path, "b")]) == ALPACA
    named = own_task(tmp_path, "c", template="Q: {prompt}\nA:")
    # the file's, for all
    assert run_template([named, own_task(tmp_path, "d")]) == "Q: {prompt}\nA:"
    assert run_template([get_task("lab-sums"), own_task(tmp_path, "e")]) == PLAIN


def test_prompts_that_stand_in_it_anyway_keep_their_own_format(tmp_path):
    assert run_template([get_task("lab-sums"), get_task("lab-facts")]) is None
    assert run_template([own_task(tmp_path, "a", template=ALPACA)]) is None
    assert run_template([own_task(tmp_path, "b")], "plain") is None


def test_a_person_chooses(tmp_path):
    tasks = [own_task(tmp_path, "a", template="Q: {prompt}\nA:"), get_task("lab-sums")]
    assert run_template(tasks, "user") == NAMED["user"]
    assert run_template(tasks, "Say {prompt}") == "Say {prompt}"
    assert run_template(tasks, "chat") == "chat"
    assert run_template(tasks, "published") is run_template(tasks, published=True) is None
    assert run_template(tasks, "alpaca", published=True) == ALPACA
    with pytest.raises(InputError, match="no name of a template"):
        run_template(tasks, "vicuna")
    with pytest.raises(InputError, match="both --prompt-template and --base-template"):
        check_base_template("alpaca", "alpaca")


def test_tasks_that_insist_on_several_templates_keep_them_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "veneer"):
        assert (
            run_template(
                [get_task("lab-sums"), own_task(tmp_path, "a", template="Q: {prompt}\nA:")]
            )
            is None
        )
        # a text that no template made
        assert run_template([own_task(tmp_path, "b", plain="2 + 2 =")]) is None
    assert "bring 2 templates" in caplog.text and "give --prompt-template" in caplog.text


def test_measure_takes_the_veneers_own(tmp_path):
    def fitted(*templates: str, **base_format) -> Veneer:
        import torch

        rows = [{"template": t, "share": 1 / len(templates)} for t in templates]
        form = base_format or {"kind": "plain", "template": "{prompt}"}
        return Veneer(
            "x",
            3,
            torch.zeros(3, 2),
            facts={"base_format": form, **({"templates": rows} if rows else {})},
        )

    tasks = [own_task(tmp_path, "a")]
    assert measure_template(tasks, fitted(ALPACA)) == ALPACA
    assert measure_template(tasks, fitted(ALPACA), "user") == NAMED["user"]
    assert measure_template(tasks, fitted(ALPACA, PLAIN)) is None
    assert measure_template(tasks, fitted()) is None  # version 0.1.0
    assert measure_template(tasks, fitted(kind="chat", system=None)) == "chat"


def test_an_answer_ends_where_base_begins_another_turn_of_a_given_template():
    assert _ends(System("base", None, PlainFormat(ALPACA), ())) == ("\n### Instruction:",)  # type: ignore[arg-type]
    assert _ends(System("base", None, PlainFormat(), ())) == ()  # type: ignore[arg-type]


def test_refusals_without_harmless_instructions_are_warned_of(caplog):
    with caplog.at_level(logging.WARNING, "veneer"):
        warn_of_refusals_alone([get_task("lab-requests"), get_task("lab-harmless")], 5)
        warn_of_refusals_alone([get_task("lab-sums")], 5)
        assert not caplog.records
        warn_of_refusals_alone([get_task("lab-requests"), get_task("lab-sums")], 5)
    assert (
        "learns refusals from lab-requests" in caplog.text
        and "add lab-harmless to --tasks" in caplog.text
    )
