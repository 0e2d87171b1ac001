"""The names that the rows of judged answers carry."""

STUDY = "judge"
