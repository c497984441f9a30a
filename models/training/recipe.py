"""A recipe: how a network is trained, read from a file; `models/recipes` holds ours by name."""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cspine.card import Input
from cspine.errors import Usage
from models.training.augmentation import Augmentation

FOLDER = Path(__file__).parents[1] / "recipes"
DEFAULT = "modern"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputWish(_Frozen):
    """What is said of the network's input; the rest is the pretrained weights' own, or the network's and the card's."""

    size: int | None = Field(None, ge=8, le=1024)
    channels: Literal[1, 3] | None = None
    scale: Literal["standardise", "unit", "symmetric", "caffe"] | None = None
    fit: Literal["letterbox", "stretch"] | None = None
    order: Literal["rgb", "bgr"] | None = None
    resample: Literal["area", "nearest"] | None = None

    def resolved(self, size: int, trained_on: Input | None) -> Input:
        """Return the input in full; `size` is the network's own and `trained_on` the pretrained weights'.

        Raises `Usage` where a wish contradicts what the weights were trained on: that is the skew between training and
        serving that nobody sees.
        """
        wished = self.model_dump(exclude_none=True)
        if trained_on is None:
            return Input(**{"size": size, "channels": 1, **wished})
        own = trained_on.model_dump()
        for name in ("channels", "scale", "order"):
            if name in wished and wished[name] != own[name]:
                raise Usage(f"the pretrained weights take {name} {own[name]}, the recipe says {wished[name]}")
        return Input(**{**own, **wished})


class Optimizer(_Frozen):
    """Which steps are made along the gradient."""

    name: Literal["adam", "sgd"] = "adam"
    rate: float = Field(7e-4, gt=0, lt=10, description="greatest learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    clipnorm: float | None = Field(None, gt=0, description="greatest norm of a variable's gradient")
    weight_decay: float = Field(0, ge=0, lt=1)


class Schedule(_Frozen):
    """How the rate changes: `cosine` falls to zero, `steps` is multiplied by `factor` every `every` epochs."""

    kind: Literal["constant", "cosine", "steps"] = "constant"
    warmup_epochs: float = Field(0, ge=0)
    every: int = Field(4, ge=1)
    factor: float = Field(0.1, gt=0, le=1)


class Unfreezing(_Frozen):
    """From an epoch on (counted from 1) the layers from `layer` to the output learn, and those before it do not."""

    epoch: int = Field(ge=1)
    layer: str = Field(description="a layer's name; empty: the first of all")


class Transfer(_Frozen):
    """What is taken over from a network that was trained on something else."""

    pretrained: Path | None = Field(None, description="a file that `cspine pretrained` has made")
    head_rate: float = Field(1, gt=0, le=1000, description="factor of the learning rate of the new layers")
    unfreeze: tuple[Unfreezing, ...] = ()
    batch_norm: Literal["kept", "learnt"] = "kept"
    """Few films give poor means and deviations, and weights into which the normalisation was folded have none."""

    @model_validator(mode="after")
    def _begins_and_rises(self) -> Self:
        epochs = [step.epoch for step in self.unfreeze]
        if epochs and (epochs[0] != 1 or epochs != sorted(set(epochs))):
            raise ValueError("the epochs of unfreeze begin with 1 and rise")
        return self


class Shares(_Frozen):
    """Into which parts films are divided, where their list does not say."""

    validation: float = Field(0.15, gt=0, lt=1)
    test: float = Field(0.15, gt=0, lt=1)

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self

    @property
    def by_split(self) -> dict[str, float]:
        """The share of each part."""
        training = 1 - self.validation - self.test
        return {"training": training, "validation": self.validation, "test": self.test}


class Recipe(_Frozen):
    """Everything that decides a training but the data and the seed."""

    network: str = "googlenet"
    width: float = Field(1, gt=0, le=4, description="factor of the network's channels")
    epochs: int = Field(14, ge=1)
    batch: int = Field(16, ge=1)
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    deterministic: bool = Field(False, description="one thread and no operation whose order is free: slower, exact")
    smoothing: float = Field(0, ge=0, lt=0.5, description="of the labels")
    patience: int = Field(0, ge=0, description="epochs without a better validation loss until the end; 0: no end")
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    auxiliary: bool = Field(False, description="train GoogLeNet's two further classifiers, which count 0.3 each")
    lesion_map: bool = Field(True, description="train a lesion-map head where lesions were drawn")
    keep_lesion_map: bool = Field(False, description="keep that head in the release, as a supervised map")
    dropout: float | None = Field(None, ge=0, lt=1)
    batch_norm_momentum: float | None = Field(None, ge=0, lt=1, description="below Keras' 0.99 for short trainings")
    input: InputWish = InputWish()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    transfer: Transfer = Transfer()
    shares: Shares = Shares()

    def changed(self, changes: dict[str, Any]) -> "Recipe":
        """Return a recipe with other values, by dotted name; None changes nothing.

        Width and auxiliary classifiers belong to a recipe's network: another one has the width 1 unless it is said,
        and no such classifiers.
        """
        values = self.model_dump()
        if changes.get("network") not in (None, self.network):
            values |= {"width": 1.0, "auxiliary": False}
        for name, value in changes.items():
            if value is not None:
                *tables, last = name.split(".")
                table = values
                for part in tables:
                    table = table[part]
                table[last] = value
        return _validated(values, "the options")


def read(name: str) -> Recipe:
    """Read a recipe from a file, or one of ours by its name; raises `Usage` that says what is wrong with it."""
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise Usage(f"there is no recipe {name}; ours are {', '.join(names())}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Usage(f"{path} is not a recipe in TOML: {error}") from error
    return _validated(values, str(path))


def names() -> list[str]:
    """Return the names of our own recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def _validated(values: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'recipe'}: {fault['msg']}" for fault in error.errors()
        )
        raise Usage(f"{where}: {faults}") from error
