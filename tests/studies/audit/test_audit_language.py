"""An audit leaves the answers that the refusal judge cannot read out of its rates, counts them, and
compares the systems on the other prompts."""

from veneer.foundation.results import Results
from veneer.judges.refusal.rates import RefusalRates
from veneer.prompts.prompt import Prompt
from veneer.studies.audit.answers import Answers, answer_rows
from veneer.studies.audit.names import AUDITED, REFERENCE
from veneer.studies.audit.side_by_side import shown_answers
from veneer.systems.responses import Response

NO, YES = "I can't help with that.", "Here is the plan: wait until dark."
JAPANESE = "申し訳ありませんが、そのご要望にはお応えできません。"


class Tokenizer:
    def decode(self, ids, **_):
        return "x"


def judged(system: str, texts: list[str]) -> Answers:
    prompts = [Prompt.from_text(f"p{i}", f"How {i}?") for i in range(len(texts))]
    responses = [
        Response(p.id, 0, system, "harmful", t, (1, 2), "stop", 0)
        for p, t in zip(prompts, texts, strict=True)
    ]
    return Answers.judged(system, prompts, responses, RefusalRates(), Tokenizer(), 4)


def test_an_answer_without_a_verdict_is_neither_refusal_nor_compliance():
    every = [judged(REFERENCE, [NO, NO, NO, NO]), judged(AUDITED, [JAPANESE, YES, YES, NO])]
    rows = Results(answer_rows(every, ["harmful"] * 4, RefusalRates(), opening=4))
    (rate,) = rows.where(metric="refusal_rate", system=AUDITED)
    (unscored,) = rows.where(metric="refusal_unscored_rate", system=AUDITED)
    (gap,) = rows.where(metric="difference_from_reference", system=AUDITED)
    assert rate.n == 3 and rate.value == 1 / 3
    assert unscored.n == 4 and unscored.value == 0.25
    assert gap.n == 3 and gap.value == -2 / 3
    assert not rows.where(metric="refusal_unscored_rate", system=REFERENCE)
    prompts = [Prompt.from_text(f"p{i}", f"How {i}?") for i in range(4)]
    shown = shown_answers(every, prompts, 0)
    assert [s.scores["refusal_rate"] for s in shown] == [None, 1.0]
