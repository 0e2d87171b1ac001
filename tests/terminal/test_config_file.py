"""--config FILE: the same options as on the command line, from a file or from a run."""

from __future__ import annotations

import json

import pytest

from veneer.cli.main import COMMANDS, main
from veneer.foundation.errors import InputError
from veneer.terminal.command_line import parse
from veneer.terminal.config_file import options_of, with_config

YAML = """
out: o
base: B
aligned: A
tasks: [advbench, ./mine.jsonl]
train: 7
max-new-tokens: 9
no-controls: true
published: false
revision: null
"""


def read(name, text, words=(), command="run", tmp_path=None):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    cls = COMMANDS[command]
    return parse(cls, command, with_config(cls, ["--config", str(path), *words]))


def test_a_file_says_what_the_command_line_says(tmp_path):
    words = (
        "--base B --aligned A --tasks advbench,./mine.jsonl --train 7 --max-new-tokens 9 --out o"
    )
    typed = parse(COMMANDS["run"], "run", [*words.split(), "--no-controls"])
    assert read("mine.yaml", YAML, tmp_path=tmp_path) == typed
    same = {
        "base": "B",
        "aligned": "A",
        "--tasks": ["advbench", "./mine.jsonl"],
        "train": 7,
        "out": "o",
    }
    same |= {"max_new_tokens": 9, "no_controls": True}
    assert read("mine.json", json.dumps(same), tmp_path=tmp_path) == typed
    toml = 'base = "B"\naligned = "A"\ntasks = ["advbench", "./mine.jsonl"]\ntrain = 7\nout = "o"\n'
    toml += "max-new-tokens = 9\nno-controls = true\n"
    assert read("mine.toml", toml, tmp_path=tmp_path) == typed


def test_the_command_line_wins(tmp_path):
    both = read("mine.yaml", YAML, ["--train", "5", "--tasks=svamp"], tmp_path=tmp_path)
    assert options_of(both)["train"] == 5 and options_of(both)["tasks"] == ["svamp"]
    assert options_of(both)["base"] == "B"


def test_options_come_back(tmp_path):
    """What a run records is a file for --config, for every command of which a line is known."""
    lines = {
        "run": "--base B --aligned A --tasks advbench --no-controls --train 3 --out o",
        "generate": "--model M --prompts p.jsonl --temperature 0.5 --out o",
        "chat": "runs/mine --alpha 0.5 --web",
        "report": "one two --out page.html",
        "audit": "A C --out o",
        "serve": "--model M --port 0 --key-env KEY",
    }
    for command, line in lines.items():
        cls = COMMANDS[command]
        typed = parse(cls, command, with_config(cls, line.split()))
        assert (
            read(f"{command}.json", json.dumps(options_of(typed)), (), command, tmp_path) == typed
        )


def test_a_finished_run_is_repeated_from_its_record(tmp_path, capsys):
    prompts = tmp_path / "p.jsonl"
    prompts.write_text("".join(f'{{"prompt": "Say {n}."}}\n' for n in range(12)))
    line = ["capture", "--base", "lab:base", "--aligned", "lab:aligned", "--prompts", str(prompts)]
    assert main([*line, "--max-new-tokens", "4", "--out", str(tmp_path / "one")]) == 0
    record = tmp_path / "one" / "run.json"
    assert json.loads(record.read_text())["options"]["max-new-tokens"] == 4
    again = ["capture", "--config", str(record), "--out", str(tmp_path / "two")]
    assert main(again) == 0
    capsys.readouterr()
    one, two = (
        [p.read_bytes() for p in sorted((tmp_path / f).glob("*.safetensors"))]
        for f in ("one", "two")
    )
    assert one and one == two


@pytest.mark.parametrize(
    "name, text, sentence",
    [
        ("a.yaml", "trian: 3", "did you mean 'train'"),
        ("a.yaml", "- base", "holds a list; expected a mapping"),
        ("a.yaml", "", "holds nothing; expected a mapping"),
        ("a.ini", "base=B", "holds a text; expected a mapping"),
        ("a.yaml", "base: [unclosed", "is no YAML .line 1, column 16: a bracket is not closed"),
        ("a.yaml", "base: a: b", "a value that holds a colon and a space needs quotes"),
        ("a.yaml", "\tbase: b", "a tab stands where spaces are expected"),
        ("a.json", "{", "is no JSON"),
        ("a.toml", "base", "is no TOML"),
        ("a.yaml", "no-controls: 3", "expected true or false"),
        ("a.yaml", "train: {a: 1}", "expected a text, a number or a list"),
        ("a.yaml", "tasks: [a, [b]]", "expected a text, a number or a list"),
        ("a.yaml", "seed: [1, 2]", "gives seed as .* expected one value"),
        ("run.json", '{"command": "run", "config": {}}', "records no options"),
        ("a.yaml", "train: 3\nbase: B\ntrain: 5", "has the key 'train' twice; give it once"),
        ("a.json", '{"train": 3, "train": 5}', "has the key 'train' twice; give it once"),
        ("a.yaml", "max-new-tokens: 3\nmax_new_tokens: 5", "gives max-new-tokens twice, as"),
        ("a.yaml", "!!python/object/apply:os.system ['true']", "is no YAML"),
    ],
)
def test_bad_files(tmp_path, name, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read(name, text, tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "base: 0.10\naligned: 0123456\nout: 2024-01-01\ntrain: 010\n"),
        (
            "a.toml",
            "base = 0.10\naligned = '0123456'\nout = '2024-01-01'\ntrain = 10\n",
        ),
        ("a.json", '{"base": 0.10, "aligned": "0123456", "out": "2024-01-01", "train": 10}'),
    ],
)
def test_a_value_is_the_text_that_is_written(tmp_path, name, text):
    """YAML would make 0.10 a 0.1 and 0123456 an octal number."""
    words = ["--base", "0.10", "--aligned", "0123456", "--out", "2024-01-01", "--train", "10"]
    typed = parse(COMMANDS["run"], "run", words)
    assert read(name, text, tmp_path=tmp_path) == typed


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_with_a_mark(tmp_path, encoding):
    path, run = tmp_path / "a.json", COMMANDS["run"]
    path.write_text('{"base": "B", "aligned": "A", "out": "é"}', encoding=encoding)
    words = with_config(run, ["--config", str(path)])
    assert words == ["--base", "B", "--aligned", "A", "--out", "é"]


def test_no_file(tmp_path, capsys):
    assert main(["run", "--config"]) == 2
    assert "--config names no file" in capsys.readouterr().err
    assert main(["run", "--config", str(tmp_path / "none.yaml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_list_that_is_given_twice_is_refused(veneer, tmp_path):
    """The values behind the last name would count alone; of single values the last wins."""
    words = ["--viewpoints", "example", "--embedding-threshold", "0.6", "--out", tmp_path / "out"]
    done = veneer("overton", *words, "--responses", "a=A.jsonl", "--responses=b=B.jsonl")
    assert done.code == 2 and "--responses is given 2 times; give it once, with spaces" in done.err
    pair = ["--base", "lab:base", "--aligned", "lab:aligned", "--tasks", "lab-facts"]
    words = ["run", *pair, "--limit", 5, "--limit", 4, "--out", tmp_path / "run", "--dry-run"]
    assert veneer(*words).code == 0
    done = veneer(*words, "--tasks", "lab-sums")
    assert done.code == 2 and "--tasks is given 2 times; give it once, with commas" in done.err
