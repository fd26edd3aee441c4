import numpy as np
from scipy import stats

from serving.randomness import SEED_LIMIT, draw_components, draw_noise, new_seed


def test_seeds_fit_json_and_differ():
    seeds = {new_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**53 for seed in seeds)


def test_a_seed_is_a_promise():
    # Written down once: whoever changes the generator changes every picture that a seed stands for.
    assert draw_components(7, 8, np.full(4, 0.25)).tolist() == [3, 1, 1, 1, 0, 2, 1, 2]
    assert draw_noise(7, 1, 3).tobytes().hex() == "aced17bf211fc63f7ac100bf"


def test_streams_and_seeds_are_independent():
    noise = np.stack([draw_noise(seed, 5000, 1)[:, 0] for seed in (0, 1, SEED_LIMIT - 1)])
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 0.06
    uniform = draw_components(0, 5000, np.full(1000, 1e-3))
    assert abs(stats.spearmanr(uniform, noise[0]).statistic) < 0.06


def test_noise_is_standard_normal():
    assert stats.kstest(draw_noise(3, 20000, 1).ravel(), "norm").pvalue > 1e-3


def test_a_component_of_weight_zero_is_never_drawn():
    drawn = draw_components(1, 20000, np.array([0.0, 0.5, 0.0, 0.5, 0.0]))
    assert set(drawn.tolist()) == {1, 3}
