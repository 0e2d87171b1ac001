"""Tasks of lm-evaluation-harness on base, veneer and aligned."""

from veneer.registry import Room

ROOM = Room(commands={"lm-eval": "veneer.studies.lm_eval.command:LmEvalCommand"})
