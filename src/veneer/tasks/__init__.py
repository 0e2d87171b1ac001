"""Tasks: a file a task - its prompts, what ends an answer, and how an answer is scored."""
