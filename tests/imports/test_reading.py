"""A file becomes blocks of rows, whatever is in it, with flat memory."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from app.imports.formats import MAX_LINE, FileError, recognise
from app.imports.kinds import Options, RowError
from app.imports.plan import Plan, Skip
from app.imports.reading import Block, Reading, gunzip

GIGABYTE = 1024**3


def _pieces(content: bytes, size: int = 1000) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def _row(values: list[str], line: int) -> str:
    if values[0] == "bad":
        raise RowError("a", "a is bad")
    return f"{line}:{'|'.join(values)}\n"


def _reading(content: bytes, *, name: str = "f.csv", skip: list[Skip] | None = None, size: int = 1000) -> Reading:
    found = recognise(content[: 1024 * 1024], file_name=name, content_type="")
    plan = Plan(found.format, found.delimiter, found.gzipped, found.header, {}, skip or [], Options(False, None, None))
    return Reading(plan, _row, _pieces(content, size), max_bytes=GIGABYTE)


def _all(content: bytes, **options: str) -> Block:
    return _reading(content, **options).block()  # type: ignore[arg-type]  # only names are passed


def _blocks(reading: Reading) -> int:
    """Read to the end; how many rows there were."""
    rows = 0
    while True:
        block = reading.block()
        rows += block.rows
        if block.ended:
            return rows


def _bad(block: Block) -> list[tuple[int, str | None, str]]:
    return [(bad.line, bad.field, bad.reason) for bad in block.rejections]


def test_rows_come_with_the_line_they_begin_on() -> None:
    block = _all(b'a,b\n1,2\n\n"3\n3",4\r\n5,"6""6"\n')
    assert block.staged == ["2:1|2|\n", "4:3\n3|4|\n", '6:5|6"6|\n']
    assert (block.rows, block.ended, block.bytes_read) == (3, True, 27)


def test_bad_rows_are_reported_and_the_others_taken() -> None:
    block = _all(b"a,b\n1,2\nbad,2\n1\n1,2,3\n5,6\n")
    assert block.staged == ["2:1|2|\n", "6:5|6|\n"]
    assert _bad(block) == [
        (3, "a", "a is bad"),
        (4, None, "the row has 1 fields, the header 2"),
        (5, None, "the row has 3 fields, the header 2"),
    ]


def test_lines_that_end_in_cr_alone_are_told() -> None:
    with pytest.raises(FileError, match="LF or CRLF"):
        _all(b"a,b\r1,2\r3,4\r")
    long = b"a,b\n" + b"1,2\r" * (MAX_LINE // 2)
    with pytest.raises(FileError, match="longer than"):
        _all(long)


def test_a_key_that_is_read_and_comes_too_late_is_refused() -> None:
    content = b'{"a": "1", "b": "2"}\n{"a": "1", "c": "2"}\n{"a": "1", "d": "2"}\n'
    plan = Plan("ndjson", "", False, ["a", "b"], {}, [], Options(False, None, None))
    block = Reading(plan, _row, _pieces(content, 1000), max_bytes=GIGABYTE, known={"a", "c"}).block()
    assert (len(block.staged), _bad(block)) == (
        2,
        [(2, None, "no line at the beginning has 'c'; give the first line the key, null")],
    )


def test_a_quote_that_is_not_closed_costs_no_more_than_a_field() -> None:
    lines = "".join(f"row {n},2\n" for n in range(3000))
    block = _all(f'a,b\n1,2\n"3,4\n{lines}'.encode())
    assert block.rejections[0].line == 3
    assert "quote that is not closed" in block.rejections[0].reason
    assert block.staged[-1].endswith("row 2999|2|\n")
    assert len(block.staged) > 1500


def test_rows_are_left_out_by_value_or_prefix() -> None:
    block = _reading(b"a,b\nC1,x\n1,x\n 2 ,stop\n", skip=[Skip(0, (), ("C",)), Skip(1, ("stop",), ())]).block()
    assert (block.rows, block.skipped, block.staged) == (3, 2, ["3:1|x|\n"])


def test_a_pass_that_was_broken_off_goes_on_behind_the_rows_it_had() -> None:
    content = b"a,b\n" + b"".join(b"%d,x\n\n" % n for n in range(100))
    first = _reading(content)
    head = [first.block(30) for _ in range(2)]
    second = _reading(content)
    second.pass_over(60)
    rest = second.block(1000)
    assert [row for block in [*head, rest] for row in block.staged] == _reading(content).block(1000).staged
    assert (head[0].ended, rest.rows, rest.ended) == (False, 40, True)


def test_ndjson_keeps_the_digits_of_numbers() -> None:
    content = b'{"a": "x", "b": 1.10, "c": 1}\n\n{"b": 12345678901234567890.50, "c": true}\n{"a": null, "z": 1}\n'
    block = _all(content, name="f.ndjson")
    assert block.staged == ["1:x|1.10|1||\n", "3:|12345678901234567890.50|true||\n", "4:|||1|\n"]


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[1]", "3", '{"a": {"b": 1}}', '{"a": [1]}', '{"a": ' + "[" * 5000, '{"a": "' + "x" * 10_001 + '"}'],
)
def test_a_line_that_is_no_flat_object_is_a_bad_row(line: str) -> None:
    block = _all(b'{"a": 1}\n' + line.encode() + b'\n{"a": 2}\n', name="f.ndjson")
    assert [bad.line for bad in block.rejections] == [2]
    assert block.staged == ["1:1|\n", "3:2|\n"]


def test_text_that_is_not_utf8_further_on_stops_the_import() -> None:
    content = b"a,b\n" + b"1,2\n" * 100_000 + "München,3\n".encode("latin-1")
    with pytest.raises(FileError, match="not UTF-8 text somewhere after line"):
        _blocks(_reading(content))


def test_a_line_without_end_is_refused_before_memory_is_full() -> None:
    def endless() -> Iterator[bytes]:
        yield b"a,b\n"
        while True:
            yield b"x" * 100_000

    plan = Plan("csv", ",", False, ["a", "b"], {}, [], Options(False, None, None))
    with pytest.raises(FileError, match="longer than"):
        Reading(plan, _row, endless(), max_bytes=GIGABYTE).block()


@pytest.mark.parametrize("size", [1, 7, 1000, 10_000_000])
def test_gzip_of_several_members_is_one_file(size: int) -> None:
    plain = b"".join(b"%d,x\n" % n for n in range(5000))
    content = gzip.compress(plain[:7777], mtime=0) + gzip.compress(plain[7777:], mtime=0) + b"\0" * 40
    assert b"".join(gunzip(_pieces(content, size), max_bytes=GIGABYTE)) == plain


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"x" * 100, mtime=0)[:-9], "ends too early"),
        (gzip.compress(b"x" * 100, mtime=0)[:-4] + b"1234", "damaged"),
        (gzip.compress(b"x" * 100, mtime=0) + b"trailing", "damaged"),
    ],
)
def test_damaged_gzip_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(FileError, match=says):
        list(gunzip(_pieces(content), max_bytes=GIGABYTE))


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"0" * (1024 * 1024)
    bomb = b"".join(stream.compress(zeros) for _ in range(200)) + stream.flush()
    tracemalloc.start()
    sizes: list[int] = []
    with pytest.raises(FileError, match="too large"):
        sizes.extend(map(len, gunzip(_pieces(bomb), max_bytes=GIGABYTE)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) < 70 * 1024 * 1024
    assert peak < 8 * 1024 * 1024
    with pytest.raises(FileError, match="too large"):
        list(gunzip(_pieces(gzip.compress(b"x" * 5000, mtime=0)), max_bytes=4000))


def test_reading_a_large_file_keeps_memory_flat() -> None:
    def rows() -> Iterator[bytes]:
        yield b"a,b\n"
        for n in range(100):
            yield b"".join(b"%d,%d\n" % (n, m) for m in range(5000))

    plan = Plan("csv", ",", False, ["a", "b"], {}, [], Options(False, None, None))
    reading = Reading(plan, _row, rows(), max_bytes=GIGABYTE)
    tracemalloc.start()
    total = _blocks(reading)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 500_000
    assert peak < 20 * 1024 * 1024


def test_json_written_by_others_is_read_by_us() -> None:
    line = json.dumps({"a": "ü\u2028\\", "b": -0.5}, ensure_ascii=False)
    assert _all(line.encode(), name="f.jsonl").staged == ["1:ü\u2028\\|-0.5|\n"]
