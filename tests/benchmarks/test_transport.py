"""The benchmark runs from end to end on small sizes, and its baselines compute what ours do."""

import json

import pytest
import torch

from benchmarks.baselines import explicit_hierarchical_fgw, pairwise_sliced_fgw, pot_fgw, pot_sliced
from benchmarks.transport import Settings, main, problem
from relatent import hierarchical_fgw, random_directions, sliced_fgw, sliced_wasserstein


def test_the_baselines_compute_the_same_distances():
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 30, 3, generator=rng).double()
    directions = random_directions(3, 10, generator=rng).double()
    torch.testing.assert_close(
        pairwise_sliced_fgw(x, y, 0.3, directions), sliced_fgw(x, y, beta=0.3, directions=directions)
    )
    assert pot_sliced(x, y, directions) ** 2 == pytest.approx(sliced_wasserstein(x, y, directions=directions).item())
    p, q = problem("random", 60, 3, 0)
    ours = hierarchical_fgw(p, q, beta=0.3).item()
    assert pot_fgw(p, q, 0.3) == pytest.approx(ours, rel=0.05)
    # The plain-domain solver stops early and misses the second marginal: near, but no oracle.
    assert explicit_hierarchical_fgw(p, q, 0.3).item() == pytest.approx(ours, rel=0.5)


@pytest.mark.slow
def test_it_writes_its_table_numbers_and_plot(tmp_path, capsys):
    threads = torch.get_num_threads()
    main(Settings(out=tmp_path, quick=True, threads=1))
    torch.set_num_threads(threads)
    found = json.loads((tmp_path / "transport.json").read_text())
    assert {"machine", "sliced", "hierarchical", "quality"} == set(found)
    assert all(timing["fastest_ms"] > 0 for row in found["sliced"] for timing in row["ways"].values())
    text = (tmp_path / "transport.md").read_text()
    assert "## Hierarchical FGW" in text
    assert text in capsys.readouterr().out
    assert (tmp_path / "transport.png").stat().st_size > 10_000
