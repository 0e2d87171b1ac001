"""--template-arg and --template-date: read, recorded, and refused where they
would change nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import get_type_hints

import pytest

from tiny import tiny
from veneer.cli.main import COMMANDS
from veneer.foundation.errors import InputError
from veneer.terminal.template_options import TemplateOptions, arguments

THINKING = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor "
    "%}{% if add_generation_prompt %}"
    "<|assistant|>{% if enable_thinking is defined and not enable_thinking %}No thought.{% endif "
    "%}{% endif %}"
)
RENDERING = {
    "run",
    "capture",
    "generate",
    "measure",
    "transfer",
    "restore",
    "audit",
    "serve",
    "diversity",
    "recover",
    "lm-eval",
    "tasks",
    "complexity",
    "curve",
    "depth",
    "leak",
}
OFF = ("--template-arg", "enable_thinking=false")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> dict[str, Path]:
    """Base, and an aligned model with a hybrid template."""
    folders = {}
    for seed, role in enumerate(("base", "aligned")):
        folders[role] = tmp_path_factory.mktemp("pair") / role
        lm = tiny(seed=seed)
        tok = copy.deepcopy(lm.tokenizer)
        tok.chat_template = THINKING
        lm.model.save_pretrained(folders[role])
        tok.save_pretrained(folders[role])
    return folders


@pytest.fixture
def questions(tmp_path) -> Path:
    path = tmp_path / "prompts.jsonl"
    path.write_text(
        "".join(
            json.dumps({"prompt": f"How do I bake {word}?"}) + "\n"
            for word in ("bread", "apples", "things")
        )
    )
    return path


def test_every_command_that_renders_a_template_has_the_options():
    def renders(kind: type) -> bool:
        groups = [h for h in get_type_hints(kind).values() if isinstance(h, type)]
        return any(issubclass(cls, TemplateOptions) for cls in [kind, *groups])

    assert {name for name, kind in COMMANDS.items() if renders(kind)} == RENDERING


def test_values_are_json_or_text():
    values = arguments(
        ["a=false", "b=low", "c=3", 'd={"x": [1]}', "e=2024-01-01", 'f="3"', "g=", "h=a=b"]
    )
    assert values == {
        "a": False,
        "b": "low",
        "c": 3,
        "d": {"x": [1]},
        "e": "2024-01-01",
        "f": "3",
        "g": "",
        "h": "a=b",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["enable_thinking"], "expected KEY=VALUE"),
        (["a b=1"], "expected KEY=VALUE"),
        (["enable_thinking=False"], "expected JSON: enable_thinking=false"),
        (["x=None"], "expected JSON: x=null"),
        (["messages=[]"], "which Veneer sets itself"),
        (["a=1", "a=2"], "gives 'a' twice"),
    ],
)
def test_what_is_no_value_is_refused(words, says):
    with pytest.raises(InputError, match=says):
        arguments(words)


def test_a_capture_records_its_arguments_and_refuses_others(veneer, pair, questions, tmp_path):
    command = (
        "capture",
        "--base",
        pair["base"],
        "--aligned",
        pair["aligned"],
        "--prompts",
        questions,
        "--max-new-tokens",
        "4",
    )
    assert veneer(*command, *OFF, "--out", tmp_path / "c").code == 0
    manifest = json.loads((tmp_path / "c" / "manifest.json").read_text())
    assert manifest["aligned_format"] == {
        "kind": "chat",
        "system": None,
        "arguments": {"enable_thinking": False},
    }
    assert json.loads((tmp_path / "c" / "run.json").read_text())["config"]["template_arg"] == {
        "enable_thinking": False
    }
    assert veneer(*command, *OFF, "--out", tmp_path / "c").code == 0
    again = veneer(*command, "--out", tmp_path / "c")
    assert again.code == 2 and "aligned_format" in again.err
    typo = veneer(*command, "--template-arg", "enable_thinkin=false", "--out", tmp_path / "d")
    assert typo.code == 2 and "does not read 'enable_thinkin'; it reads enable_thinking" in typo.err
    assert not (tmp_path / "d" / "manifest.json").exists()
    useless = veneer(*command, *OFF, "--aligned-plain", "--out", tmp_path / "d")
    assert useless.code == 2 and "found --template-arg beside --aligned-plain" in useless.err


def test_generate_and_tasks_read_them(veneer, pair, questions, tmp_path):
    def generate(*more: str) -> str:
        out = tmp_path / f"{len(list(tmp_path.glob('*.out')))}.out"
        done = veneer(
            "generate",
            "--model",
            pair["aligned"],
            "--prompts",
            questions,
            "--max-new-tokens",
            "6",
            *more,
            "--out",
            out,
        )
        return done.err if done.code else out.read_text()

    assert (
        generate("--chat", *OFF)
        != generate("--chat")
        == generate("--chat", "--template-arg", "enable_thinking=true")
    )
    assert "found --template-arg without --chat" in generate(*OFF)
    assert "found --template-arg beside --plain" in generate("--plain", *OFF)
    assert "it reads enable_thinking" in generate("--chat", "--template-arg", "thinking=false")
    shown = veneer("tasks", "show", "lab-requests", "--aligned", pair["aligned"], *OFF)
    assert shown.code == 0 and "<|assistant|>No thought." in shown.out


def test_an_endpoint_is_sent_them_by_vllms_name(questions, veneer, tmp_path):
    pytest.importorskip("openai", reason="needs the package openai: pip install 'veneer[openai]'")
    from faulty_server import serving

    with serving(lambda call: call.say("fine")) as server:
        words = ("generate", "--url", server.url, "--model", "m", "--prompts", questions)
        assert veneer(*words, *OFF, "--out", tmp_path / "a").code == 0
        assert veneer(*words, "--out", tmp_path / "b").code == 0
    assert [c.get("chat_template_kwargs") for c in server.calls] == [
        {"enable_thinking": False}
    ] * 3 + [None] * 3
    dated = veneer(
        "generate",
        "--url",
        "http://localhost:1/v1",
        "--model",
        "m",
        "--prompts",
        questions,
        "--template-date",
        "2024-01-01",
        "--out",
        tmp_path / "c",
    )
    assert dated.code == 2 and "whose server writes the date itself" in dated.err


def test_settings_that_a_model_ships_are_named_or_applied(veneer, pair, questions, tmp_path):
    import shutil

    folder = Path(shutil.copytree(pair["aligned"], tmp_path / "m"))
    shipped = {"eos_token_id": 1, "do_sample": True, "temperature": 0.5, "repetition_penalty": 1.3}
    (folder / "generation_config.json").write_text(json.dumps(shipped))
    words = (
        "generate",
        "--model",
        folder,
        "--chat",
        "--prompts",
        questions,
        "--max-new-tokens",
        "6",
    )

    def manifest(name: str) -> dict:
        return json.loads((tmp_path / f"{name}.manifest.json").read_text())

    done = veneer(*words, "--out", tmp_path / "a")
    assert done.code == 0 and manifest("a")["settings_not_applied"] == {
        k: v for k, v in shipped.items() if k != "eos_token_id"
    }
    assert veneer(*words, "--model-settings", "--out", tmp_path / "b").code == 0
    assert (
        manifest("b")["sampling"].items() >= {"temperature": 0.5, "repetition_penalty": 1.3}.items()
    )
    assert "settings_not_applied" not in manifest("b")
    assert (
        veneer(
            *words,
            "--model-settings",
            "--repetition-penalty",
            "1.1",
            "--samples",
            "2",
            "--out",
            tmp_path / "c",
        ).code
        == 0
    )
    assert manifest("c")["settings_not_applied"] == {"repetition_penalty": 1.3}
    (folder / "generation_config.json").write_text('{"no_repeat_ngram_size": 3}')
    refused = veneer(*words, "--model-settings", "--out", tmp_path / "d")
    assert (
        refused.code == 2
        and "cannot apply: no_repeat_ngram_size 3" in refused.err
        and not (tmp_path / "d").exists()
    )
    far = veneer(
        "generate",
        "--url",
        "http://localhost:1/v1",
        "--model",
        "m",
        "--model-settings",
        "--prompts",
        questions,
        "--out",
        tmp_path / "e",
    )
    assert far.code == 2 and "found --model-settings beside --url" in far.err


def test_a_served_model_fills_what_a_request_leaves_open():
    pytest.importorskip("pydantic", reason="needs pydantic: pip install 'veneer[serve]'")
    from veneer.models.formats import ChatFormat
    from veneer.models.sampling import Sampling
    from veneer.serve.requests import Limits, make_job
    from veneer.serve.schema import ChatBody
    from veneer.serve.served import Served
    from veneer.systems.system import System

    lm = tiny()
    own = Sampling(
        temperature=0.4,
        top_k=7,
        repetition_penalty=1.2,
        logit_bias=((9, -1e6),),
        barred=(5,),
        barred_steps=1,
    )
    served = Served(System("aligned", lm, ChatFormat(), lm.stop_ids), settings=own)

    def sampling(where: Served, **words) -> Sampling:
        body = ChatBody.model_validate(
            {
                "model": "aligned",
                "messages": [{"role": "user", "content": "a"}],
                "max_tokens": 5,
                **words,
            }
        )
        return make_job(body, where, Limits(), lambda: None).rows[0].sampling

    settings = sampling(served)
    assert (settings.temperature, settings.top_k, settings.repetition_penalty, settings.barred) == (
        0.4,
        7,
        1.2,
        (5,),
    )
    assert settings.logit_bias == ((9, -1e6),)
    settings = sampling(served, temperature=0, top_k=0, repetition_penalty=1.1)
    assert (settings.temperature, settings.top_k, settings.repetition_penalty) == (0, 0, 1.1)
    plain = sampling(Served(System("aligned", lm, ChatFormat(), lm.stop_ids)))
    assert (
        plain.temperature,
        plain.top_k,
        plain.top_p,
        plain.repetition_penalty,
        plain.logit_bias,
    ) == (1.0, 0, 1.0, 1.0, ())


@pytest.mark.parametrize("how", [(), ("--chat",), ("--plain",)])
def test_a_model_with_a_chat_template_that_reads_plain_text_says_so(veneer, how, tmp_path):
    questions = tmp_path / "asked.txt"
    questions.write_text("What is 3 plus 4?\n")
    words = ("--prompts", questions, "--max-new-tokens", "2", "--out", tmp_path / "answers.jsonl")
    done = veneer("generate", "--model", "lab:aligned", *how, *words)
    assert done.code == 0
    assert ("reads these prompts as plain text; give --chat" in done.err) == (not how)
