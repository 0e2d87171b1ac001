"""Bodies at the limits of JSON: read, or refused in a sentence before they cost memory."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veneer.serve.errors import ApiError
from veneer.serve.parsing import MOST_VALUES, _values, parse_object
from veneer.serve.schema import TextBody, read_request

START = b'{"model": "m", "prompt": "p", '


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        (b'"n": ' + b"9" * 4300 + b"}", "number of 4300 digits"),
        (b'"n": ' + b"9" * 5000 + b"}", "number of 5000 digits"),
        (b'"seed": -' + b"9" * 21 + b"}", "number of 21 digits"),
        (b'"metadata": [' + b"1" * 21 + b"]}", "number of 21 digits"),
        (b'"logit_bias": {"' + b"9" * 5000 + b'": 1}}', "token ids"),
        ('"logit_bias": {"\u0663": 1}}'.encode(), "token ids"),
        (b'"logit_bias": {"1": 1e999}}', "logit_bias"),
        (b'"logit_bias": {"1": NaN}}', "NaN, which is no JSON"),
        (b'"temperature": -Infinity}', "-Infinity, which is no JSON"),
        (b'"temperature": 1e999}', "temperature"),
        (b'"temperature": ' + b"9" * 400 + b".5}", "temperature"),
        (b'"repetition_penalty": 1e-300}', "repetition_penalty"),
        (b'"temperature": 0, "temperature": 2}', "two values for 'temperature'"),
        (b'"metadata": {"a": 1, "a": 1}}', "two values for 'a'"),
        (b'"user": "\xed\xa0\x80"}', "not UTF-8 at byte"),
        (b'"user": "\\ud800"}', "half of a character"),
        (b'"user": "\\uDFFF"}', "half of a character"),
        (b'"stop": ["\\udc00"]}', "half of a character"),
        (b'"\\ud800": 1}', "half of a character"),
        (b'"metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'"metadata": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}", "nested too deeply"),
        (b'"metadata": [' + b"{}," * MOST_VALUES + b"{}]}", "more than 200000 values"),
        (b'"metadata": [' + b'"",' * MOST_VALUES + b"1]}", "more than 200000 values"),
    ],
)
def test_what_is_at_a_limit_is_refused(rest, sentence):
    with pytest.raises(ApiError) as refused:
        read_request(TextBody, START + rest)
    assert refused.value.status == 400 and sentence in refused.value.message
    assert len(refused.value.message) < 400 and json.dumps(refused.value.body())


def test_other_encodings_and_a_byte_order_mark():
    body = {"model": "m", "prompt": "é\U0001f600"}
    raw = json.dumps(body, ensure_ascii=False)
    assert parse_object(b"\xef\xbb\xbf" + raw.encode()) == body
    assert parse_object(json.dumps(body).encode()) == body, "a pair of surrogates is one character"
    assert parse_object(rb'{"a": "\\ud800"}') == {"a": r"\ud800"}
    for encoding in ("utf-16", "utf-32", "utf-16-le"):
        with pytest.raises(ApiError, match=r"UTF-8|JSON"):
            parse_object(raw.encode(encoding))


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers(-(10**18), 10**18) | st.text('",[{\\}', max_size=8),
        lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text('",[\\', max_size=3), v),
        max_leaves=20,
    )
)
def test_values_are_counted_outside_of_strings(value):
    """Each object and list opens once, and its members stand behind commas but the first."""

    def count(value) -> int:
        members = list(value.values()) if isinstance(value, dict) else value
        if not isinstance(members, list):
            return 0
        return 1 + max(0, len(members) - 1) + sum(map(count, members))

    raw = json.dumps({"value": value}, ensure_ascii=False).encode()
    assert _values(raw) == 1 + count(value)
    assert parse_object(raw) == {"value": value}


@pytest.mark.parametrize("padding", [b"{}," * 99_000 + b"1", b'"' + b"x" * 2**22 + b'"'])
def test_ignored_fields_are_not_kept(padding):
    raw = START + b'"metadata": [' + padding + b'], "user": "u", "store": true}'
    tracemalloc.start()
    try:
        body = read_request(TextBody, raw)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert body.prompt == "p" and not body.model_extra
    assert kept < 2**20 and most < 24 * 2**20
