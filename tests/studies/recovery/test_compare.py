"""Systems on one scale, on planted answers; stored answers; BERTScore; the judge's similarity."""

from __future__ import annotations

import json

import numpy as np
import pytest

from veneer.endpoint import Reply, Usage
from veneer.foundation.errors import InputError, VeneerError
from veneer.foundation.results import Results
from veneer.studies.recovery import words
from veneer.studies.recovery.compare import SELF, Entry, compare, placed
from veneer.studies.recovery.prompts import summaries
from veneer.studies.recovery.published_answers import paper_layout
from veneer.studies.recovery.rows import answer_rows, rows, verdict_rows
from veneer.studies.recovery.show import show
from veneer.studies.recovery.similarity import Embedded, JudgedSimilarity, Lexical
from veneer.studies.recovery.stored import line_up, read_scores
from veneer.systems.responses import Response

rng = np.random.default_rng(0)
WORDS = [f"w{i}" for i in range(60)]


def answer(prompt: int, own: int, kept: int) -> str:
    """20 words, `kept` of them the teacher's for that prompt."""
    theirs = [WORDS[(prompt * 7 + j) % 60] for j in range(20)]
    return " ".join(theirs[:kept] + [f"x{prompt}-{own}-{j}" for j in range(20 - kept)])


def answers(kept: float, samples: int, prompts: int = 20, start: int = 0) -> list[list[str]]:
    return [
        [answer(p, start + s, int(np.clip(rng.normal(kept, 1), 0, 20))) for s in range(samples)]
        for p in range(prompts)
    ]


TEACHER = [[answer(p, 0, 20), *rest] for p, rest in enumerate(answers(16, 4, start=1))]
ENTRIES = [
    Entry("base", answers(3, 5, start=10)),
    Entry("near", answers(16, 5, start=20)),
    Entry("half", answers(9, 5, start=30), oracle="test-answers"),
    Entry("peer", answers(12, 5, start=40), peer=True),
]


def test_planted_systems_stand_where_they_were_put():
    c = compare(Lexical(), TEACHER, ENTRIES)
    assert c.candidates == 4 and c.n == 20
    assert c.portions["near", SELF].low < 1 < c.portions["near", SELF].high
    assert 0.2 < c.portions["half", SELF].value < 0.7 < 1 < c.portions["near", "peer"].low
    assert (
        c.verdicts["near", SELF].word == "equivalent"
        and c.verdicts["half", SELF].word == "different"
    )
    assert c.verdicts[
        "near", "peer"
    ].word == "different" and "above the ceiling" in words.verdict_sentence(
        c.verdicts["near", "peer"].facts
    )
    assert set(c.verdicts) == {
        ("near", SELF),
        ("half", SELF),
        ("peer", SELF),
        ("near", "peer"),
        ("half", "peer"),
    }
    assert (c.best["near"] >= c.similarity["near"]).all()


def test_the_terminal_tells_close_systems_apart(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    noise = np.random.default_rng(1).normal(0, 1e-3, 30)
    scores = {
        "base": [np.array([0.82 + x]) for x in noise],
        "near-one-with-a-long-name-that-wraps": [np.array([0.8741 + x]) for x in noise],
        "near-two": [np.array([0.8739 + x / 2]) for x in noise],
        "few": [np.array([0.87]), *[np.array([])] * 29],
        SELF: [np.array([0.89 - x]) for x in noise],
    }
    entries = [Entry(name, [[]] * 30) for name in scores if name != SELF]
    show(Results(rows(placed(scores, "bertscore"), entries, teacher="t", task="x")), "t")
    output = capsys.readouterr().out
    means = [line.split()[2] for line in output.splitlines() if line.startswith("near-")]
    assert len(set(means)) == 2 and "…" not in output
    assert "0 by definition" in output and "1 by definition" in output
    assert "undefined: bertscore, few: 1 prompts have all of system, base and ceiling" in output


def test_the_reference_is_never_its_own_candidate():
    same = [[a, a] for a in (x[0] for x in TEACHER)]
    assert compare(Lexical(), same, ENTRIES[:1]).similarity[SELF].tolist() == [1.0] * 20
    only = compare(Lexical(), [x[:1] for x in TEACHER], ENTRIES)
    assert SELF not in only.similarity and set(only.verdicts) == {
        ("near", "peer"),
        ("half", "peer"),
    }


def test_rows_have_unique_keys_intervals_and_oracle_marks():
    c = compare(Lexical(), TEACHER, ENTRIES)
    table = Results(
        [
            *rows(c, ENTRIES, teacher="aligned", task="t"),
            *answer_rows(ENTRIES, task="t", expected=5),
        ]
    )
    (ceiling,) = table.where(system="aligned", metric="lexical_similarity")
    assert (
        "ceiling" in ceiling.note and ceiling.n == 20 and ceiling.low < ceiling.value < ceiling.high
    )
    assert all("oracle" in (r.note or "") for r in table.where(system="half"))
    (gap,) = table.where(
        system="near", metric="gap_to_ceiling", of="lexical_similarity", split="ceiling:aligned"
    )
    assert gap.note.startswith("equivalent: margin")
    (best,) = table.where(system="base", metric="lexical_best")
    assert best.note == "expected best of 4 candidates"
    verdicts = list(verdict_rows(c, ENTRIES, teacher="aligned"))
    assert (
        len(verdicts) == 10
        and json.dumps(verdicts)
        and {v["verdict"] for v in verdicts} <= {"equivalent", "different", "undecided"}
    )


def test_missing_answers_are_counted_and_leave_their_prompts_out():
    few = Entry("few", [a if p < 2 else [] for p, a in enumerate(answers(9, 5))])
    c = compare(Lexical(), TEACHER, [ENTRIES[0], few])
    assert c.candidates == 4 and np.isfinite(c.similarity["few"]).sum() == 2
    assert (
        "2 prompts have all" in words.verdict_sentence(c.verdicts["few", SELF].facts)
        and c.portions["few", SELF].n == 2
    )
    (row,) = Results(answer_rows([few], task="t", expected=5)).where(metric="answers")
    assert (
        row.value == 0.5
        and row.note.startswith("90 of 100 answers are missing; counted")
        and row.low is None
    )


def test_embedding_measure_handles_empty_answers():
    from veneer.embed import load_embedder

    measure = Embedded(load_embedder())
    similarities = measure.similarities(
        ["a cat sat on a mat", ""], [["the cat sat on the mat", "", "tax law"], ["", "x"]]
    )
    assert (
        similarities[0][0] > 0.8 > similarities[0][2]
        and similarities[0][1] == 0
        and similarities[1].tolist() == [1.0, 0.0]
    )
    assert measure.similarities(["a"], [[]])[0].shape == (0,)


def response(prompt: str, sample: int, text: str) -> Response:
    return Response(prompt, sample, "s", "t", text, (), "stop", 0)


def test_lining_up_by_prompt_and_sample():
    teacher = [
        response("a", 1, "a1"),
        response("a", 0, "a0"),
        response("b", 1, "b1"),
        response("c", 0, "c0"),
    ]
    lined = line_up(teacher, {"x": [response("c", 3, "x"), response("z", 0, "z")]})
    assert (
        lined.ids == ["a", "c"]
        and lined.teacher == [["a0", "a1"], ["c0"]]
        and lined.systems["x"] == [[], ["x"]]
    )
    assert lined.notes == [
        "1 of 3 prompts have no sample 0 of the teacher and are left out",
        "x has answers to 1 of 2 prompts",
    ]
    with pytest.raises(InputError, match="x answers none of the teacher's 1 prompts"):
        line_up([response("a", 0, "")], {"x": [response("z", 0, "z")]})
    with pytest.raises(InputError, match="no sample 0 of any prompt"):
        line_up([response("a", 1, "")], {})


def stored(path, ref="t", alt="s", **more) -> None:
    n = 4
    row = {
        "ref_model": ref,
        "alt_model": alt,
        "instance_ids": [0, 0, 1, 1],
        "ref_sample_ids": [0] * n,
        "alt_sample_ids": [1, 0, 0, 1],
        "ref_texts": ["r"] * n,
        "alt_texts": ["a"] * n,
        "results": {
            "precision": [0.5] * n,
            "recall": [0.5] * n,
            "f1": [0.4, 1.0, 0.9, 0.6],
            "hashcode": "h",
        },
        **more,
    }
    path.write_text(json.dumps(row))


def test_stored_scores_leave_self_pairs_out(tmp_path):
    stored(tmp_path / "a.json")
    stored(tmp_path / "b.json", alt="t")
    scores, ids, code = read_scores([tmp_path / "a.json", tmp_path / "b.json"], "t")
    assert [x.tolist() for x in scores["s"]] == [[1.0, 0.4], [0.9, 0.6]]
    assert code == "h" and ids == ["0", "1"]
    assert [x.tolist() for x in scores[SELF]] == [[0.4], [0.6]]
    with pytest.raises(InputError, match="scores against 't'; expected the teacher 'other'"):
        read_scores([tmp_path / "a.json"], "other")
    with pytest.raises(InputError, match="as another file has"):
        read_scores([tmp_path / "a.json", tmp_path / "a.json"], "t")


class Scripted:
    """A judge that finds answers alike where they are equal, and cannot be read where
    one says "mumble"."""

    model = "scripted"

    def __init__(self):
        self.usage = Usage()

    def ask(self, requests, progress=None, what=""):
        out = []
        for r in requests:
            text = r.messages[-1]["content"]
            if "answer_a-" not in text:
                out.append(
                    Reply("```a summary```")
                    if "gone" not in text
                    else Reply("", error="out of reach")
                )
                continue
            a, b = (
                text.split(f"<{f}-")[1].split(">\n")[1].split("\n</")[0]
                for f in ("answer_a", "answer_b")
            )
            out.append(
                Reply("?" if "mumble" in (a, b) else json.dumps({"score": 5 if a == b else 3}))
            )
        return out


def test_judged_similarity_counts_pairs_without_a_verdict():
    measure = JudgedSimilarity(Scripted(), ["q", "r"])
    similarities = measure.similarities(["a", ""], [["a", "b", "mumble"], ["", "c"]])
    assert [x.tolist() for x in similarities] == [[1.0, 0.5], [1.0, 0.0]]
    assert "1 of 5 pairs without a verdict" in measure.note and measure.judge.startswith(
        "similarity-v1-"
    )


def test_summaries_lose_their_fences_and_failures_stop():
    assert (
        summaries(["q"], ["a"], Scripted()) == ["a summary"] and summaries([], [], Scripted()) == []
    )
    with pytest.raises(VeneerError, match="1 of 2 summaries are missing"):
        summaries(["q", "gone"], ["a", "b"], Scripted())


def test_paper_layout(tmp_path):
    for name in (
        "llama-2-base",
        "llama-2-chat",
        "gpt-4",
        "llama-2-icl",
        "llama-2-icl-chat-summary",
        "llama-2-icl-chat-summary-cot",
    ):
        (tmp_path / "LIMA-OE" / "outputs" / name).mkdir(parents=True)
        (tmp_path / "LIMA-OE" / "outputs" / name / "samples.jsonl").write_text("")
    for folder in (tmp_path, tmp_path / "LIMA-OE", tmp_path / "LIMA-OE" / "outputs"):
        layout = paper_layout(folder)
        assert (
            layout.teacher[0] == "llama-2-chat"
            and layout.peers == ["gpt-4"]
            and layout.oracles == ["llama-2-icl-chat-summary"]
        )
    assert paper_layout(tmp_path, "gpt-4").peers == ["llama-2-chat"]
    with pytest.raises(InputError, match="holds no answers of nobody"):
        paper_layout(tmp_path, "nobody")


def test_the_whole_published_tree_has_no_base_model_and_no_oracle_for_a_peer(tmp_path):
    """Names and prompts of the published LIMA-OE tree: what a file's prompts show decides, not only
    its name ("mistral" is a base model)."""
    fenced, shown = "# Query:\n```\nq\n```\n\n# Answer:\n```\n", "# Instructions:\n\nBelow"
    prompts = {
        "llama-2-base": fenced,
        "llama-2-chat": "[INST] q [/INST]",
        "gpt-3.5-turbo": None,
        "gpt-3.5-turbo-summary-llama-2-chat": None,
        "mistral": fenced,
        "mistral-base": fenced,
        "mistral-sft": "<|user|>\nq</s>\n<|assistant|>\n",
        "mistral-instruct": "<s>[INST] q [/INST]",
        "zephyr": "<|user|>\nq</s>\n<|assistant|>\n",
        "llama-2-icl": shown,
        "llama-2-icl-chat-knn-response_similar": shown,
        "llama-2-icl-chat-summary-cot": shown,
        "mistral-icl": shown,
        "mistral-icl-chat-summary": shown,
        "mistral-icl-instruct-knn-prompt_similar": shown,
    }
    for name, prompt in prompts.items():
        row = {"ok": True, "outputs": []} if prompt is None else {"prompt": prompt, "outputs": []}
        (tmp_path / name).mkdir()
        (tmp_path / name / "samples.jsonl").write_text(json.dumps(row) + "\n")
    layout = paper_layout(tmp_path)
    assert layout.peers == ["gpt-3.5-turbo", "mistral-instruct", "mistral-sft", "zephyr"]
    assert layout.oracles == [
        "gpt-3.5-turbo-summary-llama-2-chat",
        "llama-2-icl-chat-knn-response_similar",
        "mistral-icl-chat-summary",
    ]
    other = paper_layout(tmp_path, "zephyr", "mistral")
    assert other.base == "mistral" and "llama-2-base" not in other.peers
    assert other.peers == ["gpt-3.5-turbo", "llama-2-chat", "mistral-instruct", "mistral-sft"]
    with pytest.raises(InputError, match="both base and teacher"):
        paper_layout(tmp_path, "mistral", "mistral")
