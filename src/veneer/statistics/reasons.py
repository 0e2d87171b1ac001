"""Why a figure is undefined, or what its interval rests on: as data, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXTS = {
    "no_prompts": "no prompts",
    "one_group": "one prompt or group has no interval",
    "no_bound": "{groups} prompts or groups that differ so much leave no upper bound; the upper "
    "limit is {times} times the value",
    "one_set_is_empty": "one of the two sets of prompts is empty",
    "base_kl_is_0": "base's KL is 0: there is nothing to recover",
    "denominators_are_0": "all denominators are 0",
    "no_difference": "{one} and {zero} do not differ beyond chance: their difference is "
    "{value:.3g}, 95 % interval {low:.3g} to {high:.3g}",
    "unbounded": "the portion has no bounds: {one} minus {zero} is {value:.3g}, 95 % interval "
    "{low:.3g} to {high:.3g}, too uncertain to divide by",
    "groups_resampled": "{groups} groups resampled, not prompts",
    "all_equal": "all values are equal: up to {width:.2g} is what {groups} may miss",
    "effective_size": "{groups} group{s}; effective sample size {size:.0f}",
    "no_common_answers": "no answers that both judged",
    "one_class": "people gave one label to every answer",
    "one_value": "both judges gave the same value to every answer",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """code: one of `TEXTS`. values: the numbers and names in it."""

    code: str
    values: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, code: str, **values: Any) -> Reason:
        return cls(code, tuple(values.items()))

    @property
    def text(self) -> str:
        values = dict(self.values)
        return TEXTS[self.code].format(**values, s="s" * (values.get("groups", 0) > 1))

    def to_json(self) -> Mapping[str, Any]:
        return {"code": self.code, **dict(self.values)}
