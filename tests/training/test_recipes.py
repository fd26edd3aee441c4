import shlex
from typing import get_args

import pytest
import tyro
from pydantic import ValidationError

from training.config import ModelConfig, OptimizerConfig, RegularizerConfig, TrainConfig
from training.methods import METHODS
from training.recipes import Recipe

EVERY = [(recipe, method) for recipe in get_args(Recipe) for method in METHODS]


def make(recipe: str, method: str, **regularizer: object) -> TrainConfig:
    return TrainConfig(
        recipe=recipe, model=ModelConfig(method=method), regularizer=RegularizerConfig(**regularizer)
    )  # fmt: skip


def parse(command: str) -> TrainConfig:
    words = shlex.split(command.removeprefix("python -m training train"))
    return tyro.cli(TrainConfig, args=words, config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff))


@pytest.mark.parametrize(("recipe", "method"), EVERY)
def test_a_recipe_leaves_nothing_open_and_survives_json_and_its_command(recipe: str, method: str) -> None:
    config = make(recipe, method)
    groups = config.model_dump()
    for group in ("model", "regularizer", "optimizer"):
        assert None not in groups[group].values()
    assert TrainConfig.model_validate_json(config.model_dump_json()) == config
    assert parse(config.command()) == config


def test_what_is_given_wins_over_the_recipe() -> None:
    config = TrainConfig(
        recipe="authors",
        model=ModelConfig(method="drae", covariance="full", standardise=True),
        regularizer=RegularizerConfig(gamma=3.0, queue=0),
        optimizer=OptimizerConfig(prior_speed=2.0, prior_decay=True),
    )
    assert (config.regularizer.gamma, config.regularizer.beta) == (3.0, 0.011)
    assert config.command() == (
        "python -m training train --method drae --recipe authors --covariance full --standardise True --gamma 3.0"
        " --prior-speed 2.0 --prior-decay True"
    )
    assert parse(config.command()) == config


def test_the_papers_recipe_is_the_papers() -> None:
    for method in ("prae", "drae"):
        config = make("paper", method)
        regularizer, optimizer = config.regularizer, config.optimizer
        assert (regularizer.gamma, regularizer.beta, regularizer.directions) == (1.0, 0.1, 50)
        assert (optimizer.epochs, optimizer.batch_size, optimizer.learning_rate) == (50, 100, 1e-3)
        assert (config.model.covariance, config.model.standardise, regularizer.refit) == ("diagonal", False, "none")


def test_the_authors_weights_are_their_sums_in_our_convention() -> None:
    # Directions drawn from N(0, I_8) and not normalised, summed over 50 of them: E|theta|^2 = 8, E|theta|^4 = 80. The
    # Wasserstein term is a sum over 100 codes, the relational term a mean over pairs.
    wasserstein, relational = 0.9 * 50 * 100 * 8, 0.1 * 50 * 80
    regularizer = make("authors", "drae").regularizer
    assert regularizer.gamma == pytest.approx(wasserstein + relational)
    assert regularizer.beta == pytest.approx(relational / (wasserstein + relational), rel=0.01)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in {"prae", "drae"}])
def test_baselines_are_the_same_in_every_recipe(method: str) -> None:
    one, *others = (make(recipe, method).model_dump(exclude={"recipe"}) for recipe in get_args(Recipe))
    assert others == [one, one]


def test_values_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="beta"):
        make("paper", "prae", beta=1.5)
    with pytest.raises(ValidationError, match="recipe"):
        make("theirs", "prae")
