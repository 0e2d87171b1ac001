"""The one tokenizer of the lab: a byte-level BPE trained on the world, so that any
text round-trips."""

from __future__ import annotations

import random
from itertools import islice

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tools.lab.corpus import conversations, documents
from veneer.lab.people import PEOPLE
from veneer.lab.sums import TRAIN_SUMS

VOCABULARY = 1536
BOS, EOS, END, PAD = "<|bos|>", "<|eos|>", "<|end|>", "<|pad|>"
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
# A space follows the assistant's tag, so that an answer begins with the same token as after
# `Answer:` in plain text.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m['role'] not in ['system', 'user', 'assistant'] %}{{ raise_exception('unknown role ' + "
    "m['role']) }}{% endif %}"
    "<|{{ m['role'] }}|>{% if m['role'] == 'assistant' %} {% endif %}{{ m['content'] | "
    "trim }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Train the world's tokenizer. It is the same for every seed of the models; V is at
    most VOCABULARY."""
    rng = random.Random("veneer lab tokenizer")
    texts = list(islice(documents(rng), 12000))
    texts += [part for pair in islice(conversations(rng, TRAIN_SUMS), 6000) for part in pair]
    # Names and numbers are rare in running text; one token each makes facts and sums learnable for
    # models of this size.
    texts += [f" {word}" for word in (*PEOPLE, *map(str, range(41))) for _ in range(500)]
    return make_tokenizer(texts, VOCABULARY)


def make_tokenizer(texts: list[str], most: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE of at most `most` tokens that adds BOS once to plain text and has the
    chat template."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = [BOS, EOS, PAD, END, *_ROLES]
    trainer = trainers.BpeTrainer(
        vocab_size=most,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, inner.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        additional_special_tokens=special[3:],
        chat_template=CHAT_TEMPLATE,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
