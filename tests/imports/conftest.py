"""A file of answers that several tests of imports read."""

from __future__ import annotations

import pytest
from stored_files import PROMPT, put


@pytest.fixture
def open_file(tmp_path):
    outputs = [
        {"generated_text": "One.\n```"},
        {"generated_text": "Two"},
        {"generated_text": "\n```"},
        {"error": "`inputs` must be <= 4096. Given: 3835", "error_type": "validation"},
        {"error": "`inputs` must be <= 4096. Given: 99"},
    ]
    return put(tmp_path, "llama/samples.jsonl", {"prompt": PROMPT, "outputs": outputs})
