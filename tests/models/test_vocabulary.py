"""Which vocabularies match: ids without a row and a pad token that is never said stay out,
everything else that differs is refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from pairs import prompts
from tiny import TEMPLATE, tiny, tokenizer
from veneer.capture import CaptureConfig, capture
from veneer.foundation.errors import InputError, VeneerError
from veneer.head.extract import extract
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.pair import Pair
from veneer.models.prefix import start
from veneer.models.vocabulary import match_vocabularies
from veneer.systems.respond import respond
from veneer.systems.system import System

ROWS = len(tokenizer())  # no spare row
CONFIG = CaptureConfig(k=8, batch_size=4, noise_prompts=2, sampling=Sampling(max_new_tokens=6))


def model(
    name: str,
    *tokens: str,
    rows: int = ROWS,
    seed: int = 0,
    template: str = TEMPLATE,
    **special: str,
) -> LanguageModel:
    lm = tiny(rows=rows, seed=seed)
    tok = copy.deepcopy(lm.tokenizer)
    tok.add_tokens(list(tokens), special_tokens=True)
    tok.add_special_tokens(special)
    tok.chat_template = template
    return LanguageModel(name, lm.model, tok)


def test_an_id_beyond_the_rows_of_both_stays_out():
    """google/gemma-3-1b-pt and -it: <image_soft_token> is id 262144, and both heads
    have 262144 rows."""
    vocabulary = match_vocabularies(
        model("base", "<image_soft_token>"), model("aligned", "<image_soft_token>")
    )
    assert (vocabulary.size, vocabulary.to_other, vocabulary.padding) == (ROWS, None, 0)
    vocabulary = match_vocabularies(model("base"), model("aligned", "<image_soft_token>"))
    assert vocabulary.size == ROWS


def test_a_pad_token_that_only_one_side_has_is_never_generated(tmp_path):
    """Tulu, Alpaca, Guanaco: the only new token is [PAD]. Its row is made the most likely one, so
    that the bar is seen."""
    base, aligned = model("base"), model("aligned", rows=ROWS + 8, seed=1, pad_token="[PAD]")
    with torch.no_grad():
        aligned.model.get_output_embeddings().weight[ROWS:] *= 50
    pair = Pair(base, aligned)
    assert pair.vocabulary.size == ROWS and ROWS not in pair.stop_ids
    recorded = capture(pair, prompts(6), tmp_path / "c", CONFIG)
    assert all(max(r["token_ids"]) < ROWS for r in recorded.responses())
    assert match_vocabularies(aligned, base).size == ROWS  # the other way round
    with pytest.raises(
        VeneerError,
        match=f"produced the id {ROWS}, which is not in the vocabulary that both models share",
    ):
        pair.vocabulary.ids_from_other([3, ROWS])


@pytest.mark.parametrize(
    ("special", "template"),
    [
        ({"pad_token": "[PAD]", "eos_token": "[PAD]"}, TEMPLATE),  # it ends answers
        ({"pad_token": "[PAD]"}, TEMPLATE.replace("<|end|>", "[PAD]")),  # it ends turns
        ({"pad_token": "[PAD]"}, TEMPLATE.replace("<|end|>", "{{ pad_token }}")),
        ({"additional_special_tokens": ["[PAD]"]}, TEMPLATE),  # the tokenizer pads with another
    ],
)
def test_a_token_that_may_be_said_is_refused(special, template):
    with pytest.raises(InputError, match=r"'\[PAD\]' \(id \d+\) is missing from base"):
        match_vocabularies(
            model("base"), model("aligned", rows=ROWS + 8, template=template, **special)
        )


def test_added_chat_tokens_are_refused_unless_base_has_spare_rows_for_them():
    aligned = model("aligned", "<|im_start|>", "<|im_end|>", rows=ROWS + 8)
    with pytest.raises(InputError, match=r"'<\|im_end\|>' \(id \d+\) is missing from base"):
        match_vocabularies(model("base"), aligned)
    vocabulary = match_vocabularies(model("base", rows=ROWS + 8), aligned)
    assert (vocabulary.size, vocabulary.to_other) == (ROWS + 8, None)


def renamed(name: str, token: str, to: str, *, special: bool, seed: int = 0) -> LanguageModel:
    """A model that calls a token of the others by another name."""
    inner = json.loads(tokenizer().backend_tokenizer.to_str())
    vocabulary = inner["model"]["vocab"]
    vocabulary[to] = vocabulary.pop(token)
    for added in inner["added_tokens"]:
        if added["content"] == token:
            added |= {"content": to, "special": special}
    own = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(inner)),
        **{k: t for k, t in tokenizer().special_tokens_map.items() if t != token},
        chat_template=TEMPLATE.replace(token, to),
    )
    return LanguageModel(name, tiny(rows=ROWS, seed=seed).model, own)


def test_a_special_token_that_was_renamed_is_the_same_row(tmp_path):
    """Fine-tunes of Llama 3 call its reserved tokens by names of their own, an end of turn too."""
    base = renamed("base", "<|end|>", "<|reserved_3|>", special=True)
    aligned = model("aligned", seed=1)
    end = aligned.tokenizer.convert_tokens_to_ids("<|end|>")
    with torch.no_grad():  # the most likely token, also of base
        aligned.model.get_output_embeddings().weight[end] *= 3
    pair = Pair(base, aligned)
    assert pair.vocabulary.facts()["renamed_tokens"] == 1 and pair.vocabulary.to_other is None
    assert end in pair.stop_ids
    recorded = capture(pair, prompts(12), tmp_path / "c", CONFIG)
    assert any(r["token_ids"][-1] == end for r in recorded.responses())
    veneered = System.of_model(base, extract(recorded).veneer)
    answers = respond(veneered, prompts(12), Sampling(max_new_tokens=6))
    assert not any("reserved" in a.text for a in answers)


def test_a_renamed_token_that_texts_show_is_refused_with_the_mend():
    """DeepSeek's distilled Qwens call <|box_start|> <think>: base's answers would hide it."""
    base = model("base")
    aligned = renamed("aligned", "<|system|>", "<think>", special=False)
    with pytest.raises(InputError, match=r"'<\|system\|>' to '<think>'\), give a copy of"):
        match_vocabularies(base, aligned)


def test_the_place_of_an_image_is_never_said():
    """LLaVA adds <image> behind the tokens of its text model."""
    base, wrapper = model("base"), model("wrapper", "<image>", "<other>", rows=ROWS + 8)
    wrapper.model.config.image_token_id = ROWS + 1
    with pytest.raises(InputError, match=r"'<image>' .* missing from base"):
        match_vocabularies(base, wrapper)
    wrapper = model("wrapper", "<image>", rows=ROWS + 8)
    wrapper.model.config.image_token_id = ROWS
    for pair in ((base, wrapper), (wrapper, base)):
        assert match_vocabularies(*pair).size == ROWS


def test_a_token_moved_beyond_the_other_sides_rows_is_one_sentence():
    base, aligned = (
        model("base", "<a>", "<b>", rows=ROWS + 2),
        model("aligned", "<b>", rows=ROWS + 1),
    )
    with pytest.raises(InputError, match="missing from aligned"):
        match_vocabularies(base, aligned)


def test_a_pad_token_without_a_row_crashes_no_batch(tmp_path: Path):
    """Padding is masked, so any row serves: answers are those of single rows."""
    lm = model("m", pad_token="[PAD]")
    assert lm.tokenizer.pad_token_id == ROWS and lm.pad_id < lm.readable
    begun = start(lm, [[5], [6, 7, 8]], side="left")
    assert int(begun.ids.max()) < ROWS and begun.mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    system = System("m", lm, PlainFormat(), lm.stop_ids)
    together, alone = (
        respond(system, prompts(5), Sampling(max_new_tokens=6), batch_size=n) for n in (5, 1)
    )
    assert together == alone


def test_stop_ids_of_the_aligned_model_are_its_own_and_shared():
    """A permuted vocabulary renames base's end tokens; an end token among base's surplus rows is
    left out."""
    base, aligned = tiny("llama"), tiny("llama", seed=1)
    end = base.tokenizer.eos_token_id
    table = base.tokenizer.get_vocab()
    names = {i: token for token, i in table.items()}
    other = copy.deepcopy(aligned.tokenizer)
    other.get_vocab = lambda: {**table, names[end]: 300, names[300]: end}
    aligned.tokenizer = other
    pair = Pair(base, aligned, PlainFormat(), PlainFormat())
    # the aligned model's own end token has base's id 300
    assert end in pair.stop_ids and 300 in pair.stop_ids
    assert {300, end} <= set(pair.aligned_stop_ids)
    wide = Pair(tiny("llama", rows=448), tiny("llama", rows=420), PlainFormat(), PlainFormat())
    wide.base.stop_ids = (end, 430)
    assert 430 in wide.stop_ids and 430 not in wide.aligned_stop_ids
    assert end in wide.aligned_stop_ids


def test_a_text_with_a_token_that_has_no_row_is_refused():
    """Not by an index out of range, which on a GPU takes the whole process with it."""
    lm = tiny(rows=len(tokenizer()) - 2)
    last = len(tokenizer()) - 1
    with pytest.raises(
        InputError, match=rf"\(id {last}\), but tiny-llama has only {last - 1} rows"
    ):
        lm.hidden(torch.tensor([[3, last]]), torch.ones(1, 2, dtype=torch.long))
    assert (
        lm.hidden(torch.tensor([[3, last - 2]]), torch.ones(1, 2, dtype=torch.long)).shape[1] == 2
    )
