"""Files are replaced whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.atomic import write_bytes


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "figure.pdf"
    target.write_bytes(b"old")
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["figure.pdf"]
    assert target.stat().st_mode & 0o444 == 0o444


def test_a_write_that_fails_leaves_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "figure.pdf"
    target.mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(OSError):
        write_bytes(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["figure.pdf"]


def test_content_that_is_no_bytes_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "figure.pdf"
    target.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_bytes(target, "text")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
