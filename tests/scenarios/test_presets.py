"""Presets: what lies beneath a scenario, and the one line that says what is wrong with a name."""

from pathlib import Path

import pytest

from scenarios.errors import ScenarioError
from scenarios.loading import load_scenario, read_yaml
from scenarios.presets import names, summaries, with_presets


def test_a_scenario_lies_above_its_presets_and_a_later_preset_above_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "low.yaml").write_text("network: {uplink: {bandwidth_hz: 1e6, share: tdma}}\nseeds: [4, 5]\n")
    (tmp_path / "high.yaml").write_text("network: {uplink: {share: ofdma}, downlink: {bandwidth_hz: 3e6}}\n")
    own = "name: own\npresets: [low.yaml, high.yaml]\nnetwork: {downlink: {bandwidth_hz: 2e6}}\nbudget: {time_s: 1}\n"
    (tmp_path / "own.yaml").write_text(own + "methods: {fedavg: {}}\n")
    scenario = load_scenario(tmp_path / "own.yaml", ["network.uplink.min_slice_hz=1e5"])
    assert scenario.network.uplink.bandwidth_hz == 1e6
    assert scenario.network.uplink.share == "ofdma"
    assert scenario.network.uplink.min_slice_hz == 1e5
    assert scenario.network.downlink.bandwidth_hz == 2e6
    assert scenario.seed_list == (4, 5)


def test_presets_may_name_others_but_not_each_other(tmp_path: Path) -> None:
    (tmp_path / "low.yaml").write_text("seeds: [4]\nname: low\n")
    (tmp_path / "high.yaml").write_text("presets: [low.yaml]\nname: high\n")
    tree = with_presets({"presets": ["high.yaml"]}, read_yaml, str(tmp_path / "own.yaml"))
    assert (tree["seeds"], tree["name"], tree["presets"]) == ([4], "high", ["high.yaml"])
    (tmp_path / "low.yaml").write_text("presets: [high.yaml]\n")
    with pytest.raises(ScenarioError, match="in a circle"):
        with_presets({"presets": ["high.yaml"]}, read_yaml, str(tmp_path / "own.yaml"))


@pytest.mark.parametrize("wanted", [["mars"], "mars", [1], ["missing.yaml"]])
def test_a_preset_that_does_not_exist_is_told_in_one_line(tmp_path: Path, wanted: object) -> None:
    with pytest.raises(ScenarioError) as caught:
        with_presets({"presets": wanted}, read_yaml, str(tmp_path / "a.yaml"))
    assert str(caught.value).startswith(f"{tmp_path / 'a.yaml'}: presets = ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", names())
def test_every_preset_makes_a_valid_scenario_and_says_what_it_is(tmp_path: Path, name: str) -> None:
    text = (
        f"name: any\npresets: [{name}]\ndata: {{source: synthetic}}\nbudget: {{time_s: 1}}\nmethods: {{fedavg: {{}}}}\n"
    )
    (tmp_path / "any.yaml").write_text(text)
    assert load_scenario(tmp_path / "any.yaml").presets == (name,)
    assert len(summaries()[name]) > 20
