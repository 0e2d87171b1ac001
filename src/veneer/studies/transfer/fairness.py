"""What each part of a transfer study has seen of the tasks' prompts, in sentences for run.json and the report."""

from __future__ import annotations

from veneer.capture.artefact import Capture
from veneer.head.veneer import Veneer
from veneer.studies.transfer.config import TransferConfig
from veneer.studies.transfer.prompts import TransferPrompts

UNKNOWN = "whether the small veneer's extraction saw these prompts is not known"


def fairness(prompts: TransferPrompts, config: TransferConfig, *, held_out: bool | None) -> list[str]:
    """held_out: of a veneer that was given, whether the report part is held out for it too (`held_out_for`); None where it was extracted
    here."""
    tested = "figures on tasks are of test prompts alone."
    if prompts.dropped:
        said = [f"{prompts.dropped} train prompts were left out because a test prompt has the same text; {tested}"]
    else:
        said = [f"No train prompt has the text of a test prompt; {tested}"]
    parts = {"the small veneer": held_out is None, "the baked head": config.bake, "the own veneer": config.own}
    if fitted := ", ".join(name for name, there in parts.items() if there):
        said.append(
            f"Fitted to {len(prompts.part('train'))} train prompts of these tasks: {fitted}, and with the small veneer every shifted "
            "system. Alpha was chosen on the select part, distances are reported on the report part; nothing was fitted to either."
        )
    if held_out is True:
        said.append(
            "The given veneer was extracted from the same train prompts under the same split: the report part is held out for it."
        )
    if held_out is False:
        said.append(
            f"The given veneer was extracted elsewhere: {UNKNOWN}, and that it saw no test prompt is the word of whoever gives it."
        )
    return said


def held_out_for(veneer: Veneer, large: Capture | None, seed: int) -> bool:
    """Whether a given veneer comes from a capture of the large capture's prompts, token for token, under the same split."""
    how, taken = veneer.facts.get("config", {}), veneer.facts.get("capture", {})
    same = large is not None and taken.get("prompts_sha256") == large.manifest["prompts_sha256"]
    return bool(same and how.get("seed") == seed and how.get("tasks") is None)
