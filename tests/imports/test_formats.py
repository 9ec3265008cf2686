"""What a file is, told from its first block."""

import gzip

import pytest

from app.imports.formats import MAX_COLUMNS, FileError, recognise

CSV = b"a,b,c\n1,2,3\n"


def _recognise(content: bytes, name: str = "file.csv", content_type: str = "") -> tuple[str, str, bool, list[str]]:
    found = recognise(content, file_name=name, content_type=content_type)
    return found.format, found.delimiter, found.gzipped, found.header


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (CSV, "file.csv", ("csv", ",", False, ["a", "b", "c"])),
        (b"a;b,x;c\n", "file.csv", ("csv", ";", False, ["a", "b,x", "c"])),
        (b"a\tb\tc\n", "file.tsv", ("csv", "\t", False, ["a", "b", "c"])),
        (b'"a;1";"b"\n', "file.csv", ("csv", ";", False, ["a;1", "b"])),
        (b"\xef\xbb\xbfa,b\r\n1,2\r\n", "file.csv", ("csv", ",", False, ["a", "b"])),
        (b" a , b \n", "file.csv", ("csv", ",", False, ["a", "b"])),
        (b"only\n1\n", "file.csv", ("csv", ",", False, ["only"])),
        (b"only", "file", ("csv", ",", False, ["only"])),
        (gzip.compress(CSV, mtime=0), "file.csv.gz", ("csv", ",", True, ["a", "b", "c"])),
        (gzip.compress(CSV, mtime=0), "file.csv", ("csv", ",", True, ["a", "b", "c"])),
        ("客户,金额\n".encode(), "file.csv", ("csv", ",", False, ["客户", "金额"])),
        (b'{"a": 1}\n{"b": 2}\n', "file.ndjson", ("ndjson", "", False, ["a", "b"])),
        (b'{"a": 1}\n', "file", ("ndjson", "", False, ["a"])),
        (gzip.compress(b'{"a": 1}\n', mtime=0), "file.jsonl.gz", ("ndjson", "", True, ["a"])),
    ],
)
def test_a_file_is_recognised(content: bytes, name: str, expected: tuple[str, str, bool, list[str]]) -> None:
    assert _recognise(content, name) == expected


def test_what_is_cut_off_in_the_first_block_does_not_matter() -> None:
    rows = b'{"a": 1, "b": "' + b"x" * 300_000 + b'"}\n'
    assert _recognise(b'{"a": 1}\n' + rows, "file.ndjson")[3] == ["a"]
    assert _recognise(b"a,b\n" + "é".encode() * 300_000)[3] == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "file.csv", "empty"),
        (b"\n \n", "file.csv", "empty"),
        (gzip.compress(b"", mtime=0), "file.csv.gz", "empty"),
        (CSV, "file.csv.gz", "not compressed"),
        (b"\x1f\x8bnot really gzip", "file.csv.gz", "cannot be decompressed"),
        (b"PK\x03\x04\x00\x00", "file.xlsx", "binary"),
        (b"\x89PNG\r\n\x1a\n\x00", "file.csv", "not UTF-8"),
        ("a,b\nMünchen".encode("latin-1"), "file.csv", "not UTF-8"),
        ("a,b\n".encode("utf-16"), "file.csv", "not UTF-8"),
        (b"a\x01,b\n", "file.csv", "header"),
        (b",,\n1,2,3\n", "file.csv", "header"),
        (CSV, "file.ndjson", "no JSON object"),
        (b"[1, 2]\n", "file.ndjson", "no JSON object"),
        (b"[" * 100_000, "file.ndjson", "no JSON object"),
        (b"x" * 400_000, "file.csv", "too long"),
        (b'"' + b"x" * 20_000 + b"\n", "file.csv", "cannot be read"),
        (",".join(f"c{n}" for n in range(MAX_COLUMNS + 1)).encode(), "file.csv", "more than 200 columns"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(content: bytes, name: str, says: str) -> None:
    with pytest.raises(FileError, match=says):
        _recognise(content, name)


def test_ndjson_may_be_claimed_by_its_content_type() -> None:
    with pytest.raises(FileError, match="no JSON object"):
        _recognise(CSV, "file", "application/x-ndjson")
