"""Programs that import modules of 0.1 by their old names still run."""

from __future__ import annotations

from importlib import import_module

import pytest

import veneer
from veneer.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_module(old):
    with pytest.warns(DeprecationWarning, match=f"veneer.{MOVED[old]}"):
        module = import_module(f"veneer.{old}")
    assert module is import_module(f"veneer.{MOVED[old]}")
    assert module.__name__ == module.__spec__.name == f"veneer.{MOVED[old]}"


def test_old_names_in_packages_that_stand_there_now():
    from veneer.judges.refusal import RefusalJudge
    from veneer.judges.toxicity import toxicity_judge
    from veneer.prompts import Prompt

    assert str(RefusalJudge().judge("I'm sorry, but I can't help with that.")) == "full"
    assert callable(toxicity_judge) and Prompt is veneer.Prompt


def test_other_names_are_still_unknown():
    with pytest.raises(ModuleNotFoundError):
        import_module("veneer.nonsense")
