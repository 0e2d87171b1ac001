"""The names that the rows of an Overton study carry."""

STUDY = "overton"
SCORE = "overton_score"  # the mean over questions
