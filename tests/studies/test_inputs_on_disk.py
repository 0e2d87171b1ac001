"""A folder whose models or tasks have changed on disk since is refused, finished or not; one that
was moved, and one of an earlier version, is read."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints import veneer_of
from tiny import tiny
from veneer.foundation.errors import InputError
from veneer.foundation.results import Measurement
from veneer.models.on_disk import NOTE, SLICE, SLICES, _files, _hash, contents
from veneer.studies.runner import run_study
from veneer.tasks.registry import get_task


@dataclass
class Counting:
    """A study that says how often it measured."""

    model: str
    tasks: list
    name: str = "counting"
    measured: list[int] = field(default_factory=list)
    cut: bool = False

    def settings(self):
        return {"models": {"base": self.model}, "tasks": [t.name for t in self.tasks]}

    def check(self):
        pass

    def measure(self, run):
        run.note(data={t.name: t.source() for t in self.tasks})
        with run.stage("measure"):
            if self.cut:
                raise KeyboardInterrupt
        self.measured.append(1)
        yield Measurement("counting", "capitals", "accuracy", "base", 1.0, 1)


def rows(answer: str) -> str:
    header = {"task": {"name": "capitals", "scorer": "contains"}}
    row = {"id": "fr", "prompt": "Capital of France?", "answer": answer}
    return "".join(json.dumps(line) + "\n" for line in (header, row))


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lm = tiny()
    lm.model.save_pretrained("model")
    lm.tokenizer.save_pretrained("model")
    Path("capitals.jsonl").write_text(rows("Paris"))
    return Counting("model", [get_task("./capitals.jsonl")])


def edit_task():
    Path("capitals.jsonl").write_text(rows("Lyon"))


def edit_config():
    path = Path("model/config.json")
    path.write_text(path.read_text().replace("10000.0", "500000.0"))


def train_again():
    tensors = load_file("model/model.safetensors")
    tensors = {k: v + 1e-3 for k, v in tensors.items()}
    save_file(tensors, "model/model.safetensors", metadata={"format": "pt"})


CHANGES = {
    "task capitals": edit_task,
    r"model \(rope_parameters.rope_theta of config.json: 10000.0 there, 500000.0": edit_config,
    "model, which": train_again,
}


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_named(study, name, cut):
    study.cut = cut
    if cut:
        with pytest.raises(KeyboardInterrupt):
            run_study(study, "out", progress=False)
    else:
        run_study(study, "out", progress=False)
    before = Path("out/run.json").read_text()
    CHANGES[name]()
    study.cut = False
    with pytest.raises(InputError, match=f"out was made from other contents of .*{name}"):
        run_study(study, "out", progress=False)
    assert Path("out/run.json").read_text() == before and len(study.measured) == 1 - cut
    assert len(run_study(study, "other", progress=False)) == 1


def test_a_finished_folder_is_read_where_nothing_has_changed(study):
    run_study(study, "out", progress=False)
    Path("model/trainer_state.json").write_text("{}")  # what a trainer leaves there
    Path("capitals.jsonl").touch()
    assert len(run_study(study, "out", progress=False)) == 1
    shutil.copytree("out", "copied")
    assert len(run_study(study, "copied", progress=False)) == 1
    shutil.rmtree("model")  # a folder on a machine that has neither
    Path("capitals.jsonl").unlink()
    assert len(run_study(study, "copied", progress=False)) == 1 == len(study.measured)


def test_a_folder_of_an_earlier_version_is_read(study):
    run_study(study, "out", progress=False)
    record = json.loads(Path("out/run.json").read_text())
    assert set(record.pop(NOTE)) == {"model"}
    Path("out/run.json").write_text(json.dumps(record))
    edit_config()
    assert len(run_study(study, "out", progress=False)) == 1


@pytest.mark.parametrize("edited", [False, True])
def test_the_one_hash_of_an_earlier_version_is_compared(study, edited):
    run_study(study, "out", progress=False)
    record = json.loads(Path("out/run.json").read_text())
    record[NOTE] = {"model": _hash(_files("model"), whole=True)}
    Path("out/run.json").write_text(json.dumps(record))
    if edited:
        edit_config()
        with pytest.raises(InputError, match="other contents of model, which"):
            run_study(study, "out", progress=False)
    else:
        assert len(run_study(study, "out", progress=False)) == 1


def test_the_same_files_written_again_are_the_same(study):
    run_study(study, "out", progress=False)
    for name in ("config.json", "generation_config.json", "tokenizer.json"):
        path = Path("model") / name
        config = json.loads(path.read_text())
        if name != "tokenizer.json":
            config |= {"transformers_version": "4.40.0", "_comment": "as released"}
        if name == "config.json":
            config |= {"use_cache": False, "torch_dtype": config.pop("dtype")}
        path.write_text(json.dumps(dict(reversed(config.items())), indent=4))
    assert len(run_study(study, "out", progress=False)) == 1 == len(study.measured)


def test_a_capture_with_another_shard_is_refused(study):
    study.model = "capture"
    Path("capture").mkdir()
    Path("capture/manifest.json").write_text(json.dumps({"kind": "capture", "seed": 0}))
    Path("capture/shard-00000.json").write_text(json.dumps({"sha256": "a"}))
    run_study(study, "out", progress=False)
    Path("capture/noise.json").write_text("[]")
    assert len(run_study(study, "out", progress=False)) == 1
    Path("capture/shard-00000.json").write_text(json.dumps({"sha256": "b"}))
    with pytest.raises(InputError, match="other contents of capture, which changed"):
        run_study(study, "out", progress=False)


def test_a_named_model_and_a_veneer_are_told_apart(study):
    veneer_of(tiny(), rank=1).save("veneer")
    before = dict(contents({"also": ["x=model"], "veneer": "veneer"}))
    assert set(before) == {"model", "veneer"}
    veneer_of(tiny(), rank=2).save("veneer")
    edit_config()
    after = dict(contents({"also": ["x=model"], "veneer": "veneer"}))
    assert after["veneer"] != before["veneer"] and after["model"] != before["model"]


def test_an_adapter_and_its_base_are_hashed_apart(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    weights = torch.zeros(2 * SLICES * SLICE, dtype=torch.uint8)
    (adapter / "adapter_model.safetensors").write_bytes(bytes(weights.numpy()))
    base = tmp_path / "base.gguf"
    base.write_bytes(b"GGUF")
    name = f"{adapter}@{base}"
    before = dict(contents({"also": [{"x": name}], "tasks": ["lab-sums"], "n": 1}))
    assert set(before) == {str(adapter), str(base)}
    weights[-1] = 1
    (adapter / "adapter_model.safetensors").write_bytes(bytes(weights.numpy()))
    after = dict(contents([name]))
    assert after[str(base)] == before[str(base)] and after[str(adapter)] != before[str(adapter)]
