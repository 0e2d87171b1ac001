"""Files as the world makes them: encodings, compressions, line ends, JSON forms, separators; each
is read right or refused by its line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sys

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from veneer.foundation.errors import InputError
from veneer.foundation.files import read_json_lines
from veneer.foundation.reading import open_rows
from veneer.foundation.reading.zstd import ZstdError, open_zstd
from veneer.prompts.files import read_prompts

CAFE = "What’s a café, and why? ½ “naïve” – 東京 🦔\u2028\u2029\u0085\x0b\x0c\x1c end"
ROWS = [{"prompt": CAFE}, {"prompt": "b"}]


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def lines(rows, end="\n"):
    return end.join(json.dumps(r, ensure_ascii=False) for r in rows) + end


def plain(path, **how):
    return [p.plain for p in read_prompts(path, **how)]


def zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard", reason="needs veneer[zstd]")
    return zstandard.compress(data)


JSON = lines(ROWS)
CSV = f'id,prompt\n0,"{CAFE}"\n1,b\n'


@pytest.mark.parametrize(
    "content",
    [
        JSON.encode(),
        b"\xef\xbb\xbf" + JSON.encode(),
        JSON.encode("utf-16"),
        JSON.encode("utf-32"),
        b"\xfe\xff" + JSON.encode("utf-16-be"),
        lines(ROWS, "\r\n").encode(),
        lines(ROWS, "\r").encode(),
        ("\n\n  \n" + JSON + "\n\n").encode(),
        JSON.encode() + b"\n",
        # files with marks, put together
        b"".join(b"\xef\xbb\xbf" + json.dumps(r).encode() + b"\n" for r in ROWS),
        json.dumps(ROWS).encode(),
        json.dumps(ROWS, indent=2, ensure_ascii=False).encode(),
        "\n".join(json.dumps(r, indent=2) for r in ROWS).encode(),
        "".join(json.dumps(r) for r in ROWS).encode(),
        json.dumps({"version": 1, "data": ROWS}).encode(),
        json.dumps({"version": 1, "data": ROWS}, indent=1).encode(),
        lines([{**r, "score": float("nan"), "other": float("inf")} for r in ROWS]).encode(),
    ],
)
@pytest.mark.parametrize("name", ["p.jsonl", "p.json", "p.ndjson", "p", "p.dat"])
def test_json_of_every_form(tmp_path, name, content):
    assert plain(write(tmp_path, name, content)) == [CAFE, "b"]


@pytest.mark.parametrize(
    ("ending", "make"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)],
)
@pytest.mark.parametrize(("name", "text"), [("p.jsonl", JSON), ("p.csv", CSV)])
def test_compressions(tmp_path, name, text, ending, make):
    data = make(text.encode())
    assert plain(write(tmp_path, name + ending, data)) == [CAFE, "b"]
    assert plain(write(tmp_path, name, data)) == [CAFE, "b"], (
        "by what the file begins with, not by its name"
    )
    assert plain(write(tmp_path, name + ending, data + make(b""))) == [CAFE, "b"]
    with pytest.raises(InputError, match=r"is damaged or cut .*copy it again"):
        plain(write(tmp_path, name + ending, data[:-6]))
    big = make(
        "".join(
            json.dumps({"prompt": f"{i} {os.urandom(40).hex()}"}) + "\n" for i in range(3000)
        ).encode()
    )
    assert len(plain(write(tmp_path, "big.jsonl" + ending, big))) == 3000
    with pytest.raises(InputError, match="is damaged or cut"):
        plain(write(tmp_path, "big.jsonl" + ending, big[: len(big) // 2]))


def test_zstd_without_its_package(tmp_path, monkeypatch):
    if sys.version_info >= (3, 14):
        pytest.skip("Python reads it itself from 3.14 on")
    data = zstd(JSON.encode())
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InputError, match=r"pip install 'veneer\[zstd\]'"):
        plain(write(tmp_path, "p.jsonl.zst", data))


def test_zstd_frames(tmp_path):
    path = tmp_path / "two.zst"
    path.write_bytes(zstd(b"one ") + zstd(b"two"))
    with path.open("rb") as raw:
        assert open_zstd(raw).read() == b"one two"
    path.write_bytes(zstd(b"one " * 1000)[:-3])
    with path.open("rb") as raw, pytest.raises(ZstdError, match="cut"):
        open_zstd(raw).read()


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.txt", "p"])
@pytest.mark.parametrize(
    ("line", "encoding", "reason"),
    [
        (
            "What’s a café?",
            "cp1252",
            "line 2 cannot be read as UTF-8 .*likely cp1252, in which it reads .*What’s a café",
        ),
        (
            "What is a café?",
            "latin-1",
            "line 2 cannot be read as UTF-8 .*in which it reads .*a café",
        ),
        (
            "東京の天気はどうですか",
            "shift_jis",
            "line 2 cannot be read as UTF-8 .*encoding such as",
        ),
        ("Какая погода в Москве", "cp1251", "line 2 cannot be read as UTF-8 .*encoding such as"),
    ],
)
def test_other_encodings_are_refused_by_line(tmp_path, name, line, encoding, reason):
    json_line = '{{"prompt": "{}"}}' if name in ("p.jsonl", "p") else "{}"
    text = "\n".join(json_line.format(t) for t in ("prompt", line, "b"))
    with pytest.raises(InputError, match=reason) as caught:
        plain(write(tmp_path, name, text.encode(encoding)))
    assert "�" not in str(caught.value) and "\n" not in str(caught.value)


def test_utf16_without_a_mark_and_a_character_that_is_cut(tmp_path):
    with pytest.raises(InputError, match="looks like UTF-16 without a byte order mark"):
        plain(write(tmp_path, "p.jsonl", JSON.encode("utf-16-le")))
    with pytest.raises(
        InputError,
        match=r"line 1 cannot be read as UTF-8 .*the file ends within a character; is it whole",
    ):
        plain(write(tmp_path, "p.txt", "a café".encode()[:-1]))
    with pytest.raises(InputError, match=r"line 2 .*half of a character"):
        plain(write(tmp_path, "p.jsonl", b'{"prompt": "a"}\n{"prompt": "\xed\xa0\x80"}\n'))


def test_a_replacement_sign_that_stands_there_is_read_with_a_warning(tmp_path, caplog):
    assert plain(write(tmp_path, "p.jsonl", '{"prompt": "caf\ufffd"}')) == ["caf\ufffd"]
    assert "holds the replacement character U+FFFD" in caplog.text


def test_records_of_this_package_are_not_read_with_replacements_either(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "caf\xe9"}\n')
    with pytest.raises(InputError, match="line 2 cannot be read as UTF-8"):
        list(read_json_lines(path, "rows"))
    path.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert list(read_json_lines(path, "rows")) == [(1, {"a": 1})]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.csv.gz"])
def test_separators_and_line_ends(tmp_path, separator, end, name):
    rows = [
        ["id", "prompt", "topic"],
        ["0", "What is rain, and snow; or a|b?", "x"],
        ["1", 'A "quoted"\tword' + end + "two lines", ""],
    ]
    text = "".join(
        separator.join('"' + c.replace('"', '""') + '"' for c in row) + end for row in rows
    )
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    assert plain(write(tmp_path, name, data)) == [rows[1][1], rows[2][1]]
    assert [p.id for p in read_prompts(str(tmp_path / name))] == ["0", "1"]


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        (
            "prompt;topic\nWhat is a hedgehog, and where?;animals\n",
            ["What is a hedgehog, and where?"],
        ),
        ("prompt\ttopic\nA, b; c|d\tx\n", ["A, b; c|d"]),
        ("prompt (long, formal);prompt\nx;a, b\ny;c\n", ["a, b", "c"]),
        ("sep=;\nprompt;topic\na, b;x\n", ["a, b"]),
        ('"sep=;"\r\nprompt;topic\r\na, b;x\r\n', ["a, b"]),
        ("\ufeffprompt\nHello; world\n\n", ["Hello; world"]),
        ('prompt\n"Hello, world"\n', ["Hello, world"]),
        ('id, prompt\n1, one\n2, "a, b"\n', ["one", "a, b"]),
        ("prompt,topic\na\u2028b\u0085c,x\n", ["a\u2028b\u0085c"]),
        (f"prompt,topic\n{'x' * 200_000},y\n", ["x" * 200_000]),
    ],
)
def test_tables_that_are_read(tmp_path, text, prompts):
    assert plain(write(tmp_path, "p.csv", text)) == prompts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "id,prompt\n1,Explain rain, then snow\n",
            "line 2 has 3 fields where the header has 2; .*commas",
        ),
        ("prompt,topic\na,b\nc\n", "line 3 has 1 field where the header has 2"),
        ("prompt;topic\na;b\nWhat; or not;b\n", "line 3 has 3 fields .*semicolons"),
        ("prompt\nHello, world\n", "line 2 has 2 fields where the header has 1"),
        ('prompt,topic\n"a\nb",x\n"c" d,y\n', "line 4 is no row of a table"),
        ('prompt,topic\n"a,x\nb,y\n', "line 2 is no row of a table"),
        ('act,prompt\n"a", "b"\n', "line 2 has blanks before a quote"),
        ("prompt,prompt\na,b\n", "names the column 'prompt' twice"),
        ("prompt,a;b\nx,y;z\n", "can be read with commas and semicolons"),
        ('{"prompt": "a"}\n{"prompt": "b"}\n', "begins like JSON and is named like a table"),
        (
            "What is a hedgehog?\nName three rivers\n",
            "is read as the name of its only column and looks like a prompt",
        ),
        ("id,prompt\n1,a\n1,b\n", "line 3 has the id '1', as has .*line 2"),
        ("id,prompt\n,a\n", "line 2 has an empty id"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        plain(write(tmp_path, "p.csv", text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.jsonl", '{"prompt": "a", "prompt": "b"}\n', "line 1 has the key 'prompt' twice"),
        (
            "p.jsonl",
            '{"prompt": "a"}\n{"prompt": "b", "prompt": "c"}\n',
            "line 2 has the key 'prompt' twice",
        ),
        ("p.jsonl", '{"prompt": "a"},\n{"prompt": "b"},\n', "line 1 is not valid JSON"),
        ("p.json", '[{"prompt": "a"},\n{"prompt": "b"\n]', "line 3 is not valid JSON"),
        ("p.jsonl", "{'prompt': 'a'}\n", "line 1 is not valid JSON"),
        ("p.jsonl", '{"prompt": NaN}', r"line 1 has a prompt that is no text \(float\)"),
        ("p.jsonl", '[["a"]]', "item 1 is no JSON object"),
        ("p.txt", '\n{"prompt": "a"}\n', "line 2 is a JSON object in a file of plain text"),
        ("p.txt", "a\rb\nc\n", "line 1 holds a carriage return"),
        (
            "p.md",
            "# Prompts\n",
            "does not begin like JSON, and its ending '.md' says nothing; .*\\.parquet",
        ),
        ("p", "hello\n", r"its ending '' says nothing; .*\.jsonl, \.json, \.csv"),
        (
            "p.xlsx",
            b"PK\x03\x04" + b"[Content_Types].xml",
            "is a spreadsheet's own file; save it as CSV",
        ),
        (
            "p.csv",
            b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml",
            "is a spreadsheet's own file; save it as CSV",
        ),
        ("p.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a spreadsheet's own file"),
        ("p.zip", b"PK\x03\x04" + b"p.jsonl", "is a zip archive; unpack it"),
        ("p.tar", b"\0" * 257 + b"ustar\0" + b"\0" * 200, "is a tar archive; unpack it"),
        ("p.arrow", b"ARROW1 nothing", "cannot be read as Arrow"),
    ],
)
def test_what_is_refused(tmp_path, name, content, reason):
    with pytest.raises(InputError, match=reason) as caught:
        plain(write(tmp_path, name, content))
    assert "\n" not in str(caught.value)


def test_text_with_carriage_returns_alone(tmp_path):
    assert plain(write(tmp_path, "p.txt", "one\rtwo\r")) == ["one", "two"]
    assert plain(
        write(
            tmp_path,
            "q.txt",
            b"\xef\xbb\xbfone\r\n\r\ntwo\x85\xc2\x85".replace(b"\x85\xc2", b"\xc2"),
        )
    ) == ["one", "two\u0085"]


@pytest.mark.parametrize("name", ["p.jsonl", "p.csv", "p.txt", "p.parquet"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    """Opening it would wait for ever."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=r"is a pipe and no file; .*write it to a file first"):
        plain(str(tmp_path / name))
    from veneer.tasks.source import load_prompts

    with pytest.raises(InputError, match="is a pipe"):
        load_prompts(str(tmp_path / name))
    with pytest.raises(InputError, match="is a device"):
        plain("/dev/zero")


def test_columns_of_parquet_and_arrow(tmp_path):
    chats = [
        [{"role": "user", "content": "hi", "name": None}],
        [{"role": "developer", "content": "s"}, {"role": "user", "content": "ho"}],
    ]
    table = pa.table(
        {
            "id": pa.array([7, 8], pa.int64()),
            "prompt": pa.array(["a", "b"]).dictionary_encode(),
            "q": pa.array(["c", "d"], pa.large_string()),
            "messages": chats,
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    feather.write_feather(table, str(tmp_path / "p.feather"), compression="uncompressed")
    with (
        pa.OSFile(str(tmp_path / "p.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    (tmp_path / "p.parquet.gz").write_bytes(gzip.compress((tmp_path / "p.parquet").read_bytes()))
    (tmp_path / "unnamed").write_bytes((tmp_path / "p.parquet").read_bytes())
    for name in ("p.parquet", "p.feather", "p.arrow", "p.parquet.gz", "unnamed"):
        path = str(tmp_path / name)
        assert plain(path) == ["a", "b"] and plain(path, column="q") == ["c", "d"], name
        prompts = read_prompts(path, column="messages")
        assert [p.id for p in prompts] == ["7", "8"] and prompts[0].plain == "hi"
        assert [m["role"] for m in prompts[1].messages] == ["system", "user"]


def test_rows_say_their_columns(tmp_path):
    rows = open_rows(tmp_path / write(tmp_path, "p.csv", "a;b\n1;2\n"), "rows")
    assert rows.columns == ("a", "b") and [r for _, r in rows.each(None)] == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "prompt;topic\nWhat is a hedgehog, and where?;animals\n",
            "is not parted by commas, .*give the file itself",
        ),
        ("id,prompt\n1,Explain rain, then snow\n", "line 2 has 3 fields where the header has 2"),
    ],
)
def test_a_folder_of_tables_is_not_read_askew(tmp_path, monkeypatch, text, reason):
    """The package datasets takes the first field of such rows for an index."""
    pytest.importorskip("datasets", reason="needs veneer[datasets]")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    write(tmp_path / "set", "train.csv", text)
    with pytest.raises(InputError, match=reason):
        plain(str(tmp_path / "set"))
