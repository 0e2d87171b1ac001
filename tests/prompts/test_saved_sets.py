"""Folders that the package `datasets` saved."""

from __future__ import annotations

import pytest

from veneer.foundation.errors import InputError
from veneer.prompts.files import read_prompts

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_saved_set_and_a_saved_set_of_splits(tmp_path):
    one, two = (datasets.Dataset.from_list([{"prompt": t}, {"prompt": t * 2}]) for t in "ab")
    one.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": one, "test": two}).save_to_disk(tmp_path / "both")

    def texts(source):
        return [p.text for p in read_prompts(source)]

    assert texts(str(tmp_path / "one")) == ["a", "aa"]
    assert texts(str(tmp_path / "both")) == ["a", "aa"]
    assert texts(f"hf://{tmp_path / 'both'}:test") == ["b", "bb"]
    with pytest.raises(InputError, match="a data set without splits; leave out ':test'"):
        read_prompts(f"hf://{tmp_path / 'one'}:test")
