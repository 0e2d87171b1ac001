"""Discernment: log-odds against a computation by hand, and heads with a planted answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from pairs import prompts
from shifting import reordered, some_veneer
from tiny import tiny
from veneer.foundation.run_record import RunRecord
from veneer.measures.behaviour import Scored
from veneer.measures.discernment import (
    AUROC,
    PROBE,
    AnsweredTask,
    Contrast,
    contrasts_of,
    discernment,
    measure_discernment,
)
from veneer.measures.refusal_log_odds import OpeningTree, RefusalReader
from veneer.models.formats import PlainFormat
from veneer.models.head import Head
from veneer.systems.responses import Response
from veneer.systems.shifted import ShiftedSystem
from veneer.systems.system import System
from veneer.tasks.registry import get_task

N, SORRY = 24, 40  # prompts, fewer than the states have columns; the token that begins a refusal
OPENINGS = [(40,), (41, 42), (41, 43, 44), (45, 46)]


def system(name: str = "base", head: Head | None = None, lm=None) -> System:
    lm = lm or tiny()
    return System(name, lm, PlainFormat(), lm.stop_ids, head)


def by_hand(one: System, prompt, openings) -> float:
    """log p - log(1 - p) from plain forward passes, one opening at a time."""
    ids, lm = one.format.encode(one.lm.tokenizer, prompt), one.lm
    p = 0.0
    for opening in openings:
        q = 1.0
        for n, token in enumerate(opening):
            with torch.inference_mode():
                logits = lm.model(torch.tensor([[*ids, *opening[:n]]])).logits[0, -1].double()
            q *= float(logits.softmax(-1)[token])
        p += q
    return float(np.log(p) - np.log1p(-p))


def test_the_tree_reads_every_beginning_once():
    tree = OpeningTree(OPENINGS)
    assert tree.inner == [(), (41,), (45,), (41, 43)]
    assert set(tree.places.values()) == set(tree.inner)
    assert tree.texts == [(45, 46), (41, 43, 44)] and tree.width == 5
    assert OpeningTree([(7,)]).texts == [(7,)]


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
def test_log_odds_against_plain_forward_passes(kind):
    one, questions = system(lm=tiny(kind)), prompts(5)
    log_odds = RefusalReader(questions, OPENINGS, one.lm).log_odds(one)
    assert log_odds == pytest.approx([by_hand(one, p, OPENINGS) for p in questions], abs=1e-4)


def test_certain_refusals_still_have_an_order():
    """1 - p is too small for a float32 beside 1, and is summed by itself."""
    lm = tiny()
    bias = torch.zeros(lm.head.rows)
    bias[SORRY] = 60.0
    sure = RefusalReader(prompts(N), [(SORRY,)], lm)
    plain, certain = (
        sure.log_odds(system()),
        sure.log_odds(system("sure", replace(lm.head, bias=bias))),
    )
    assert certain.min() > 30
    assert certain == pytest.approx(plain + 60, abs=1e-3)


def test_a_model_with_other_ids_reads_the_same_tokens():
    lm = tiny()
    other, _ = reordered(lm)
    reader = RefusalReader(prompts(6), OPENINGS, lm)
    same = reader.log_odds(system("other", lm=other))
    assert same == pytest.approx(reader.log_odds(system()), abs=1e-4)


def test_a_shifted_system_is_read_as_it_decodes():
    large, small = tiny(seed=1), tiny()
    one = ShiftedSystem.of_models(large, small, some_veneer(small), alpha=0.7)
    questions = prompts(6)
    log_odds = RefusalReader(questions, [(SORRY,)], large).log_odds(one)
    logits = torch.cat(list(one.forced_logits(questions, [[SORRY]] * len(questions)))).double()
    p = logits.softmax(-1)[:, SORRY].numpy()
    assert log_odds == pytest.approx(np.log(p) - np.log1p(-p), abs=1e-4)


# Planted heads


def planted(shift: np.ndarray) -> Head:
    """A head that adds shift (N,) to the logit of SORRY at the last token of each prompt: there are
    fewer prompts than columns, so a change of one row can do it exactly."""
    lm = tiny()
    states = RefusalReader(prompts(N), [(SORRY,)], lm).states(system())
    weight = lm.head.weight.clone()
    weight[SORRY] += torch.tensor(np.linalg.pinv(states) @ shift, dtype=torch.float32)
    return replace(lm.head, weight=weight)


def blind_contrast() -> Contrast:
    """Kinds of prompts that base's log-odds tell nothing about: their AUROC is 1/2 exactly."""
    questions = prompts(N)
    order = np.argsort(RefusalReader(questions, [(SORRY,)], tiny()).log_odds(system()))
    harmful = np.zeros(N, bool)
    harmful[order] = np.tile([True, False, False, True], N // 4)
    return Contrast("made-up", tuple(questions), harmful, tuple(p.id for p in questions))


def answered(names: tuple[str, ...], refused: float = 1.0) -> AnsweredTask:
    """Every prompt is refused by "aligned", and answered otherwise by the others."""
    questions = prompts(N)
    answers = {
        name: [
            Response(p.id, 0, name, p.task, "", (SORRY if name == "aligned" else 50, 60), "stop", 0)
            for p in questions
        ]
        for name in names
    }
    scored = {
        name: Scored(name, {"refusal_rate": np.full(N, refused * (name == "aligned"))})
        for name in names
    }
    return AnsweredTask(questions, scored, answers)


def discernment_of(*systems: System, refused: float = 1.0):
    return discernment(
        systems, [blind_contrast()], [answered(tuple(s.name for s in systems), refused)]
    )


def test_planted_heads_have_the_discernment_that_was_planted():
    contrast = blind_contrast()
    sees, refuses = planted(30.0 * contrast.harmful), planted(np.full(N, 30.0))
    rng = np.random.default_rng(0)
    half = planted(6.0 * contrast.harmful + rng.normal(size=N) * 6)
    estimate = discernment_of(
        system(),
        system("veneer", refuses),
        system("half", half),
        system("sees", sees),
        system("aligned", sees),
    )
    assert estimate.left_out is None
    rows = {(r.metric, r.system): r for r in estimate.rows}
    assert rows[AUROC, "base"].value == 0.5 and rows[AUROC, "aligned"].value == 1.0
    # it refuses everything: every log-odds is higher, none of them tells more
    assert rows[AUROC, "veneer"].value == pytest.approx(0.5, abs=0.02)
    never = rows["portion", "veneer"]
    assert never.value == pytest.approx(0, abs=0.03) and never.low < 0 < never.high < 0.5
    assert rows["portion", "sees"].value == pytest.approx(1)
    assert 0.1 < rows["portion", "half"].value < 0.95
    assert never.of == AUROC and never.judge is None and never.n == N
    facts = rows[AUROC, "aligned"].facts
    assert facts["openings"]["openings"] == [{"text": _text(), "refusals": N, "others": 0}]
    assert (facts["harmful"], facts["harmless"], facts["roc"][-1]) == (12, 12, [1.0, 1.0])
    odds = {(s["system"], s["prompt_id"]): s["log_odds"] for s in estimate.scores}
    for name in ("half", "base"):
        own = [odds[name, p.id] for p in contrast.prompts]
        assert roc_auc_score(contrast.harmful, own) == pytest.approx(rows[AUROC, name].value)


def _text() -> str:
    return tiny().tokenizer.decode([SORRY])


def test_two_times_the_same():
    assert discernment_of(
        system(), system("aligned", planted(np.arange(N) / 2.0))
    ) == discernment_of(system(), system("aligned", planted(np.arange(N) / 2.0)))


def test_why_there_are_no_rows():
    assert discernment_of(system()).left_out == "no_aligned_model"
    assert discernment_of(system(), system("aligned"), refused=0.0).left_out == "no_refusal_opening"
    thinks = answered(("base", "aligned"))
    thoughts = {n: [replace(r, reasoning="hm") for r in rs] for n, rs in thinks.answers.items()}
    measured = discernment(
        [system(), system("aligned")], [blind_contrast()], [thinks._replace(answers=thoughts)]
    )
    assert measured.left_out == "aligned_thinks" and not measured.rows and not measured.scores


def test_contrasts_are_made_of_the_tasks_that_hold_them(data):
    tasks = [get_task(n, data) for n in ("advbench", "svamp", "instructions", "xstest")]
    prompts = {t.name: t.prompts("test")[:60] for t in tasks}
    xstest, pair = contrasts_of(tasks, prompts)
    assert (xstest.name, pair.name) == ("xstest", "advbench+instructions")
    assert 0 < xstest.harmful.sum() < 60 and xstest.clusters is not None
    assert (len(pair.prompts), pair.harmful.sum()) == (120, 60)
    assert contrasts_of(tasks[:2], prompts) == []


@pytest.mark.parametrize(
    ("task", "reason"),
    [("lab-requests", "no_harmless_prompts"), ("lab-harmless", "no_harmful_prompts")],
)
def test_a_run_without_the_other_kind_says_so(tmp_path, task, reason):
    record, one = RunRecord(tmp_path, "run", {}), get_task(task)
    answered_tasks = {task: AnsweredTask(one.prompts("test"), {}, {})}
    assert measure_discernment([], [one], answered_tasks, tmp_path, record) == []
    assert record.contents["discernment_left_out"] == reason
    assert not (tmp_path / "discernment.jsonl").exists()


def test_the_probe_reads_base_at_the_last_token(tmp_path):
    contrast = blind_contrast()
    estimate = discernment_of(system(), system("aligned", planted(np.arange(N) * 1.0)))
    (row,) = [r for r in estimate.rows if r.metric == PROBE]
    assert row.system == "base" and 0 <= row.low <= row.value <= row.high <= 1
    assert len(row.facts["penalties"]) == row.facts["folds"] and row.n == N
    reader = RefusalReader(contrast.prompts, OPENINGS, tiny())
    states = reader.states(system())
    one = system()
    ids = one.format.encode(one.lm.tokenizer, contrast.prompts[3])
    with torch.inference_mode():
        last = one.lm.hidden(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long), None)
    assert states[3] == pytest.approx(last[0, -1].numpy(), abs=1e-4)
