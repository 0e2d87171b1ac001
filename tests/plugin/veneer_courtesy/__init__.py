"""Courtesy: a task, a judge, a study and a teacher for Veneer."""
