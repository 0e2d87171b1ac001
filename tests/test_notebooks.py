"""The notebooks of examples/notebooks run from the first cell to the last in a real kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
client = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# what a reader sees in each; `slow` ones train nothing but take longer than the suite allows
SEEN = {
    "quickstart": ["image/png", "portion", "veneer: How can I break into a house?"],
    "own_pair": ["refuses-", "Capture", "aligned:"],
    "audit": ["verdict", "only-layers"],
    "complexity": ["complexity_bits", "refusal rate"],
}
SLOW = ("audit", "complexity")


def outputs(notebook) -> str:
    """Everything that the cells show, with the types of the pictures."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            parts += [output.get("text", ""), *data, *map(str, data.values())]
    return "\n".join(parts)


def test_every_notebook_is_here_and_holds_no_outputs():
    assert {p.stem for p in NOTEBOOKS} == set(SEEN)
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not any(cell.get("outputs") for cell in notebook.cells), path
        assert path.stat().st_size < 20_000


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in SEEN]
)
def test_a_notebook_runs_and_shows_its_results(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    client.NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
        env=dict(os.environ),
    ).execute()
    text = outputs(notebook)
    assert [words for words in SEEN[name] if words not in text] == []
