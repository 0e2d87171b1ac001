"""Other people's clients, and our own: what they measure through the endpoint is what the
local system gives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from veneer.endpoint import EndpointConfig
from veneer.lab import lab_folder
from veneer.models.decode import Sampling
from veneer.prompts.prompt import Prompt
from veneer.serve.served import Served
from veneer.systems.endpoint import EndpointSystem
from veneer.systems.respond import respond
from veneer.tasks.lab import LabTask
from veneer_server import Running

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "adapters"))


@pytest.fixture
def by_name(systems) -> dict[str, Served]:
    return {s.id: s for s in systems}


@pytest.mark.parametrize(
    ("style", "name"),
    [
        *(("completion", n) for n in ("base", "veneer", "shifted-1")),
        ("chat", "veneer"),
        ("chat", "aligned"),
    ],
)
def test_a_system_behind_the_endpoint_answers_as_the_local_one(
    server: Running, by_name, style, name
):
    """The round trip: System -> server -> EndpointSystem. Compared are texts and, tokenised
    again, token ids."""
    questions = LabTask("lab-requests").prompts("test")[:8]
    # a chat message is all that the server knows of a prompt
    if (style, name) == ("chat", "veneer"):
        questions = [Prompt.from_text(p.id, p.plain) for p in questions]
    there = EndpointSystem(EndpointConfig(server.url, name, retries=0), style=style)
    sampling = Sampling(24)
    own = respond(by_name[name].system, questions, sampling, stop_strings=("\n",), batch_size=8)
    responses = respond(there, questions, sampling, stop_strings=("\n",), batch_size=8)
    assert [(a.text, a.finish_reason) for a in responses] == [
        (a.text, a.finish_reason) for a in own
    ]
    tokenizer = by_name[name].lm.tokenizer
    again = [tokenizer(a.text, add_special_tokens=False)["input_ids"] for a in responses]
    assert again == [tokenizer(a.text, add_special_tokens=False)["input_ids"] for a in own] and any(
        again
    )
    assert (
        there.endpoint.usage.completion_tokens == sum(len(a.token_ids) for a in own)
        and there.endpoint.usage.failed == 0
    )


def test_a_seed_through_the_endpoint_is_repeated(server: Running):
    questions = [Prompt.from_text("p", "Who is Velan?")]
    there = EndpointSystem(EndpointConfig(server.url, "base", retries=0))
    answers = respond(there, questions, Sampling(16, temperature=1.0, seed=4), samples=4)
    again = respond(
        EndpointSystem(EndpointConfig(server.url, "base")),
        questions,
        Sampling(16, temperature=1.0, seed=4),
        samples=4,
    )
    assert answers == again and len({a.text for a in answers}) > 1


def test_lm_eval_measures_the_same_through_the_endpoint(
    server: Running, by_name, tmp_path, monkeypatch
):
    """`local-completions` of lm-evaluation-harness against adapters/lm_eval.py on the same system:
    the same answers and scores, and log-likelihoods to rounding."""
    lm_eval = pytest.importorskip("lm_eval", reason="needs lm-eval: pip install 'veneer[lm-eval]'")
    pytest.importorskip("tenacity", reason="needs lm-eval's api extra: pip install 'lm-eval[api]'")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    from harness import write_tasks
    from lm_eval.tasks import TaskManager

    from veneer.adapters.lm_eval import VeneerLM

    tasks = ["local_sums", "local_choice"]
    manager = TaskManager(
        include_path=str(write_tasks(tmp_path / "tasks", 6)), include_defaults=False
    )
    how = {"tasks": tasks, "task_manager": manager, "bootstrap_iters": 0}
    own = lm_eval.simple_evaluate(model=VeneerLM(by_name["veneer"].system), **how)
    args = {
        "model": "veneer",
        "base_url": f"{server.url}/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": str(lab_folder("lab:base")[1]),
        "add_bos_token": True,
        "max_length": 512,
        "num_concurrent": 1,
        "max_retries": 1,
        "tokenized_requests": True,
    }
    evaluation = lm_eval.simple_evaluate(
        model="local-completions", model_args=args, batch_size=4, **how
    )
    for task in tasks:
        for a, b in zip(own["samples"][task], evaluation["samples"][task], strict=True):
            if task == "local_sums":
                assert a["resps"] == b["resps"]
            else:
                for (p, greedy), (q, same) in zip(
                    a["filtered_resps"], b["filtered_resps"], strict=True
                ):
                    assert q == pytest.approx(p, abs=1e-3) and same == greedy
        figures = {
            k: v
            for k, v in own["results"][task].items()
            if isinstance(v, float) and "stderr" not in k
        }
        assert figures and {k: evaluation["results"][task][k] for k in figures} == pytest.approx(
            figures
        )


def test_inspect_ai_talks_to_the_endpoint(server: Running, by_name, tmp_path, monkeypatch):
    inspect_ai = pytest.importorskip(
        "inspect_ai", reason="needs inspect-ai: pip install 'veneer[inspect]'"
    )
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    monkeypatch.setenv("INSPECT_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("VENEER_BASE_URL", server.url)
    monkeypatch.setenv("VENEER_API_KEY", "none")
    questions = LabTask("lab-sums").prompts("test")[:4]
    data = MemoryDataset(
        [Sample(input=p.plain, target=str(p.reference["answer"]), id=p.id) for p in questions]
    )
    (log,) = inspect_ai.eval(
        inspect_ai.Task(dataset=data, solver=generate(), scorer=includes()),
        model="openai-api/veneer/aligned",
        temperature=0,
        max_tokens=24,
        log_dir=str(tmp_path),
        display="none",
        max_connections=4,
    )
    assert log.status == "success", log.error
    plain = [Prompt.from_text(p.id, p.plain) for p in questions]
    own = by_name["aligned"].system.decode(plain, Sampling(24), (), [p.id for p in plain])
    assert [s.output.completion for s in log.samples] == [d.text for d in own]
