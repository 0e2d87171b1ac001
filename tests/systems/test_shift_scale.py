"""A shift between models that scale their logits by different constants: the large model moves by
as much as the small one."""

import pytest
import torch

from pairs import prompts
from shifting import some_veneer
from tiny import tiny
from veneer.adapters.logits_processor import VeneerLogitsProcessor
from veneer.head.veneer import Veneer
from veneer.models.decode import Sampling
from veneer.models.formats import PlainFormat
from veneer.models.language_model import LanguageModel
from veneer.systems import System
from veneer.systems.respond import respond
from veneer.systems.shifted import ShiftedSystem


def twin(divisor: float) -> tuple[LanguageModel, LanguageModel]:
    """A model that divides its logits by 4, and the same function with another divisor: its head's
    weights are as much larger."""
    small = tiny("granite")
    large = tiny("granite", logits_scaling=divisor, tie_word_embeddings=False)
    large.model.model.load_state_dict(small.model.model.state_dict())
    with torch.no_grad():
        large.model.lm_head.weight.copy_(small.head.weight * divisor / 4.0)
    return small, LanguageModel("large", large.model, large.tokenizer)


def answers(system) -> list:
    return [a.token_ids for a in respond(system, prompts(5), Sampling(12))]


@pytest.mark.parametrize("divisor", [4.0, 8.0, 2.0])
@pytest.mark.parametrize("kind", ["rows", "rank", "bias"])
def test_the_shifted_twin_answers_as_the_small_model_with_its_veneer(divisor, kind):
    small, large = twin(divisor)
    veneer: Veneer = some_veneer(small, kind)
    shifted = ShiftedSystem.of_models(large, small, veneer, alpha=0.5)
    veneered = System.of_model(small, veneer, alpha=0.5)
    responses = answers(shifted)
    assert responses == answers(veneered) != answers(System.of_model(small, format=PlainFormat()))
    logits = torch.cat(list(shifted.forced_logits(prompts(5), responses)))
    own = [(p, s) for p, s in zip(prompts(5), responses, strict=True)]
    expected = []
    for prompt, tokens in own:
        before = PlainFormat().encode(small.tokenizer, prompt)
        ids = torch.tensor([[*before, *tokens]])
        with torch.inference_mode():
            states = small.hidden(ids, torch.ones_like(ids))[0, len(before) - 1 : -1]
        expected.append(veneer.apply(small.head, 0.5).logits(states))
    named = len(small.tokenizer)  # rows behind the tokenizer get no shift
    torch.testing.assert_close(
        logits[:, :named], torch.cat(expected)[:, :named], rtol=1e-4, atol=1e-4
    )
    assert shifted.facts().get("scale", 1) == pytest.approx(divisor / 4.0)


def test_the_logits_processor_has_the_same_scale():
    small, large = twin(8.0)
    veneer = some_veneer(small, "rows")
    ids = torch.tensor([PlainFormat().encode(small.tokenizer, prompts(1)[0])])
    processor = VeneerLogitsProcessor(ShiftedSystem.of_models(large, small, veneer))
    with torch.inference_mode():
        shifted = processor(ids, large.model(input_ids=ids).logits[:, -1])
        states = small.hidden(ids, torch.ones_like(ids))[:, -1]
    want, named = veneer.apply(small.head).logits(states), len(small.tokenizer)
    torch.testing.assert_close(shifted[:, :named], want[:, :named], rtol=1e-4, atol=1e-4)
