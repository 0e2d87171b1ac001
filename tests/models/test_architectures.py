"""Every architecture through the same door: no allow-list, head(h) equals the model's logits,
batches equal single rows."""

import pytest
import torch

from tiny import ARCHITECTURES, tiny
from veneer.foundation.errors import VeneerError
from veneer.models.decode import Sampling, decode
from veneer.models.head import Head, find_head
from veneer.models.language_model import LanguageModel


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_head_reproduces_the_models_logits(kind):
    lm = tiny(kind)
    ids = torch.randint(0, 300, (2, 11), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        own = lm.model(input_ids=ids).logits
        ours = lm.head.logits(lm.hidden(ids, torch.ones_like(ids)))
    torch.testing.assert_close(ours, own, rtol=1e-5, atol=1e-4)


def test_transforms_are_found():
    assert tiny("granite").head.scale == pytest.approx(0.25, rel=1e-4)
    assert tiny("cohere").head.scale == pytest.approx(0.25, rel=1e-4)
    assert tiny("gemma2").head.softcap == 2.0
    assert tiny("gemma2").head.scale == 1.0
    assert tiny("phi").head.bias is not None
    assert tiny("llama").head.scale == 1.0


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_padded_batch_decodes_as_single_rows_do(kind):
    """Left padding, the cache and rows that leave the batch change nothing: the chosen tokens
    follow one forward pass."""
    lm = tiny(kind)
    prefix = [5, 6, 7, 8, 9, 10]  # shared: read once
    prompts = [
        [*prefix, *p]
        for p in ([10, 20, 30], [40, 50, 60, 70, 80, 90, 11], [12, 13], [99, 98, 97, 96, 95])
    ]
    seen = [[] for _ in prompts]

    def watch(rows, hidden, logits):
        for place, row in enumerate(rows):
            seen[row].append(logits[place])

    stops = (7, 8, 9, *range(100, 140))
    out = decode(lm, prompts, Sampling(max_new_tokens=12), stop_ids=stops, watch=watch)
    for prompt, one, logits in zip(prompts, out, seen, strict=True):
        whole = torch.tensor([[*prompt, *one.token_ids]])
        with torch.inference_mode():
            own = lm.model(input_ids=whole).logits[0, len(prompt) - 1 : -1]
        torch.testing.assert_close(torch.stack(logits), own, rtol=1e-4, atol=2e-3)
        assert own.argmax(-1).tolist() == list(one.token_ids)
        assert (one.finish_reason == "stop") == (one.token_ids[-1] in stops)


def test_an_unknown_transform_is_refused_with_its_size():
    class Odd(torch.nn.Module):
        """Adds position-dependent noise to the logits: not a constant factor, not a cap."""

        def __init__(self, inner):
            super().__init__()
            self.inner, self.config, self.generation_config = (
                inner,
                inner.config,
                inner.generation_config,
            )
            self.base_model = inner.base_model

        def get_output_embeddings(self):
            return self.inner.get_output_embeddings()

        def forward(self, **words):
            out = self.inner(**words)
            out.logits = out.logits + out.logits.roll(1, -1)
            return out

    inner = tiny("llama")
    with pytest.raises(VeneerError, match=r"differs from the model's own logits by up to \d"):
        find_head(Odd(inner.model), inner.backbone, "odd")


def test_sampling_does_not_depend_on_the_batch():
    lm = tiny("llama")
    prompts = [[10, 20, 30], [40, 50, 60, 70], [12, 13], [99, 98]]
    keys = ["a", "b", "c", "d"]
    how = Sampling(max_new_tokens=10, temperature=1.0, top_p=0.9, seed=3)
    together = decode(lm, prompts, how, stop_ids=(1, 2), keys=keys)
    alone = [
        decode(lm, [p], how, stop_ids=(1, 2), keys=[k])[0]
        for p, k in zip(prompts, keys, strict=True)
    ]
    assert together == alone
    other = decode(
        lm,
        prompts,
        Sampling(max_new_tokens=10, temperature=1.0, top_p=0.9, seed=4),
        stop_ids=(1, 2),
        keys=keys,
    )
    assert other != together


def test_weights_that_are_not_finite_are_named():
    lm = tiny("llama")
    with torch.no_grad():
        lm.model.model.layers[1].mlp.down_proj.weight[0, 0] = float("nan")
    with pytest.raises(VeneerError, match="not finite"):
        decode(lm, [[1, 2, 3]], Sampling(max_new_tokens=2), stop_ids=(1,))
    assert isinstance(lm, LanguageModel)


@pytest.mark.parametrize(
    ("rows", "states"), [(400, 512), (50_000, 512), (262_144, 97), (10_000_000, 16)]
)
def test_logits_held_at_once_do_not_grow_with_the_vocabulary(rows, states):
    assert Head(torch.zeros(1, 1).expand(rows, 1)).at_once == states
