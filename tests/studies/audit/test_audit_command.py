"""veneer audit: two positional models, the verdict on stdout and in run.json, the section in the
report, and what it refuses."""

from __future__ import annotations

import json

import pytest

from veneer.foundation.results import Results

SMALL = (
    *("--limit", "6", "--max-new-tokens", "12", "--folds", "2", "--patched-prompts", "2"),
    *("--texts", "16", "--samples", "1", "--sample-tokens", "6", "--amplify", "1,3"),
)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("audited") / "audit"


def test_audit_on_the_lab(veneer, out):
    result = veneer("audit", "lab:aligned", "lab:compromised", *SMALL, "--out", out)
    assert result.code == 0, result.err
    assert (
        result.out.startswith("surface moved, carried by the layers")
        and "same answer" in result.out
        and "report.html" in result.out
    )
    run = json.loads((out / "run.json").read_text())
    assert (
        run["finished"]
        and run["command"] == "audit"
        and run["config"]["sources"]["harmful"] == ["lab-requests"]
    )
    assert run["verdict"]["moved"] == "surface moved" and run["reference"]["name"] == "lab:aligned"
    results = Results.read(out / "results.jsonl")
    assert {r.study for r in results} == {"audit"} and {r.task for r in results} >= {
        "harmful",
        "harmless",
        "all",
    }
    page = (out / "report.html").read_text()
    assert (
        'id="s1-audit"' in page
        and "How far has a fine-tuned model" in page
        and "Surface moved, carried by the layers" in page
    )
    assert (
        page.count('<rect class="bar-MLP') == 4
        and "A&#39;s head on C&#39;s states" in page
        and "layers 0 to 3" in page
    )
    opening = (
        "C refuses 0 of 6 harmful prompts, A 6. The weights differ in layers 0 to 3 and the head; "
        "a new head alone brings back 6."
    )
    step = (
        "veneer restore --aligned lab:aligned --compromised lab:compromised --ways own --out "
        f"{out}-restored"
    )
    for text in (result.out, page):
        assert opening in " ".join(text.split()) and step in " ".join(text.split())
    assert "A: the reference, lab:aligned; C: the audited model, lab:compromised" in result.out
    assert "what was taught" in result.out and "times as likely" in result.out
    assert "What was taught" in page and "3 times the difference" in page
    lines = (out / "samples.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 3 * 3  # bare and chat, three beginnings, A and two strengths


def test_the_page_shows_answers_side_by_side(out):
    """The rule gives the prompts, the harmful ones first since there refusals differ; each answer
    has its verdict and the KL from both systems at every token."""
    rows = [json.loads(line) for line in (out / "tokens.jsonl").read_text().splitlines()]
    facts = json.loads((out / "run.json").read_text())["shown_prompts"]
    assert facts == {"shown": 10, "differ": 6, "prompts": 12}
    assert [r["system"] for r in rows[:3]] == ["audited", "audited-veneer", "reference"]
    refused = [[r["scores"]["refusal_rate"] for r in rows[at : at + 3]] for at in (0, 3)]
    assert refused == [[0, 1, 1]] * 2 and rows[0]["task"] == "harmful"
    for row in rows:
        assert row["yardstick"] == "reference" and len(row["tokens"]) == len(row["kl_audited"])
    mean = {
        s: sum(sum(r[f"kl_{s}"]) for r in rows) / sum(len(r["tokens"]) for r in rows)
        for s in ("audited", "audited-veneer")
    }
    assert mean["audited-veneer"] < 0.2 * mean["audited"]
    page = (out / "report.html").read_text()
    assert 'id="s1-answers"' in page and 'id="s1-responses"' not in page
    assert "the first 6 on which the verdicts of the systems differ" in page


def test_again_changes_nothing_and_another_is_refused(veneer, out):
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    assert veneer("audit", "lab:aligned", "lab:compromised", *SMALL, "--out", out).code == 0
    result = veneer("audit", "lab:aligned", "lab:base", *SMALL, "--out", out)
    assert result.code == 2 and "another configuration (audited" in result.err
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before


def test_a_model_against_itself_and_own_prompts(veneer, tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(
        "".join(json.dumps({"prompt": f"What is {i} plus 1?"}) + "\n" for i in range(4))
    )
    words = (
        "--harmful",
        "lab-requests",
        "--harmless",
        f"{file},lab-harmless",
        "--limit",
        "4",
        "--max-new-tokens",
        "8",
    )
    result = veneer(
        "audit", "lab:aligned", "lab:aligned", *words, "--plain", "--out", tmp_path / "out"
    )
    assert result.code == 0 and result.out.startswith("unchanged\n"), result.err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "No weight of any layer differs" in page and "Unchanged." in page


def test_too_few_texts(veneer, tmp_path):
    file = tmp_path / "few.txt"
    file.write_text("one\ntwo\ntwo\n")
    out = tmp_path / "out"
    result = veneer("audit", "lab:aligned", "lab:base", "--reference-text", file, "--out", out)
    assert result.code == 2 and "holds 2 different texts; expected 8 or more" in result.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["lab:aligned", "--out", "{out}"], "AUDITED"),
        (["lab:aligned", "lab:aligned"], "--out"),
        (["lab:aligned", "/no/such/model", "--out", "{out}"], "there is no folder"),
        (
            ["lab:aligned", "lab:aligned", "--harmful", "nothing", "--out", "{out}"],
            "neither a file nor a task",
        ),
        (
            ["lab:aligned", "lab:aligned", "--harmless", ",", "--out", "{out}"],
            "--harmless names no task",
        ),
        (["lab:aligned", "lab:aligned", "--limit", "1", "--out", "{out}"], "--limit 1"),
        (["lab:aligned", "lab:aligned", "--folds", "1", "--out", "{out}"], "--folds is 1"),
        (["lab:aligned", "lab:aligned", "--texts", "-1", "--out", "{out}"], "texts is -1"),
        (["lab:aligned", "lab:aligned", "--amplify", "2,2", "--out", "{out}"], "amplify is 2,2"),
        (["lab:aligned", "lab:aligned", "--amplify", "0", "--out", "{out}"], "amplify is 0"),
        (["lab:aligned", "lab:aligned", "--plausible", "2", "--out", "{out}"], "plausible is 2"),
        (
            ["lab:aligned", "lab:aligned", "--reference-text", "/no/such", "--out", "{out}"],
            "/no/such does not exist",
        ),
        (
            [
                "lab:aligned",
                "lab:aligned",
                "--data",
                "/no/such/folder",
                "--harmful",
                "advbench",
                "--out",
                "{out}",
            ],
            "--data names",
        ),
    ],
)
def test_bad_input(veneer, words, wanted, tmp_path, monkeypatch):
    monkeypatch.delenv("VENEER_DATA", raising=False)
    result = veneer("audit", *(w.replace("{out}", str(tmp_path / "out")) for w in words))
    assert (
        result.code == 2 and wanted in result.err.splitlines()[-1] and "Traceback" not in result.err
    )
    assert not list(tmp_path.iterdir())
