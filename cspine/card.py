"""The card of a model release: what it is, what it takes, how its answers are to be read. Labels live here only."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelWeight(_Frozen):
    """A label in the order of the network's outputs, and what a certain answer of it adds to the urgency."""

    name: str = Field(min_length=1, max_length=64)
    weight: float = Field(ge=0, le=1)


class Input(_Frozen):
    """What the network takes: a square of `size` pixels with `channels` channels of the same grey.

    `scale`: `standardise` takes each picture to mean 0 and deviation 1, `unit` to 0..1, `symmetric` to -1..1; `caffe`
    leaves it on 0..255 and takes ImageNet's mean off, which is another one in each of three channels.
    `fit`: `letterbox` keeps the proportions and fills up with the scaled value 0, `stretch` does not.
    `order`: which colour the network takes each of three channels for.
    `resample`: `area` averages over what becomes one pixel; `nearest` picks one, for networks that were trained so.
    """

    size: int = Field(ge=8, le=1024)
    channels: Literal[1, 3]
    scale: Literal["standardise", "unit", "symmetric", "caffe"] = "standardise"
    fit: Literal["letterbox", "stretch"] = "letterbox"
    order: Literal["rgb", "bgr"] = "rgb"
    resample: Literal["area", "nearest"] = "area"

    @model_validator(mode="after")
    def _mean_has_three_channels(self) -> Self:
        if self.scale == "caffe" and self.channels != 3:
            raise ValueError("the scale caffe has a mean for each of 3 channels")
        return self


class Thresholds(_Frozen):
    """Operating points, chosen on validation data only."""

    flag: float = Field(gt=0, le=1, description="1 - p(normal) from which a study is positive")


class OutOfDistribution(_Frozen):
    """How a picture unlike the training data is told: a method and the greatest accepted score."""

    method: Literal["mahalanobis"]
    threshold: float


class Metric(_Frozen):
    """A proportion with its 95 % interval and the number of cases behind it."""

    value: float
    low: float
    high: float
    n: int


class Card(_Frozen):
    """`card.json` of a release."""

    name: str = Field(min_length=1, max_length=64)
    version: str = Field(min_length=1, max_length=64)
    network: str
    width: float = Field(gt=0)
    labels: tuple[LabelWeight, ...] = Field(min_length=2)
    normal_label: str
    input: Input
    preprocessing: str = Field(description="the version of decoding and scaling that the network was trained on")
    data_manifest_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    pictures: dict[str, int] = Field(default={}, description="pictures by part of the data, and files left out of it")
    metrics: dict[str, Metric]
    thresholds: Thresholds
    temperature: float = Field(gt=0)
    ood: OutOfDistribution
    intended_use: str
    limits: str
    demo: bool

    @model_validator(mode="after")
    def _labels_agree(self) -> Self:
        names = [label.name for label in self.labels]
        if len(set(names)) != len(names):
            raise ValueError("a label is named twice")
        if self.normal_label not in names:
            raise ValueError("normal_label is not among the labels")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names in the order of the outputs."""
        return tuple(label.name for label in self.labels)

    @property
    def normal_index(self) -> int:
        """The output that stands for the normal label."""
        return self.names.index(self.normal_label)
