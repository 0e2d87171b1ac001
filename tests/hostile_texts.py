"""Texts that must not break a page, a terminal or a file: markup, text from right to left, control
characters, half of a character, and great length."""

SCRIPT = "</script><script>alert(1)</script>"
IMAGE = "<img src=x onerror=\"alert('img')\">"
BIDI = "safe \u202edetrever\u202c \u2066isolated\u2069"
NULL = "nu\x00ll and \x1b[31mescape"
LONE = "\ud800 lone"
LONG = "A" * 100_000
HOSTILE = [
    SCRIPT,
    IMAGE,
    BIDI,
    NULL,
    LONE,
    LONG,
    "line\u2028separator",
    "<!--<script>",
    "]]>",
    "&lt;b&gt;",
    "e\u0301" + "\u0335" * 40,
]
