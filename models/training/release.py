"""From a trained network to a release folder: calibrate on validation data, measure on test data, write, seal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from cspine import preprocessing
from cspine.card import Card, Input, LabelWeight, Metric, OutOfDistribution, Thresholds
from cspine.errors import Permanent
from cspine.reasons import Reason
from models import metrics, ood
from models.networks import NETWORKS
from models.packing import INTENDED_USE, pack
from models.release import LoadedRelease, Prediction
from models.training import baseline, manifest, splitting
from models.training.data import Data, Samples
from models.training.fit import Fitted
from models.training.run import folder_of

DEMO_LIMITS = (
    "Trained on drawings made by this program and on nothing else: it has never seen a radiograph, and its answers "
    "about radiographs mean nothing. Its figures were measured on further drawings of the same kind. For showing and "
    "testing the program only; not for any patient."
)
REAL_LIMITS = (
    "Measured on a held-out part of the data that it was trained on. Published tools of this kind reached 55-90 % "
    "sensitivity elsewhere, single models as low as 31 %: measure it on films of the place where it shall work."
)
UNKNOWN_PATIENTS = (
    " Of {unknown} of {all} pictures the patient was not known: near-duplicates were kept in one part, but one "
    "patient's films may stand in several, and the figures may be too good."
)
TOO_GOOD = (
    " An accuracy above 98 % on films of one source rather points to films that resemble each other, or to marks that "
    "give the label away, than to a network that reads them so well."
)
SUSPICIOUS = 0.98


@dataclass(frozen=True)
class Identity:
    """What a release calls itself."""

    name: str
    version: str
    network: str
    width: float
    labels: tuple[LabelWeight, ...]
    normal_label: str
    demo: bool


def write(folder: Path, fitted: Fitted, who: Identity, wanted: Input, data: Data) -> Card:
    """Calibrate a network, measure it, and write the release into a folder, which appears whole or not at all."""
    splits, model = data.splits, fitted.network
    draft = Card(
        name=who.name, version=who.version, network=who.network, width=who.width, labels=who.labels,
        normal_label=who.normal_label, input=wanted, preprocessing=preprocessing.VERSION,
        data_manifest_sha256=manifest.sha256(data.records), pictures=data.counts, metrics={},
        thresholds=Thresholds(flag=0.5), temperature=1.0,
        ood=OutOfDistribution(method="mahalanobis", threshold=1.0), intended_use=INTENDED_USE,
        limits=DEMO_LIMITS if who.demo else REAL_LIMITS, demo=who.demo,
    )  # fmt: skip
    try:
        arrays = ood.fit(_features(model, who.network, splits["training"], wanted))
        card = _calibrated(draft, model, arrays, splits["validation"])
        release = LoadedRelease(card, "", model, arrays)
        found = measure(release, data)
    except Permanent as error:
        if error.reason is not Reason.NOT_A_NUMBER:
            raise
        raise _diverged(error, fitted, folder) from error
    limits = card.limits if who.demo else card.limits + doubts(data.records, found["accuracy"])
    card = card.model_copy(update={"metrics": found, "limits": limits})
    pack(folder, card, release, arrays, fitted.lesion_head)
    return card


def doubts(records: Sequence[manifest.Record], accuracy: Metric) -> str:
    """Return what speaks against the figures that were measured on these films, if anything."""
    unknown = sum(not record.patient for record in records)
    said = UNKNOWN_PATIENTS.format(unknown=unknown, all=len(records)) if unknown else ""
    return said + (TOO_GOOD if accuracy.value > SUSPICIOUS else "")


def predict(release: LoadedRelease, samples: Samples, batch: int = 32) -> Prediction:
    """Analyse the pictures of a split as serving does."""
    parts = [
        release.predict(np.stack([preprocessing.to_input(picture, release.card.input) for picture in chunk]))
        for chunk in (samples.pictures[i : i + batch] for i in range(0, len(samples), batch))
    ]
    return Prediction(
        *(np.concatenate(columns) for columns in zip(*(vars(part).values() for part in parts), strict=True))
    )


def measure(release: LoadedRelease, data: Data) -> dict[str, Metric]:
    """Measure a release on the test split, and beside it logistic regression on 32 x 32 pixels."""
    test, card = data.splits["test"], release.card
    answer, labels = predict(release, test), np.array(test.labels)
    first, normal = answer.probabilities.argmax(1), card.normal_index
    suspicion = 1 - answer.probabilities[:, normal]
    flagged = (first != normal) | (suspicion >= card.thresholds.flag)
    groups = splitting.groups(test.records)
    accuracy = metrics.proportion(first == labels)
    found = {
        "accuracy": accuracy,
        "accuracy_ovr_micro": metrics.accuracy_ovr_micro(accuracy, len(card.labels)),
        "specificity_ovr_micro": metrics.specificity_ovr_micro(accuracy, len(card.labels)),
        "auc_abnormal": metrics.auc(suspicion, labels != normal, groups),
        "sensitivity_flag": metrics.proportion(flagged[labels != normal]),
        "specificity_flag": metrics.proportion(~flagged[labels == normal]),
        "calibration_error": metrics.calibration_error(answer.probabilities, labels, groups),
        "ood_accepted": metrics.proportion(~answer.ood),
        "baseline_logistic_32x32": metrics.proportion(baseline.hits(data.splits["training"], test)),
    }
    for index, name in enumerate(card.names):
        found[f"recall_{name}"] = metrics.proportion(first[labels == index] == index)
        found[f"precision_{name}"] = metrics.proportion(labels[first == index] == index)
        found[f"specificity_{name}"] = metrics.proportion(first[labels != index] != index)
    if test.masks:
        found |= pointing(answer.saliency, test, first == labels, normal, card.input)
    return found


def pointing(
    saliency: NDArray[np.float32], test: Samples, right: NDArray[np.bool_], normal: int, wanted: Input
) -> dict[str, Metric]:
    """Return how often the map's greatest value lies in the lesion's mask, and how often the film's centre does."""
    chosen = [i for i, label in enumerate(test.labels) if label != normal and right[i]]
    cells = saliency.shape[1]
    hit, centre = [], []
    for i in chosen:
        place = preprocessing.geometry(*test.masks[i].shape, wanted)
        row, column = np.unravel_index(saliency[i].argmax(), (cells, cells))
        y = (row + 0.5) * wanted.size / cells - place.top
        x = (column + 0.5) * wanted.size / cells - place.left
        height, width = test.masks[i].shape
        y, x = int(y * height / place.height), int(x * width / place.width)
        hit.append(0 <= y < height and 0 <= x < width and bool(test.masks[i][y, x]))
        centre.append(bool(test.masks[i][height // 2, width // 2]))
    return {
        "saliency_hit": metrics.proportion(np.array(hit, bool)),
        "saliency_hit_of_centre": metrics.proportion(np.array(centre, bool)),
    }


def _calibrated(draft: Card, model: keras.Model, arrays: ood.Arrays, validation: Samples) -> Card:
    answer = predict(LoadedRelease(draft, "", model, arrays), validation)
    labels, logits = np.array(validation.labels), answer.logits.astype(np.float64)
    temperature = metrics.temperature(logits, labels)
    normal = draft.normal_index
    suspicion = 1 - softmax(logits / temperature, axis=1)[:, normal]
    return draft.model_copy(
        update={
            "temperature": temperature,
            "thresholds": Thresholds(flag=metrics.flag_threshold(suspicion, labels != normal)),
            "ood": OutOfDistribution(method="mahalanobis", threshold=ood.threshold(answer.ood_score)),
        }
    )


def _features(model: keras.Model, network: str, samples: Samples, wanted: Input) -> NDArray[np.float32]:
    names = NETWORKS[network].STRANGENESS_LAYERS
    below = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    found = []
    for i in range(0, len(samples), 32):
        batch = np.stack([preprocessing.to_input(picture, wanted) for picture in samples.pictures[i : i + 32]])
        found.append(ood.features(below(batch, training=False)).numpy())
    return np.concatenate(found)


def _diverged(error: Permanent, fitted: Fitted, folder: Path) -> Permanent:
    """Return the error of a training whose loss was a number to the end all the same."""
    kept = f"epoch {fitted.progress.best_epoch}, the best, is kept in {folder_of(folder)}"
    return Permanent(
        f"the training has diverged ({error.detail}); {kept}, from which --resume would only come to the same end: "
        "remove that folder and try a lower rate", Reason.NOT_A_NUMBER,
    )  # fmt: skip
