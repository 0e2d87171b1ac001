"""Texts become the tokens that a tokenizer's own files say, whatever class the library takes for
it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from checkpoints import rewrite, save, veneer_of
from tiny import TEXT, tiny
from veneer.capture.config import CaptureConfig
from veneer.capture.run import capture
from veneer.foundation.errors import InputError
from veneer.head.merge import merge
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.models.load import load_model
from veneer.models.pair import Pair
from veneer.models.tokenizer import load_tokenizer
from veneer.prompts.prompt import Prompt

SPECIAL = ["<unk>", "<s>", "</s>", "<|bos|>", "<|eos|>", "<|pad|>"]
NUMBERS = " ".join(str(i) for i in range(100, 400)) + " it's don't we've I'm"
PROMPTS = [
    "Tom has 123 apples",
    " it's  17\n\n",
    "<s>[INST] 20 [/INST]",
    "don't DON'T",
    "",
    "naïve café",
]
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
LONG_NUMBERS = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}|\p{L}+'?\p{L}*|[^\p{N}\p{L}]+"), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
DIGITS = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTES])


def trained(cut: pre_tokenizers.PreTokenizer, *, all_merges: bool = False) -> Tokenizer:
    """A byte-level BPE. all_merges: with merges that `cut` never needs, as in the vocabulary of a
    model whose numbers were cut otherwise later."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = BYTES if all_merges else cut
    tok.train_from_iterator(
        [*TEXT, *[NUMBERS] * 5],
        trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tok.pre_tokenizer, tok.decoder = cut, decoders.ByteLevel()
    return tok


def like_llama2() -> Tokenizer:
    """As Llama 2's file: a space in front of each part between special tokens."""
    tok = trained(BYTES)
    state = json.loads(tok.to_str())["model"]
    vocab = {t.replace("Ġ", "▁"): i for t, i in state["vocab"].items()}
    merges = [tuple(p.replace("Ġ", "▁") for p in pair) for pair in state["merges"]]
    tok.model = models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True)
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.pre_tokenizer = None
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return tok


# the class that tokenizer_config.json names, the model's type, the file, some tokens
FILES = {
    "SmolLM2": ("GPT2Tokenizer", "llama", trained(DIGITS, all_merges=True), ["1", "2", "3"]),
    "Granite": ("GPT2Tokenizer", "llama", trained(LONG_NUMBERS), ["123"]),
    "distilled Qwen": ("LlamaTokenizerFast", "qwen2", trained(LONG_NUMBERS), ["123"]),
    "NeoX": ("GPTNeoXTokenizer", "llama", trained(DIGITS, all_merges=True), ["1", "2", "3"]),
    "Llama 2": ("LlamaTokenizer", "llama", like_llama2(), ["▁To", "m"]),
    "no class": ("PreTrainedTokenizerFast", "llama", trained(LONG_NUMBERS), ["123"]),
}


def folder_of(at: Path, name: str) -> tuple[Path, Tokenizer]:
    kind, model_type, tok, _ = FILES[name]
    lm = tiny("llama" if model_type == "llama" else "qwen2", rows=tok.get_vocab_size())
    own = {"bos_token": "<|bos|>", "eos_token": "<|eos|>", "pad_token": "<|pad|>"}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tok, unk_token="<unk>", **own)
    save(at, LanguageModel(name, lm.model, wrapped))
    rewrite(at / "tokenizer_config.json", lambda c: c.update(tokenizer_class=kind))
    return at, Tokenizer.from_file(str(at / "tokenizer.json"))


def ids(tokenizer) -> list[list[int]]:
    return [tokenizer(p, add_special_tokens=False)["input_ids"] for p in PROMPTS]


@pytest.mark.parametrize("name", FILES)
def test_a_text_is_cut_as_its_tokenizer_json_says(name, tmp_path):
    folder, written = folder_of(tmp_path / "model", name)
    read = load_tokenizer(str(folder))
    assert ids(read) == [written.encode(p, add_special_tokens=False).ids for p in PROMPTS]
    for row in ids(read):
        assert read.decode(row) == written.decode(row, skip_special_tokens=False)
    assert set(FILES[name][3]) <= set(read.tokenize(PROMPTS[0]))
    assert (read.bos_token, read.eos_token) == ("<|bos|>", "<|eos|>")


@pytest.mark.parametrize("lower", [True, False])
def test_what_tokenizer_config_sets_for_bert_counts(lower, tmp_path):
    """transformers 4 and 5 take the case of letters from there, whatever tokenizer.json says."""
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "the": 4, "The": 5}
    tok = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=not lower)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.save(str(tmp_path / "tokenizer.json"))
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    read = load_tokenizer(str(tmp_path))
    assert read("The the", add_special_tokens=False)["input_ids"] == [4 if lower else 5, 4]
    assert AutoTokenizer.from_pretrained(tmp_path)("The")["input_ids"] == read("The")["input_ids"]


def test_behind_a_special_token_llama_2_puts_a_space(tmp_path):
    folder, _ = folder_of(tmp_path / "model", "Llama 2")
    tokens = load_tokenizer(str(folder)).tokenize("<s>[INST] 20")
    assert tokens[0] == "<s>" and tokens[1].startswith("▁")


@pytest.mark.parametrize("given", [True, False])
def test_a_space_in_front_that_tokenizer_config_asks_for_stays(given, tmp_path):
    folder = save(tmp_path / "model")
    words = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": given}
    rewrite(folder / "tokenizer_config.json", lambda c: c.update(words))
    read = load_tokenizer(str(folder))
    assert (read.tokenize("apples") == read.tokenize(" apples")) is given


@pytest.mark.parametrize("name", ["SmolLM2", "Llama 2"])
def test_captures_and_merged_checkpoints_keep_the_tokens(name, tmp_path):
    folder, written = folder_of(tmp_path / "model", name)
    lm = load_model(str(folder), device="cpu")
    wanted = [written.encode(p, add_special_tokens=False).ids for p in PROMPTS]
    prompts = [Prompt.from_text(str(i), f"{NUMBERS[:20]} {i}") for i in range(3)]
    pair = Pair(lm, lm, PlainFormat(), PlainFormat())
    config = CaptureConfig(sampling=Sampling(max_new_tokens=2))
    assert ids(capture(pair, prompts, tmp_path / "capture", config).tokenizer) == wanted
    out = merge(veneer_of(lm), lm, tmp_path / "merged")
    assert ids(load_tokenizer(str(out))) == wanted
    assert ids(AutoTokenizer.from_pretrained(out)) == wanted  # transformers alone


def proto():
    """A SentencePiece model, made without the package."""
    pytest.importorskip("google.protobuf", reason="it reads and writes SentencePiece models")
    from transformers.convert_slow_tokenizer import import_protobuf

    made = import_protobuf().ModelProto()
    for number, piece in enumerate(["<unk>", "<s>", "</s>", "▁", "a", "▁a"]):
        made.pieces.add(piece=piece, score=-float(number), type=[2, 3, 3, 1, 1, 1][number])
    made.trainer_spec.model_type = 2
    return made


def model_folder(folder: Path, model: bytes, model_type: str = "llama", **settings) -> Path:
    """A model's folder with tokenizer.model and no tokenizer.json."""
    save(folder, tiny("llama"))
    for name in ("tokenizer.json", "chat_template.jinja"):
        (folder / name).unlink()
    (folder / "tokenizer.model").write_bytes(model)
    words = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(words))
    rewrite(folder / "config.json", lambda c: c.update(model_type=model_type))
    return folder


def test_a_sentencepiece_model_needs_its_package(tmp_path):
    try:
        import sentencepiece  # noqa: F401
    except ImportError:
        folder = model_folder(tmp_path / "model", proto().SerializeToString())
        with pytest.raises(InputError, match=r"tokenizer.model needs .*veneer\[sentencepiece\]"):
            load_model(str(folder), device="cpu")
    else:
        pytest.skip("the package is installed")


KINDS = {
    "bpe": {"model_type": "bpe", "normalization_rule_name": "identity"},
    "without a space in front": {"model_type": "bpe", "add_dummy_prefix": False},
    "unigram": {"model_type": "unigram", "normalization_rule_name": "identity"},
    "with normal forms": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"},
}


def sentencepiece_model(kind: str) -> bytes:
    package = pytest.importorskip("sentencepiece", reason="it trains the model")
    made = io.BytesIO()
    lines = [line for text in TEXT for line in text.split("\n")] * 10
    package.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=made,
        vocab_size=380,
        hard_vocab_limit=False,
        byte_fallback=True,
        remove_extra_whitespaces="nmt" in str(KINDS[kind]),
        minloglevel=2,
        **KINDS[kind],
    )
    return made.getvalue()


@pytest.mark.parametrize("model_type", ["llama", "mistral", "qwen2"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_cut_as_its_sentencepiece_model_says(kind, model_type, tmp_path):
    """The package itself is the yardstick."""
    model = sentencepiece_model(kind)
    from sentencepiece import SentencePieceProcessor

    yardstick = SentencePieceProcessor(model_proto=model)
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": True}
    folder = model_folder(tmp_path / "model", model, model_type, **settings)
    read = load_tokenizer(str(folder))
    texts = ["The cat", " sat", "two  spaces ", "a\nb", "ﬁne ＡＢＣ", "日本", "", "I'm 12"]
    for text in texts:
        row = read(text, add_special_tokens=False)["input_ids"]
        assert row == yardstick.encode(text)
        assert read.decode(row) == yardstick.decode(row)


@pytest.mark.parametrize(("legacy", "second"), [(True, "▁"), (None, "▁"), (False, "T")])
def test_the_space_behind_a_special_token_is_a_setting(legacy, second, tmp_path):
    model = sentencepiece_model("bpe")
    settings = {} if legacy is None else {"legacy": legacy}
    folder = model_folder(tmp_path / "model", model, tokenizer_class="LlamaTokenizer", **settings)
    tokens = load_tokenizer(str(folder)).tokenize("</s>The cat")
    assert tokens[0] == "</s>" and tokens[1].startswith(second)
