"""Packet times become the bandwidth traces they stand for, or one line that says what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.equipment import Traces
from scenarios.errors import ScenarioError
from scenarios.packet_times import as_csv, main, read_packet_times
from scenarios.traces import read_traces


def written(folder: Path, text: str, name: str = "lte.up") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_packets_are_counted_in_whole_steps(tmp_path: Path) -> None:
    link = read_packet_times(written(tmp_path, "0\n0\n999\n1000\n3500\n"))
    np.testing.assert_array_equal(link.rate_bps, [36e3, 12e3, 0.0])
    np.testing.assert_allclose(link.factors, [2.25, 0.75, 0.0])
    np.testing.assert_array_equal(read_packet_times(written(tmp_path, "1\n5\n5\n10\n"), 0.005).rate_bps, [2.4e6, 4.8e6])


@given(st.lists(st.integers(0, 9_999), min_size=1), st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_what_is_written_is_read_back_and_its_mean_is_one(
    tmp_path_factory: pytest.TempPathFactory, times_ms: list[int], step_s: float
) -> None:
    folder = tmp_path_factory.mktemp("links")
    path = written(folder, "\n".join(map(str, [*sorted(times_ms), 10_000])))
    link = read_packet_times(path, step_s)
    assert link.rate_bps.sum() * step_s == pytest.approx(12e3 * len(times_ms))
    csv = written(folder, as_csv([link], step_s), "links.csv")
    (trace,) = read_traces(Traces(bandwidth_csv=csv, repeat_s=10.0)).bandwidths or ()
    since_s, factor = np.array(trace).T
    lasts_s = np.diff(since_s, append=10.0)
    assert factor @ lasts_s == pytest.approx(10.0, rel=1e-4)
    now_s = (np.arange(len(link.rate_bps)) + 0.5) * step_s
    held = factor[np.searchsorted(since_s, now_s, side="right") - 1]
    np.testing.assert_allclose(held, link.factors, rtol=1e-5)


def test_the_command_line_converts_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [written(tmp_path, "500\n1500\n2000\n", "a.up"), written(tmp_path, "1999\n2000\n", "b.up")]
    assert main([*files, "--out", str(tmp_path / "out.csv")]) == 0
    assert (tmp_path / "out.csv").read_text() == "trace,time_s,factor\na.up,0,1\nb.up,0,0\nb.up,1,2\n"
    assert capsys.readouterr().out == "a.up: 2 s, mean 0.012 Mbit/s\nb.up: 2 s, mean 0.006 Mbit/s\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\nx\n", "line 2: time = 'x': allowed: a whole number of milliseconds >= 1"),
        ("7\n6\n", "line 2: time = '6': allowed: a whole number of milliseconds >= 7"),
        ("-1\n", "line 1: time = '-1': allowed: a whole number"),
        ("", "packets within a step of 1 s at least"),
        ("1\n999\n", "packets within a step of 1 s at least"),
        ("5000\n", "packets within a step of 1 s at least"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read_packet_times(written(tmp_path, text))
    assert said in str(error.value)


def test_what_is_wrong_with_the_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link, out = written(tmp_path, "0\n1000\n"), str(tmp_path / "out.csv")
    for arguments, said in (
        ([link], "the following arguments are required: --out"),
        ([link, "--out", out, "--step", "0"], "--step = 0.0: allowed: seconds >= 0.001"),
        ([link, link, "--out", out], "files of different names"),
        ([str(tmp_path / "none"), "--out", out], "no such file"),
        ([link, "--out", str(tmp_path)], "a file that can be written"),
    ):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert said in told
        assert told.count("\n") == 1
