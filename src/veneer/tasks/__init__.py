"""Tasks, one per file: its prompts, the strings that end an answer, and the scores of an answer."""
