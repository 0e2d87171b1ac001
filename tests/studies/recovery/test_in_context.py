"""In-context prompts: their form, their examples, the budget, and where an answer ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.paper.recovery_figures import FIGURES

from veneer.foundation.errors import InputError
from veneer.prompts.prompt import Prompt
from veneer.studies.recovery.prompts import (
    PromptMaterial,
    build,
    cut_answer,
    cut_own_summary,
    query,
    summary_request,
)
from veneer.studies.recovery.variants import (
    Example,
    at_random,
    in_context,
    instructions,
    nearest,
    parse_variant,
    parse_variants,
    urial_examples,
)

BASE_FORM = "# Query:\n```\nWhy?\n```\n\n# Answer:\n```\n"
PROMPTS = [Prompt.from_text(f"p{i}", f"question {i}") for i in range(6)]
ANSWERS = [f"answer {i}" for i in range(6)]


def test_base_form():
    assert in_context("Why?\n") == BASE_FORM


def test_examples_stand_between_instructions_and_query():
    text = in_context("Why?", [Example(" q ", "a\n\nb")], system="Be kind.")
    assert (
        text
        == "# Instructions:\n\nBe kind.\n\n# Query:\n```\nq\n```\n\n# Answer:\n```\na\n\nb\n```\n\n"
        + BASE_FORM
    )


def test_summaries_stand_before_answers():
    text = in_context("Why?", [Example("q", "a", "s")], system="S", summary="hint")
    assert text.endswith(
        "# Query:\n```\nWhy?\n```\n\n# Summary:\n```\nhint\n```\n\n# Answer:\n```\n"
    )
    assert "# Summary:\n```\ns\n```\n\n# Answer:\n```\na\n```" in text
    assert in_context("Why?", own_summary=True) == "# Query:\n```\nWhy?\n```\n\n# Summary:\n```\n"


def test_published_instructions_join_the_lines_that_the_stored_prompts_join():
    assert "assistant.You should" in instructions(published=True)
    assert "helpful.Your response must" in instructions(chosen=True, published=True)
    summary = instructions(summaries=True, published=True)
    assert summary == instructions(summaries=True) and "you provide a summary" in summary
    for chosen in (False, True):
        mended = instructions(chosen=chosen)
        assert len(mended.split("\n")) == 7 and not mended.endswith("\n")
        assert mended.replace("\n", "") == instructions(chosen=chosen, published=True).replace(
            "\n", ""
        )


def test_urial_has_three_examples_without_spaces_at_line_ends():
    examples = urial_examples()
    assert [e.query.split()[0] for e in examples] == ["What", "You", "Can"]
    assert not any(line != line.rstrip() for e in examples for line in e.answer.split("\n"))
    assert sum(a != b for a, b in zip(examples, urial_examples(published=True), strict=True)) == 2


@pytest.mark.parametrize(
    ("name", "k", "oracle"),
    [
        ("urial", 3, False),
        ("random-7", 7, False),
        ("knn-prompt", 3, False),
        ("knn-response-2", 2, True),
        ("summary", 3, True),
    ],
)
def test_variant_names(name, k, oracle):
    variant = parse_variant(name)
    assert variant.k == k and bool(variant.oracle) is oracle and variant.about
    assert parse_variant(variant.name) == variant


@pytest.mark.parametrize(
    "name", ["", "knn", "random-0", "random--1", "urial-3", "RANDOM-3", "knn-prompt-3x"]
)
def test_unknown_variants_are_refused(name):
    with pytest.raises(InputError, match="expected one of urial"):
        parse_variant(name)


def test_a_variant_named_twice_is_refused():
    with pytest.raises(InputError, match="random-3 is named twice"):
        parse_variants(("random", "urial", "random-3"))
    assert parse_variants(()) == []


def test_nearest_leaves_itself_out_and_puts_the_most_similar_first():
    x = np.array([[1, 0], [1, 0.1], [1, 1], [0, 1], [0, 0]], float) * np.array(
        [[3], [1], [2], [5], [1]]
    )
    assert nearest(x, 4)[0] == [1, 2, 3, 4]
    assert nearest(x, 2)[3] == [2, 1]
    assert nearest(np.ones((3, 2)), 2) == [[1, 2], [0, 2], [0, 1]]  # equal ones in their order


@given(st.integers(1, 6), st.integers(0, 5))
def test_random_examples_are_others_without_repetition(k, seed):
    ids = [f"p{i}" for i in range(7)]
    examples = at_random(ids, k, seed)
    assert examples == at_random(ids, k, seed)
    for i, some in enumerate(examples):
        assert len(set(some)) == k and i not in some


@pytest.mark.parametrize(
    "draw", [lambda: nearest(np.eye(3), 3), lambda: at_random(["a", "b", "c"], 3, 0)]
)
def test_too_few_prompts_for_k(draw):
    with pytest.raises(
        InputError,
        match=(
            "3 examples of other prompts were asked for and there are 3 prompts; expected "
            "at least 4"
        ),
    ):
        draw()


def test_build_puts_the_teachers_answers_to_the_nearest_prompts():
    vectors = np.array([[np.cos(a), np.sin(a)] for a in (0.0, 0.1, 0.3, 0.7, 1.2, 1.5)])
    built = build(
        parse_variant("knn-prompt-2"),
        PROMPTS,
        PromptMaterial(answers=ANSWERS, prompt_vectors=vectors),
    )
    expected = in_context(
        "question 0",
        [Example("question 1", "answer 1"), Example("question 2", "answer 2")],
        system=instructions(chosen=True),
    )
    assert built.prompts[0].plain == expected and built.prompts[0].id == "p0"
    assert built.examples == [2] * 6 and built.dropped == [0] * 6


def test_budget_drops_the_least_similar_first_and_says_how_many():
    vectors = np.array([[np.cos(a), np.sin(a)] for a in (0.0, 0.1, 0.3, 0.7, 1.2, 1.5)])
    material = PromptMaterial(
        answers=[a * (40 if i == 2 else 1) for i, a in enumerate(ANSWERS)], prompt_vectors=vectors
    )
    words = lambda texts: [len(t.split()) for t in texts]  # noqa: E731
    whole = build(parse_variant("knn-prompt-3"), PROMPTS, material)
    lengths = words([p.plain for p in whole.prompts])
    built = build(parse_variant("knn-prompt-3"), PROMPTS, material, budget=160, count=words)
    assert [n > 160 for n in lengths] == [d > 0 for d in built.dropped] and any(built.dropped)
    assert all(n <= 160 for n in words([p.plain for p in built.prompts]))
    assert [a + b for a, b in zip(built.examples, built.dropped, strict=True)] == [3] * 6
    for p, q, kept in zip(whole.prompts, built.prompts, built.examples, strict=True):
        assert q.plain.split("# Query:")[1 : kept + 1] == p.plain.split("# Query:")[1 : kept + 1]
    none = build(parse_variant("urial"), PROMPTS, PromptMaterial(), budget=1, count=words)
    assert none.examples == [0] * 6 and none.dropped == [3] * 6


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("knn-prompt-2", "the teacher's answers"),
        ("urial-teacher", "the teacher's answers to URIAL's questions"),
        ("summary", "the teacher's answers to URIAL's"),
    ],
)
def test_missing_material_is_named(name, what):
    with pytest.raises(InputError, match=f"{name} needs {what}"):
        build(parse_variant(name), PROMPTS, PromptMaterial())


def test_summary_variants():
    material = PromptMaterial(
        fixed_answers=["a", "b", "c"],
        fixed_summaries=["x", "y", "z"],
        summaries=[f"hint {i}" for i in range(6)],
    )
    hinted = build(parse_variant("summary"), PROMPTS, material).prompts[3].plain
    own = build(parse_variant("summary-cot"), PROMPTS, material).prompts[3].plain
    assert (
        hinted.count("# Summary:\n") == 4
        and "hint 3" in hinted
        and hinted.endswith("# Answer:\n```\n")
    )
    assert (
        own.count("# Summary:\n") == 4 and "hint" not in own and own.endswith("# Summary:\n```\n")
    )


def test_query_of_several_turns_is_a_transcript():
    turns = (
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    )
    assert query(Prompt("p", turns, "plain")) == "User: a\n\nAssistant: b\n\nUser: c\n\nAssistant:"
    assert query(Prompt.from_text("p", "a", plain="another")) == "a"


def test_summary_prompt_takes_texts_that_hold_its_own_marks():
    text = summary_request("what is {answer} and {query}?", "{query} it is")
    assert "what is {answer} and {query}?" in text and "\n{query} it is\n" in text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("It is.\n```\n\n# Query:\n```\nmore", "It is."),
        ("It is.\n\n# Query:\nmore", "It is."),
        ("It is", "It is"),
        ("# Summary of it all\nyes", "# Summary of it all\nyes"),  # a heading of the answer's own
        ("", ""),
    ],
)
def test_an_answer_ends_at_its_fence_or_the_next_block(text, answer):
    assert cut_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "summary", "answer"),
    [
        (
            "s\n```\n\n# Answer:\n```\na\n```\n\n# Query:\n```\nq\n```\n\n# Answer:\n```\nother",
            "s",
            "a",
        ),
        ("s\n```\n\n# Answer:\n```\na\nb", "s", "a\nb"),
        ("s\n\n# Answer:\n```\na", "s", "a"),  # the summary's fence is missing
        ("s\n```\n\n# Answer:\na\n\n# Query:\nq", "s", "a"),
        # an answer to a question of its own
        ("s\n```\n\n# Query:\n```\nq\n```\n\n# Answer:\n```\nother", "s", None),
        ("a long answer in the summary's place", "a long answer in the summary's place", None),
        ("s\n```", "s", None),
    ],
)
def test_own_summary_and_answer(text, summary, answer):
    assert cut_own_summary(text) == (summary, answer)


@given(st.text(st.sampled_from("`# Answer:\nQuerySumaxz"), max_size=80))
def test_cutting_never_fails_and_leaves_no_fence(text):
    summary, answer = cut_own_summary(text)
    assert "```" not in summary and "```" not in (answer or "") and "```" not in cut_answer(text)


@pytest.fixture(scope="module")
def overton(data) -> Path:
    if not (data / "overton" / "LIMA-OE").is_dir():
        pytest.skip(
            "needs the second paper's data: set VENEER_DATA to a data folder that has overton"
        )
    return data / "overton"


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.name)
def test_published_figures(overton, figure):
    value = figure.compute(overton)
    assert figure.agrees(value), f"{figure.printed} is printed, found {value}"


def test_stored_own_summary_prompts_have_this_form(overton):
    """Their examples' answers are stored nowhere else, so they are read off the first prompt; all
    fifty are then rebuilt."""
    import re

    from veneer.imports.overton import read_instances
    from veneer.imports.registry import read_stored

    stored = [
        p.plain
        for p in read_stored(
            overton / "LIMA-OE/outputs/llama-2-icl-chat-summary-cot/samples.jsonl"
        ).prompts
    ]
    block = re.compile(
        r"# Query:\n```\n(.*?)\n```\n\n# Summary:\n```\n(.*?)\n```\n\n# Answer:\n```\n(.*?)\n"
        r"```\n\n",
        re.DOTALL,
    )
    examples = block.findall(stored[0])
    assert [q for q, _, _ in examples] == [e.query for e in urial_examples()]
    material = PromptMaterial(
        fixed_answers=[a for _, _, a in examples],
        fixed_summaries=[s for _, s, _ in examples],
        published=True,
    )
    variant = build(
        parse_variant("summary-cot"),
        read_instances(overton / "LIMA-OE/instances/data.jsonl"),
        material,
    )
    assert [p.plain for p in variant.prompts] == stored
