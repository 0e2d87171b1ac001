"""Two local tasks of lm-evaluation-harness over the embedded written world: no network."""

from __future__ import annotations

import json
from pathlib import Path

from veneer.prompts.prompt import Prompt
from veneer.tasks.lab import LabTask

GENERATE = """task: local_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{text}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["Question:"], max_gen_toks: 40, do_sample: false}}
filter_list:
  - name: last-number
    filter:
      - {{function: regex, regex_pattern: "(-?[0-9]+)", group_select: -1}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
metadata: {{version: 1.0}}
"""
CHOICE = """task: local_choice
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{text}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{right}}}}"
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: acc_norm, aggregation: mean, higher_is_better: true}}
metadata: {{version: 2.0}}
"""
ROLLING = """task: local_text
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - {{metric: word_perplexity}}
  - {{metric: bits_per_byte}}
metadata: {{version: 1.0}}
"""
GROUP = """group: local_group
task: [local_choice]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
"""


def sums(n: int) -> list[Prompt]:
    return LabTask("lab-sums").prompts("test")[:n]


def write_tasks(folder: Path, n: int = 12) -> Path:
    """The tasks' YAML and data, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, p in enumerate(sums(n)):
        answer = str(p.reference["answer"])
        choices = [answer, str(int(answer) + 1), "a cat"]
        choices = choices[i % 3 :] + choices[: i % 3]
        rows.append(
            {"text": p.plain, "answer": answer, "choices": choices, "right": choices.index(answer)}
        )
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    for name, text in (("sums", GENERATE), ("choice", CHOICE), ("text", ROLLING)):
        (folder / f"{name}.yaml").write_text(text.format(data=data), encoding="utf-8")
    (folder / "group.yaml").write_text(GROUP, encoding="utf-8")
    return folder
