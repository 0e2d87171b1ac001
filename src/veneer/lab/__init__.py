"""The lab: small models of a small written world that ship in the package, and pairs with
a planted truth."""

from veneer.lab.names import LAB_MODELS, lab_folder
from veneer.lab.world import LAB_TASKS, lab_prompts

__all__ = ["LAB_MODELS", "LAB_TASKS", "lab_folder", "lab_prompts"]
