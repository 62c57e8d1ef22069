"""Dual steps per second on a GPU against its memory bandwidth: ``python -m tests.benchmarks.gpu``.

One pass of dual ascent (100 rows a terminal, every row once in random order) over 10^5 terminals of 100 features. A
step reads one row from memory, so reading all rows once bounds it; the kernel adds up the update exactly in a second
pass over the rows. Fewer terminals where half of the free memory does not hold the rows. Times are those of CUDA
events on the device; work orders and models are there already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.benchmarks.timing import table

TERMINALS, ROWS, FEATURES = 100_000, 100, 100
LOSSES = ("hinge", "logistic")


def main() -> dict[str, Any]:
    """Measure and return figures, one entry per (loss, precision); none without a CUDA device and Triton."""
    try:
        import torch
        import triton  # noqa: F401
    except ImportError:
        return {}
    if not torch.cuda.is_available():
        return {}
    cases = [(name, dtype) for dtype in ("float32", "float64") for name in LOSSES]
    return {f"{name} {dtype}": measure(name, getattr(torch, dtype)) for name, dtype in cases}


def device_s(action: Callable[[], Any], repeats: int = 5) -> float:
    """Return the shortest duration of ``action`` on the device in seconds, after one call that compiles."""
    import torch

    action()
    durations = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        action()
        end.record()
        end.synchronize()
        durations.append(start.elapsed_time(end) / 1e3)
    return min(durations)


def terminals_that_fit(itemsize: int) -> int:
    """Return how many terminals' rows fill at most half of the device's free memory."""
    import torch

    free, _ = torch.cuda.mem_get_info()
    return min(TERMINALS, int(free / 2 / (ROWS * FEATURES * itemsize)))


def measure(name: str, dtype: Any, device: str = "cuda") -> dict[str, float]:
    """Return steps per second of the bound and of the kernel."""
    import torch

    from learning.primal_dual.jobs import Sampling
    from learning.primal_dual.losses import make_loss
    from learning.primal_dual.reference_solver import Rows
    from learning.primal_dual.triton_solver import DeviceAscents, local_dual_ascent, squared_norms

    terminals = terminals_that_fit(dtype.itemsize)
    n, loss = terminals * ROWS, make_loss(name)
    on: dict[str, Any] = {"device": device}
    generator = torch.Generator(**on).manual_seed(0)
    X = torch.randn((n, FEATURES), generator=generator, dtype=dtype, **on)
    rows = Rows(X, torch.where(X[:, 0] > 0, 1.0, -1.0).to(dtype), torch.arange(terminals + 1, **on) * ROWS)
    alpha, norms = torch.full((n,), loss.initial_dual(), dtype=dtype, **on), squared_norms(X)
    who, one = torch.arange(terminals, **on), torch.ones(terminals, dtype=torch.int64, **on)
    orders = torch.stack([who, ROWS * one, 0 * one, ROWS * who], dim=1)
    scales = torch.full((terminals,), 1.0 / (0.1 * ROWS), dtype=torch.float64, **on)
    w = torch.zeros((terminals, FEATURES), dtype=dtype, **on)
    work = DeviceAscents(n, Sampling.PERMUTATION, False, orders, torch.tensor([1, 2], **on), scales, w, who)
    read_s = device_s(lambda: X.sum())
    kernel_s = device_s(lambda: local_dual_ascent(loss, rows, norms, alpha, work))
    return {
        "terminals": float(terminals),
        "bandwidth_gb_s": X.numel() * dtype.itemsize / read_s / 1e9,
        "bound_steps_s": n / read_s,
        "kernel_steps_s": n / kernel_s,
        "kernel_over_bound": read_s / kernel_s,
    }


def text(figures: dict[str, Any]) -> str:
    """Return the figures as a table, or one line where there are none."""
    if not figures:
        return "Dual steps per second on a GPU: no CUDA device is present, or Triton is not installed"
    columns = ["", "terminals", "read GB/s", "bound M/s", "kernel M/s", "kernel/bound"]
    rows = [
        [
            name,
            f"{f['terminals']:.0f}",
            f"{f['bandwidth_gb_s']:.1f}",
            *(f"{f[k] / 1e6:.1f}" for k in ("bound_steps_s", "kernel_steps_s")),
            f"{f['kernel_over_bound']:.2f}",
        ]
        for name, f in figures.items()
    ]
    return table("Dual steps per second on the GPU, one pass over all rows", columns, rows)


if __name__ == "__main__":
    print(text(main()))
