"""Recipes: ours say what they shall, options change them, and what is wrong with a file is named."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cspine.card import Input
from cspine.errors import Usage
from models import commands
from models.networks import NETWORKS
from models.training import recipe
from models.training.recipe import InputWish, Recipe


def test_the_paper_s_recipe() -> None:
    paper = recipe.read("paper")
    assert (paper.optimizer.name, paper.optimizer.rate, paper.optimizer.momentum) == ("sgd", 0.001, 0.95)
    assert (paper.batch, paper.epochs) == (10, 30)
    assert (paper.schedule.kind, paper.schedule.every) == ("steps", 4)
    assert paper.auxiliary and not paper.lesion_map
    assert paper.augmentation.for_source(drawn=False) == recipe.Augmentation(flip=0)
    wanted = paper.input.resolved(NETWORKS["alexnet"].INPUT_SIZE, None)
    assert wanted == Input(size=227, channels=3, scale="caffe", fit="stretch")


def test_the_modern_recipe_is_the_default() -> None:
    modern = recipe.read(recipe.DEFAULT)
    assert (modern.network, modern.width, modern.epochs, modern.batch) == ("googlenet", 0.5, 20, 16)
    assert modern.input.resolved(224, None) == Input(size=224, channels=1)
    assert recipe.names() == ["modern", "paper", "scratch", "transfer"]
    assert ", ".join(recipe.names()) == commands.RECIPES, "what `train --help` says"


def test_options_change_a_recipe() -> None:
    modern = recipe.read("modern")
    changed = modern.changed({"epochs": 3, "optimizer.rate": 0.01, "batch": None})
    assert (changed.epochs, changed.optimizer.rate, changed.batch) == (3, 0.01, 16)
    assert modern.changed({}) == modern
    assert modern.changed({"network": "mobilenet_v2"}).width == 1
    assert modern.changed({"network": "mobilenet_v2", "width": 0.35}).width == 0.35
    assert not recipe.read("paper").changed({"network": "alexnet"}).auxiliary
    with pytest.raises(Usage, match=r"the options: optimizer\.rate: Input should be greater than 0"):
        modern.changed({"optimizer.rate": -1})


def test_recipes_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Recipe().epochs = 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs = 0", "epochs: Input should be greater than or equal to 1"),
        ("epoch = 3", "epoch: Extra inputs are not permitted"),
        ("epochs = ", "is not a recipe in TOML"),
        ('[optimizer]\nname = "lion"', "optimizer.name: Input should be 'adam' or 'sgd'"),
        ("[transfer]\nunfreeze = [{epoch = 2, layer = 'x'}]", "the epochs of unfreeze begin with 1 and rise"),
        ("[shares]\nvalidation = 0.5\ntest = 0.5", "validation and test leave nothing to train on"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(Usage, match="mine.toml.*" + words):
        recipe.read(str(tmp_path / "mine.toml"))


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(Usage, match="there is no recipe nowhere; ours are modern, paper"):
        recipe.read("nowhere")


def test_the_input_is_that_of_the_pretrained_weights() -> None:
    own = Input(size=224, channels=3, scale="caffe", order="bgr")
    assert InputWish().resolved(227, own) == own
    assert InputWish(size=160, fit="stretch").resolved(227, own) == own.model_copy(
        update={"size": 160, "fit": "stretch"}
    )
    with pytest.raises(Usage, match="the pretrained weights take scale caffe, the recipe says unit"):
        InputWish(scale="unit").resolved(227, own)
