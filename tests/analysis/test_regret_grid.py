"""The grid of fixed choices covers passes on both sides of one, and its entries are what the key says."""

from analysis.regret.grid import fixed_methods, local_grid


def test_the_grid_goes_from_a_sixteenth_of_a_pass_to_sixteen_passes() -> None:
    assert local_grid(4.4) == (1, 2, 4, 8, 16, 32, 64)
    assert local_grid(300.0) == (32, 64, 128, 256, 512, 1024, 2048, 4096)
    assert local_grid(0.5) == (1, 2, 4, 8)


def test_every_entry_is_what_its_key_says() -> None:
    found = fixed_methods([1, 8], [2], {"relaxation": 1.5})
    assert found == {
        f"fixed_{H}_2": {"use": "hfedmtl", "local_iterations": H, "bs_iterations": 2, "relaxation": 1.5} for H in (1, 8)
    }
