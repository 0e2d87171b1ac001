"""A veneer in transformers' own `generate`: equal to ShiftedSystem, or to generating with the
merged head, in every mode it takes."""

from __future__ import annotations

import copy

import pytest
import torch
from transformers import MinNewTokensLengthLogitsProcessor, RepetitionPenaltyLogitsProcessor

from pairs import prompts
from shifting import reordered, some_veneer
from tiny import tiny
from veneer import VeneerLogitsProcessor
from veneer.foundation.errors import InputError
from veneer.models.decode import Sampling, decode_with
from veneer.models.formats import ChatFormat
from veneer.models.language_model import LanguageModel
from veneer.prompts.prompt import Prompt
from veneer.systems.shifted import ShiftedSystem

NEW = 12


def inputs(lm: LanguageModel, prompts) -> dict[str, torch.Tensor]:
    lm.tokenizer.padding_side = "left"
    return lm.tokenizer([p.plain for p in prompts], return_tensors="pt", padding=True)


def generate(lm: LanguageModel, prompts, processor, **words):
    """Answers (N, NEW) behind the prompts."""
    words = {"max_new_tokens": NEW, "do_sample": False, "pad_token_id": lm.pad_id, **words}
    if processor is not None:
        words = {"logits_processor": [processor], "eos_token_id": processor.stop_ids, **words}
    given = inputs(lm, prompts)
    out = lm.model.generate(**given, **words)
    ids = out if isinstance(out, torch.Tensor) else out.sequences
    return ids[:, given["input_ids"].shape[1] :], out


def answers(system: ShiftedSystem, prompts, **how) -> list[list[int]]:
    return [
        list(d.token_ids)
        for d in system.decode(prompts, Sampling(NEW, **how), (), [p.id for p in prompts])
    ]


def same(rows: torch.Tensor, expected: list[list[int]]) -> bool:
    """Equal up to the padding behind an answer's end."""
    return all(row[: len(e)] == e for row, e in zip(rows.tolist(), expected, strict=True))


def merged(lm: LanguageModel, veneer, alpha: float = 1.0) -> LanguageModel:
    """The same model with the veneer in its (untied) head."""
    model = copy.deepcopy(lm.model)
    with torch.no_grad():
        model.get_output_embeddings().weight.copy_(veneer.apply(lm.head, alpha).weight)
    model.generation_config.eos_token_id = sorted({*lm.stop_ids, *veneer.facts["stop_ids"]})
    return LanguageModel("merged", model, lm.tokenizer)


@pytest.fixture(scope="module")
def small() -> LanguageModel:
    return tiny()


@pytest.fixture(scope="module")
def large() -> LanguageModel:
    return tiny(seed=1)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "granite", "cohere", "phi", "mamba"])
@pytest.mark.parametrize("alpha", ["1", "1.5>0@6"])
def test_greedy_is_the_shifted_system(kind, alpha, small):
    """A batch padded on the left, of every kind of head, the small model reading the prompts in a
    format of its own."""
    large, questions = tiny(kind, seed=1), prompts(6)
    system = ShiftedSystem.of_models(
        large,
        small,
        some_veneer(small, stop_ids=(9, *range(100, 130))),
        alpha=alpha,
        small_format=ChatFormat(),
    )
    for given in ([p.plain for p in questions], [p.messages for p in questions], questions):
        ids, _ = generate(large, questions, VeneerLogitsProcessor(system, given))
        assert same(ids, answers(system, questions))


def test_from_names_and_objects_and_the_same_ids(small, large, tmp_path):
    """Without prompts the small model reads the large one's ids; `of` takes a bare
    transformers model."""
    veneer = some_veneer(small)
    veneer.save(tmp_path / "v")
    questions = prompts(5)
    shift = VeneerLogitsProcessor.of(large.model, large.tokenizer, small, tmp_path / "v", alpha=1.5)
    expected = answers(ShiftedSystem.of_models(large, small, veneer, alpha=1.5), questions)
    for _ in range(2):  # the same processor again, and for other prompts
        assert same(generate(large, questions, shift)[0], expected)
        assert same(generate(large, questions[1:3], shift)[0], expected[1:3])
    assert shift.stop_ids == list(shift.system.stop_ids) and 9 in shift.stop_ids


def test_embeddings_alone(small, large):
    """`generate` then shows no ids of the prompt: the small model needs prompts of its own."""
    questions = prompts(4)
    system = ShiftedSystem.of_models(large, small, some_veneer(small))
    expected = answers(system, questions)
    given = inputs(large, questions)
    words = {
        "inputs_embeds": large.model.get_input_embeddings()(given["input_ids"]),
        "attention_mask": given["attention_mask"],
        "max_new_tokens": NEW,
        "do_sample": False,
        "pad_token_id": large.pad_id,
    }
    shift = VeneerLogitsProcessor(system, [p.plain for p in questions])
    for _ in range(2):
        ids = large.model.generate(**words, logits_processor=[shift], eos_token_id=shift.stop_ids)
        assert same(ids, expected)
    with pytest.raises(InputError, match="passes no token ids of the prompt"):
        large.model.generate(**words, logits_processor=[VeneerLogitsProcessor(system)])


def test_ids_in_another_order(small, large):
    moved, _ = reordered(large)
    questions = prompts(4)
    system = ShiftedSystem.of_models(moved, small, some_veneer(small))
    assert same(
        generate(moved, questions, VeneerLogitsProcessor(system))[0], answers(system, questions)
    )


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"do_sample": True, "temperature": 1.3, "top_k": 0},
        {"do_sample": True, "top_p": 0.8, "num_return_sequences": 3},
        {"num_beams": 4},
        {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.5},
        {"num_beams": 3, "do_sample": True, "top_k": 0},
        {"num_beams": 3, "early_stopping": True},
        {"min_new_tokens": 4},
        {"use_cache": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("own_prompts", [False, True])
def test_every_mode_is_the_merged_head(words, own_prompts, small):
    """One model as large and small: `generate` with the processor against `generate` with the
    veneer in the head."""
    veneer = some_veneer(small, stop_ids=(9, *range(100, 120)))
    questions = prompts(4)
    system = ShiftedSystem.of_models(small, small, veneer)
    shift = VeneerLogitsProcessor(system, [p.plain for p in questions] if own_prompts else None)
    words = {"return_dict_in_generate": True, "output_scores": True, **words}
    torch.manual_seed(4)
    ids, out = generate(small, questions, shift, **words)
    torch.manual_seed(4)
    expected, truth = generate(merged(small, veneer), questions, None, **words)
    assert ids.tolist() == expected.tolist()
    if "num_beams" in words:
        torch.testing.assert_close(
            out.sequences_scores, truth.sequences_scores, rtol=1e-4, atol=1e-4
        )
    else:
        for a, b in zip(out.scores, truth.scores, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-3)


def test_beams_change_places_and_their_scores_are_those_of_the_shifted_system(
    small, large, monkeypatch
):
    """Two models: the summed log-probabilities that beam search reports are those of the
    text, teacher-forced."""
    questions = prompts(5)
    system = ShiftedSystem.of_models(
        large, small, some_veneer(small), small_format=ChatFormat(), alpha="1.5~5"
    )
    shift = VeneerLogitsProcessor(system, [p.plain for p in questions])
    moved = []
    real = VeneerLogitsProcessor._places
    monkeypatch.setattr(
        VeneerLogitsProcessor,
        "_places",
        lambda self, *a: (moved.append(real(self, *a)), moved[-1])[1],
    )
    words = {
        "num_beams": 4,
        "num_return_sequences": 4,
        "length_penalty": 0.0,
        "return_dict_in_generate": True,
        "output_scores": True,
    }
    ids, out = generate(large, questions, shift, **words)
    assert any(p is not None and p != sorted(p) for p in moved) and None not in moved
    responses = [
        r[: next((i + 1 for i, t in enumerate(r) if t in shift.stop_ids), len(r))]
        for r in ids.tolist()
    ]
    owners = [p for p in questions for _ in range(4)]
    logits = (
        torch.cat(list(system.forced_logits(owners, responses)))
        .log_softmax(-1)
        .split([len(r) for r in responses])
    )
    sums = [
        float(x.gather(-1, torch.tensor(r)[:, None]).sum())
        for x, r in zip(logits, responses, strict=True)
    ]
    assert out.sequences_scores.tolist() == pytest.approx(sums, abs=0.02)


def test_rows_that_come_from_nowhere_are_read_again(small, large):
    """A search that swaps in a row it kept from before: its tokens are read from the start."""
    system = ShiftedSystem.of_models(large, small, some_veneer(small))
    shift = VeneerLogitsProcessor(system)
    start = torch.tensor([[0, 20, 30], [0, 20, 30]])
    nothing = torch.zeros(2, large.head.rows)
    shift(start, nothing)
    for tail in (
        [[40], [50]],
        [[40, 41], [50, 51]],
        [[60, 61, 62], [50, 51, 52]],
        [[60, 61, 62, 63], [50, 51, 52, 53]],
    ):
        ids = torch.cat([start, torch.tensor(tail)], dim=1)
        scores = shift(ids, nothing)
        fresh = VeneerLogitsProcessor(system)(ids, nothing)
        torch.testing.assert_close(scores, fresh, rtol=1e-4, atol=1e-4)
    assert not nothing.any()


@pytest.mark.parametrize("alpha", ["1", "2>0.5@6"])
def test_an_answer_that_has_begun_continues(alpha, small, large):
    """prompt_length: the positions of alpha count from there, and the small model reads its own
    prompt before the beginning."""
    (prompt,) = prompts(1)
    system = ShiftedSystem.of_models(
        large, small, some_veneer(small, stop_ids=()), alpha=alpha, small_format=ChatFormat()
    )
    (whole,) = decode_with(system.stepper([prompt]), Sampling(NEW), stop_ids=())
    (own,), _ = system.encode([prompt])
    ids = torch.tensor([[*own, *whole.token_ids[:4]]])
    words = {
        "max_new_tokens": NEW - 4,
        "do_sample": False,
        "pad_token_id": large.pad_id,
        "eos_token_id": None,
    }
    for _ in range(2):
        shift = VeneerLogitsProcessor(system, [prompt], prompt_length=len(own))
        for _ in range(2):
            out = large.model.generate(
                ids, attention_mask=torch.ones_like(ids), logits_processor=[shift], **words
            )
            assert out[0, len(own) :].tolist() == list(whole.token_ids)


def test_padding_that_is_a_token_of_the_text(small, large):
    """Padding with the BOS: one stays where the tokenizer puts one, and attention_mask
    tells for certain."""
    questions = prompts(5)
    system = ShiftedSystem.of_models(large, small, some_veneer(small))
    expected = answers(system, questions)
    pad, large.tokenizer.pad_token = large.tokenizer.pad_token, large.tokenizer.bos_token
    try:
        assert same(generate(large, questions, VeneerLogitsProcessor(system))[0], expected)
        mask = inputs(large, questions)["attention_mask"]
        shift = VeneerLogitsProcessor(system, attention_mask=mask)
        assert same(generate(large, questions, shift)[0], expected)
        beams, _ = generate(large, questions, shift, num_beams=2, num_return_sequences=2)
        own, _ = generate(
            large,
            questions,
            VeneerLogitsProcessor(system, questions),
            num_beams=2,
            num_return_sequences=2,
        )
        assert torch.equal(beams, own)
    finally:
        large.tokenizer.pad_token = pad
    ids = inputs(large, questions[:1])["input_ids"]
    large.tokenizer.pad_token = None  # a single row has none
    try:
        words = {
            "max_new_tokens": NEW,
            "do_sample": False,
            "pad_token_id": 0,
            "eos_token_id": list(system.stop_ids),
        }
        out = large.model.generate(
            ids,
            attention_mask=ids * 0 + 1,
            logits_processor=[VeneerLogitsProcessor(system)],
            **words,
        )
        assert same(out[:, ids.shape[1] :], expected[:1])
    finally:
        large.tokenizer.pad_token = pad


def test_penalties_behind_it_see_the_shifted_logits(small, large):
    """As the docstring says, and as Sampling(repetition_penalty=...) does."""
    system = ShiftedSystem.of_models(large, small, some_veneer(small))
    for prompt in prompts(4):
        shift = VeneerLogitsProcessor(system)
        ids, _ = generate(
            large, [prompt], shift, logits_processor=[shift, RepetitionPenaltyLogitsProcessor(1.7)]
        )
        assert same(ids, answers(system, [prompt], repetition_penalty=1.7))


def test_barred_tokens_in_beam_search(small):
    """The processor that bars them, behind this one, gives what the merged head gives."""
    veneer = some_veneer(small, stop_ids=(9, *range(100, 120)))
    system, questions = ShiftedSystem.of_models(small, small, veneer), prompts(3)
    shift = VeneerLogitsProcessor(system)
    width = inputs(small, questions)["input_ids"].shape[1]
    bars = MinNewTokensLengthLogitsProcessor(width, 5, shift.stop_ids)
    ids, _ = generate(small, questions, shift, logits_processor=[shift, bars], num_beams=3)
    expected, _ = generate(merged(small, veneer), questions, None, num_beams=3, min_new_tokens=5)
    assert torch.equal(ids, expected)


def test_what_it_does_not_know_is_refused(small, large):
    system = ShiftedSystem.of_models(large, small, some_veneer(small, stop_ids=()))
    questions = prompts(4)
    with pytest.raises(InputError, match="assisted decoding"):
        generate(
            large,
            questions[:1],
            VeneerLogitsProcessor(system),
            prompt_lookup_num_tokens=3,
            max_new_tokens=40,
        )
    capped = ShiftedSystem.of_models(tiny("gemma2"), small, some_veneer(small))
    with pytest.raises(InputError, match="num_beams=1"):
        generate(capped.large, questions, VeneerLogitsProcessor(capped), num_beams=2)
    with pytest.raises(InputError, match="in the list behind this one"):
        generate(large, questions, VeneerLogitsProcessor(system), num_beams=2, bad_words_ids=[[20]])
    with pytest.raises(
        InputError, match="3 prompts for the small model, but `generate` has 4 rows"
    ):
        generate(large, questions, VeneerLogitsProcessor(system, questions[:3]))
    with pytest.raises(InputError, match="3 rows of attention_mask"):
        generate(large, questions, VeneerLogitsProcessor(system, attention_mask=torch.ones(3, 5)))
    with pytest.raises(InputError, match="prompt_length is 99"):
        generate(large, questions, VeneerLogitsProcessor(system, prompt_length=99))
    with pytest.raises(InputError, match=r"scores of shape \(2, 7\)"):
        VeneerLogitsProcessor(system)(torch.ones(2, 3, dtype=torch.long), torch.zeros(2, 7))
    with pytest.raises(InputError, match="no prompts"):
        VeneerLogitsProcessor(system, [])
    with pytest.raises(InputError, match="prompt 1 has no messages"):
        VeneerLogitsProcessor(system, [[]])
    shift = VeneerLogitsProcessor(system)
    generate(large, questions[:1], shift)
    longer = [Prompt.from_text("x", questions[0].plain + " and more of it")]
    with pytest.raises(InputError, match=r"reset\(\)"):
        generate(large, longer, shift)
    shift.reset()
    assert same(generate(large, longer, shift)[0], answers(system, longer))


def test_alpha_zero_reads_nothing_and_changes_nothing(small, large):
    shift = VeneerLogitsProcessor(
        ShiftedSystem.of_models(large, small, some_veneer(small), alpha=0)
    )
    scores = torch.randn(1, large.head.rows)
    assert shift(torch.tensor([[0, 20]]), scores) is scores
