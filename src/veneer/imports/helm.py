"""Runs of Stanford's HELM (scenario_state.json), of scenarios whose answers are texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veneer.foundation.errors import InputError
from veneer.foundation.reading.content import stem
from veneer.foundation.reading.turns import Turns, chat_turns, of_user
from veneer.imports.imported import Imported, Rules
from veneer.imports.rows import an_object, get, objects

EXPECTED = (
    'HELM\'s scenario_state.json: {"adapter_spec", "request_states": [{"instance", "request": '
    '{"prompt"}, "result": {"completions": [{"text"}]}}, ...]}'
)


def read_helm(path: Path, rules: Rules | None = None) -> Imported:
    """Read a run; completions are samples. The prompt is the whole text that the model read, with
    HELM's instructions and examples. Its id is the instance's, followed by the perturbation and by
    the number of the trial where they differ from the first; the prompts of one instance are one
    cluster.

    Raises InputError for scenarios that score given texts (each choice is a request of its own, or
    the prompt is echoed), and for prompts that are more than text.
    """
    imported = Imported(str(path), "helm", rules or Rules())
    states = 0
    for where, whole in objects(path, EXPECTED):
        spec = whole.get("adapter_spec")
        for number, state in enumerate(get(whole, "request_states", list, where, EXPECTED), 1):
            place = f"{where}, request {number}"
            states += 1
            _put(imported, an_object(state, place, EXPECTED), place, _model(spec, path))
    if not states:
        raise InputError(f"{path} holds no requests; expected {EXPECTED}")
    return imported


def _put(imported: Imported, state: dict[str, Any], where: str, name: str) -> None:
    instance = get(state, "instance", dict, where, EXPECTED)
    request = get(state, "request", dict, where, EXPECTED)
    if state.get("reference_index") is not None or request.get("echo_prompt"):
        raise InputError(
            f"{where} scores a given text, and holds no answer of the model's own; expected "
            f"{EXPECTED}, of a scenario that generates"
        )
    id = _id(state, instance, where)
    imported.put_prompt(id, _prompt(request, where), where, cluster=instance["id"])
    result = get(state, "result", dict, where, EXPECTED)
    if not result.get("success"):
        imported.dropped["error: the request failed"] += 1
        return
    for sample, completion in enumerate(get(result, "completions", list, where, EXPECTED)):
        answer = an_object(completion, where, EXPECTED)
        thinking = answer.get("thinking")
        thought = thinking.get("text") if isinstance(thinking, dict) else None
        imported.put(
            id,
            sample,
            name,
            get(answer, "text", str, where, EXPECTED),
            finish=answer.get("finish_reason"),
            reasoning=thought if isinstance(thought, str) else None,
        )


def _id(state: dict[str, Any], instance: dict[str, Any], where: str) -> str:
    parts = [get(instance, "id", str, where, EXPECTED)]
    perturbation = instance.get("perturbation")
    if isinstance(perturbation, dict):
        parts.append(str(perturbation.get("name")))
        parts += [str(s) for s in (perturbation.get("seed"),) if s is not None]
    if trial := state.get("train_trial_index"):
        parts.append(f"trial {trial}")
    return "/".join(parts)


def _prompt(request: dict[str, Any], where: str) -> Turns:
    if request.get("multimodal_prompt"):
        raise InputError(f"{where} has a prompt that is more than text; expected {EXPECTED}")
    if isinstance(messages := request.get("messages"), list) and messages:
        return of_user(where, chat_turns(where, messages))
    return ({"role": "user", "content": get(request, "prompt", str, where, EXPECTED)},)


def _model(spec: Any, path: Path) -> str:
    facts = spec if isinstance(spec, dict) else {}
    names = (facts.get(k) for k in ("model", "model_deployment"))
    return next((n for n in names if isinstance(n, str) and n), stem(path))
