import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from serving.engine import CHUNK, Engine, NonFiniteError
from serving.manifest import View


@pytest.fixture(scope="module")
def alpha(tiny_models):
    return Engine.load(tiny_models / "alpha")


@pytest.fixture(scope="module")
def latent():
    return np.random.default_rng(5).standard_normal((3 * CHUNK + 1, 8)).astype(np.float32)


def test_decode_is_the_affine_map(alpha, tiny, latent):
    np.testing.assert_allclose(alpha.decode(latent), tiny.decode(latent), atol=2e-6)


def test_encode_gives_mean_and_std(alpha, tiny):
    x = np.random.default_rng(6).uniform(0, 1, (5, 1, 28, 28)).astype(np.float32)
    posterior = alpha.encode(x)
    np.testing.assert_allclose(posterior.mean, tiny.mean(x), atol=2e-6)
    np.testing.assert_allclose(posterior.std, tiny.std(x), atol=2e-6)


def test_deterministic_encoder_has_no_std(tiny_models, tiny, latent):
    beta = Engine.load(tiny_models / "beta")
    posterior = beta.encode(beta.decode(latent))
    assert posterior.std is None
    np.testing.assert_allclose(posterior.mean, latent, atol=5e-6)  # encode inverts decode on its range


def test_reconstruct_is_encode_then_decode_and_counts_the_rest(alpha, tiny):
    x = np.random.default_rng(7).uniform(0, 1, (4, 1, 28, 28)).astype(np.float32)
    again = alpha.reconstruct(x)
    np.testing.assert_array_equal(again.x, alpha.decode(alpha.encode(x).mean))
    rows = x.reshape(4, -1).astype(np.float64) - 0.5
    projection = tiny.A.astype(np.float64) @ np.linalg.pinv(tiny.A.astype(np.float64))
    rest = rows - rows @ projection.T  # what the linear autoencoder cannot hold
    np.testing.assert_allclose(again.error, np.square(rest).sum(1), rtol=1e-5)


def test_responsibilities_are_bayes_rule(alpha, tiny, latent):
    densities = [
        stats.norm.logpdf(latent[:, None], mean, std).sum(-1)[:, 0]
        for mean, std in zip(tiny.means.astype(np.float64), tiny.stds.astype(np.float64), strict=True)
    ]
    joint = np.stack(densities, axis=1) + np.log(tiny.weights.astype(np.float64))
    expected = joint - logsumexp(joint, axis=1, keepdims=True)
    np.testing.assert_allclose(alpha.log_responsibilities(latent), expected, rtol=1e-4, atol=1e-3)


def test_samples_follow_the_component(alpha, tiny):
    drawn = alpha.sample(5000, seed=11, component=4)
    standard = (drawn.latent - tiny.means[4]) / tiny.stds[4]
    assert stats.kstest(standard.ravel(), "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(standard.T) - np.eye(8)).max() < 0.07
    np.testing.assert_allclose(drawn.x, tiny.decode(drawn.latent), atol=2e-6)


def test_components_follow_the_weights(alpha, tiny):
    drawn = alpha.sample(5000, seed=12)
    weights = tiny.weights.astype(np.float64)
    counts = np.bincount(drawn.component, minlength=10)
    assert stats.chisquare(counts, 5000 * weights / weights.sum()).pvalue > 1e-3


def test_temperature_scales_the_spread(alpha, tiny):
    cold, warm, hot = (alpha.sample(50, seed=1, component=2, temperature=t).latent for t in (0, 1, 2))
    np.testing.assert_array_equal(cold, np.broadcast_to(tiny.means[2], (50, 8)))
    np.testing.assert_allclose(hot - cold, 2 * (warm - cold), atol=1e-6)


def test_a_seed_gives_the_same_items_whatever_the_length(alpha):
    short, long = alpha.sample(3, seed=9), alpha.sample(2 * CHUNK + 3, seed=9)
    for few, many in zip(short, long, strict=True):
        np.testing.assert_array_equal(few, many[:3])


def test_another_component_keeps_the_noise(alpha, tiny):
    noises = [(alpha.sample(4, seed=3, component=k).latent - tiny.means[k]) / tiny.stds[k] for k in (0, 7)]
    np.testing.assert_allclose(*noises, atol=1e-4)


def test_one_component_per_item(alpha, tiny):
    drawn = alpha.sample(3, seed=1, component=[9, 0, 9], temperature=0)
    np.testing.assert_array_equal(drawn.latent, tiny.means[[9, 0, 9]])


@pytest.mark.parametrize("component", [-1, 10, [0, 10]])
def test_component_out_of_range(alpha, component):
    with pytest.raises(ValueError, match="component"):
        alpha.sample(2, seed=1, component=component)


def test_interpolation_is_linear_with_both_ends(alpha):
    start, end = np.full(8, 2, np.float32), np.arange(8, dtype=np.float32)
    expected = np.stack([start + t * (end - start) for t in (0, 0.25, 0.5, 0.75, 1)])
    np.testing.assert_allclose(alpha.interpolate(start, end, 5), expected, atol=1e-6)
    np.testing.assert_array_equal(alpha.interpolate(start, end, 2), [start, end])


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 7)), np.zeros(8), np.zeros((0, 8)), np.full((1, 8), np.nan), [[1e39] * 8]]
)
def test_bad_latent(alpha, bad):
    with pytest.raises(ValueError, match="latent"), np.errstate(over="ignore"):
        alpha.decode(bad)


def test_a_flat_picture_is_not_reshaped(alpha):
    with pytest.raises(ValueError, match=r"\(n, 1, 28, 28\).*\(3, 784\)"):
        alpha.encode(np.zeros((3, 784)))


def test_non_finite_output_raises(alpha):
    with pytest.raises(NonFiniteError, match=r"alpha: responsibilities.onnx"):
        alpha.log_responsibilities(np.full((1, 8), 3e38))


def test_views_of_a_co_trained_bundle(bundles, tmp_path):
    image, vector = bundles.make_tiny(seed=1), bundles.make_tiny(seed=2, shape=(5 * 8,))
    views = {
        "image": (View(kind="image", shape=(1, 28, 28), value_range=(0, 1), folder="views/image"), image),
        "pixels": (View(kind="vector", shape=(40,), folder="views/pixels"), vector),
    }
    engine = Engine.load(bundles.write_bundle(tmp_path / "pair", image, views=views))
    latent = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    np.testing.assert_allclose(engine.decode(latent), image.decode(latent), atol=2e-6)
    np.testing.assert_allclose(engine.decode(latent, view="pixels"), vector.decode(latent), atol=2e-6)
    np.testing.assert_allclose(engine.encode(vector.decode(latent), view="pixels").mean, latent, atol=5e-6)
    assert engine.sample(2, seed=0, view="pixels").x.shape == (2, 40)
    with pytest.raises(KeyError):
        engine.decode(latent, view="sound")
