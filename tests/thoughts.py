"""One thought and one answer in the forms in which models write them."""

from __future__ import annotations

THOUGHT = (
    "Is this harmful? If it were, I would have to say I'm sorry, I can't help with that. Bread "
    "is fine."
)
ANSWER = "Mix 500 g flour, 300 g water, 10 g salt and yeast; knead, let rise, bake at 230 C."
REFUSAL = "I'm sorry, but I can't help with that."


def forms(t: str = THOUGHT, a: str = ANSWER) -> dict[str, str]:
    """Name of the form -> thought and answer in it."""
    return {
        "think": f"<think>\n{t}\n</think>\n\n{a}",
        "think, no line breaks": f"<think>{t}</think>{a}",
        "capitals and blanks": f"  < THINK >{t}</ Think >{a}",
        "an attribute": f'<think budget="512">{t}</think>{a}',
        "thinking": f"<thinking>\n{t}\n</thinking>\n{a}",
        "thought": f"<thought>\n{t}\n</thought>\n\n{a}",
        "reasoning and answer": f"<reasoning>\n{t}\n</reasoning>\n<answer>\n{a}\n</answer>",
        "reflection": (
            f"<thinking>{t}</thinking>\n<reflection>It is.</reflection>\n<output>{a}</output>"
        ),
        "scratchpad": f"<REASONING_SCRATCHPAD>{t}</REASONING_SCRATCHPAD>{a}",
        "mistral": f"[THINK]{t}[/THINK]{a}",
        "kimi": f"◁think▷{t}◁/think▷{a}",
        "kimi k3": (
            f"<|open|>think<|sep|>{t}<|close|>think<|sep|><|open|>response<|sep|>{a}<|close|>"
            "response<|sep|>"
        ),
        "seed": f"<seed:think>{t}</seed:think>{a}",
        "minimax m3": f"<mm:think>{t}</mm:think>{a}",
        "cohere": f"<|START_THINKING|>{t}<|END_THINKING|><|START_RESPONSE|>{a}<|END_RESPONSE|>",
        "cohere, no end": f"<|START_THINKING|>{t}<|START_RESPONSE|>{a}<|END_RESPONSE|>",
        "openthinker": (
            f"<|begin_of_thought|>\n{t}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{a}\n"
            "<|end_of_solution|>"
        ),
        "apertus": f"<|inner_prefix|>{t}<|inner_suffix|>{a}",
        "gemma 4": f"<|channel>thought\n{t}<channel|>{a}",
        "medgemma": f"<unused94>thought\n{t}<unused95>{a}",
        "pangu": f"[unused16]{t}[unused17]{a}",
        "granite": f"Here is my thought process:\n{t}\n\nHere is my response:\n{a}",
        "apriel": (
            f"Here are my reasoning steps:\n{t}\n[BEGIN FINAL RESPONSE]\n{a}\n[END FINAL RESPONSE]"
        ),
        "hunyuan": f"<think>\n{t}\n</think>\n<answer>\n{a}\n</answer>",
        "open webui": (
            '<details type="reasoning" done="true" duration="2">\n<summary>Thought</summary>\n'
            f"> {t}\n</details>\n{a}"
        ),
        "ollama run": f"Thinking...\n{t}\n...done thinking.\n\n{a}",
        "harmony": (
            f"<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|"
            f">{a}<|return|>"
        ),
        "harmony, a tool call": (
            f"<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>commentary "
            "to=functions.f <|constrain|>json"
            f"<|message|>{{}}<|end|><|start|>assistant<|channel|>final<|message|>{a}<|return|>"
        ),
        "harmony, no final header": f"<|channel|>analysis<|message|>{t}<|end|>{a}",
        "harmony without special tokens": f"analysis{t}assistantfinal{a}",
        "harmony without special tokens, two thoughts": (
            f"analysis{t}assistantanalysisSo be it.assistantfinal{a}"
        ),
        "opened in the prompt": f"{t}\n</think>\n\n{a}",
        "opened in the prompt, no line breaks": f"{t}</think>{a}",
        "opened in the prompt, mistral": f"{t}[/THINK]{a}",
        "opened in the prompt, apriel": f"{t}\n[BEGIN FINAL RESPONSE]\n{a}",
        "a header in front": f"<|im_start|>assistant\n<think>\n{t}\n</think>\n\n{a}",
        "a name in front": f"Assistant: <think>{t}</think>{a}",
        "two thoughts": f"<think>{t}</think>\n<think>Again.</think>\n{a}",
        "a thought in a thought": f"<think>First. <think>{t}</think> Then.</think>{a}",
        "opened twice": f"<think>\n<think>\n{t}</think>\n{a}",
        "closed twice": f"<think>{t}</think>\nWait.\n</think>\n\n{a}",
        "closed by another name": f"<thinking>{t}</think>{a}",
        "closed by the answer's tag": f"<think>{t}\n<answer>{a}</answer>",
        "the thought speaks of its marks": (
            f'<think>I use <think> tags and `</think>`, then "</think>". {t}</think>{a}'
        ),
        "the thought shows its marks": f"<think>As in\n```\n<think>x</think>\n```\n{t}</think>{a}",
        "opened in the prompt, speaks of its mark": f"I write <think> tags first. {t}</think>{a}",
    }


CUT = {
    "think": f"<think>\n{THOUGHT}",
    "nothing but the mark": "<think>\n",
    "the second thought": f"<think>{THOUGHT}</think>\n<think>Now",
    "mistral": f"[THINK]{THOUGHT}",
    "kimi": f"◁think▷{THOUGHT}",
    "cohere": f"<|START_THINKING|>{THOUGHT}",
    "gemma 4": f"<|channel>thought\n{THOUGHT}",
    "harmony": f"<|channel|>analysis<|message|>{THOUGHT}",
    "harmony, in the next header": (
        f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>fin"
    ),
    "harmony without special tokens": "analysisWe need to see whether that is allowed",
    "closed, and nothing follows": f"<think>{THOUGHT}</think>\n",
    "the thought speaks of the answer": "<think>I could write <answer> here",
}

ANSWERS = [
    "Use the <think> tag to begin a thought and </think> to end it.",
    "The `</think>` tag closes what `<think>` opens.",
    "```xml\n<think>\nx\n</think>\n```\nThat is the form.",
    "You end it with </think>. Then you answer.",
    'Write "</think>" behind it (see </think>).',
    "For example:\n<think>\nLet me see\n</think>\n4",
    "def f(x):\n    return '<think>' + x + '</think>'",
    "The harmony format uses <|channel|>analysis<|message|> for thoughts.",
    "Here is my thought process: first the flour, then the water.",
    "Thinking... I believe so.",
    "Analysis: it is good. The analysis is final.",
    "analysis of the data shows that it rises",
    "analysisResult = compute(data)\nprint(analysisResult)",
    "finalResult = 3",
    "(thinking about it) I would say no.",
    "5 < 7 and a</b> and <answer>4</answer>",
    "",
    " \n",
]
