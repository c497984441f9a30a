"""The trial's parts: nothing is judged by a network that saw it, and the difference is a paired one."""

import numpy as np

from models import metrics
from models.training.transfer import difference, halves, said, taken
from tests.models.training.small import stripes

RNG = np.random.default_rng(0)


def test_every_film_is_judged_once_by_strangers() -> None:
    groups = np.repeat(np.arange(30), 2)
    truth = groups % 2
    judged_at_all = []
    for training, validation, judged in halves(truth, groups, seed=1):
        sets = [set(groups[part].tolist()) for part in (training, validation, judged)]
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
        assert len(training) + len(validation) + len(judged) == 60
        assert all(set(truth[part].tolist()) == {0, 1} for part in (training, validation, judged))
        judged_at_all += judged.tolist()
    assert sorted(judged_at_all) == list(range(60))


def test_the_difference_is_paired() -> None:
    """Scores that agree but for little differ by an interval far narrower than either one's own."""
    sick = np.arange(200) % 2 == 1
    second = RNG.normal(0, 1, 200) + sick
    first = second + 0.1 * sick
    found, own = difference(first, second, sick, np.arange(200)), metrics.auc(second, sick)
    assert 0 < found.low < found.value < found.high
    assert found.high - found.low < 0.3 * (own.high - own.low)
    assert said(own) == f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}] n=200"


def test_taken_samples_keep_picture_label_and_record_together() -> None:
    samples = stripes(6)
    part = taken(samples, np.array([4, 1]))
    assert part.labels == [samples.labels[4], samples.labels[1]]
    assert part.pictures[0] is samples.pictures[4] and part.records[1] is samples.records[1]
