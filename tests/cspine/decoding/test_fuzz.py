"""Two thousand damaged files of every kind: each ends in pictures or in a reason; `make fuzz` tries twenty thousand."""

import ctypes
import random
import time
from pathlib import Path

import pytest

from cspine.reasons import Reason
from cspine.settings import Settings
from tests.fuzz import trials
from tests.fuzz.mutations import mutated, originals
from tests.fuzz.trials import ACCEPTED, CRASH, FAULT, HANG, MEMORY, Summary, Trial

COUNT = 2000


def test_every_damaged_file_ends_in_pictures_or_a_reason(settings: Settings) -> None:
    summary = Summary()
    for trial in trials.trials(settings, range(COUNT), at_once=2):
        summary.add(trial)
    assert summary.troubled == []
    assert summary.count == COUNT
    assert set(summary.outcomes) <= {ACCEPTED, *(reason.value for reason in Reason)} - {Reason.INTERNAL_ERROR.value}
    assert 0.1 < summary.outcomes[ACCEPTED] / summary.outcomes.total() < 0.9
    assert summary.largest.grown < settings.prepare_memory_bytes


def test_the_files_are_sound_before_they_are_damaged(settings: Settings) -> None:
    refused = [outcomes for outcomes in (trials.try_file(data, settings) for data in originals())
               if ACCEPTED not in outcomes]  # fmt: skip
    assert refused == [[Reason.ANIMATED_IMAGE.value]] * 2


def test_damage_is_told_by_its_seed_alone() -> None:
    once, again = ([mutated(files, random.Random(seed)) for seed in range(50)] for files in (originals(), originals()))
    assert once == again
    assert len(set(once)) > 40


def test_a_death_is_laid_to_its_file(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fates = {3: CRASH, 5: MEMORY, 7: HANG, 8: FAULT}
    monkeypatch.setattr(trials, "mutated", lambda files, dice: bytes([dice.randrange(256)]))
    by_byte = {bytes([random.Random(seed).randrange(256)]): fate for seed, fate in fates.items()}

    def meet(data: bytes, _: Settings) -> list[str]:
        fate = by_byte.get(data)
        if fate == CRASH:
            ctypes.string_at(0)
        elif fate == HANG:
            time.sleep(60)
        elif fate:
            raise {MEMORY: MemoryError, FAULT: ZeroDivisionError}[fate]
        return [ACCEPTED]

    monkeypatch.setattr(trials, "try_file", meet)
    hasty = settings.model_copy(update={"prepare_seconds": 1})
    found: list[Trial] = list(trials.trials(hasty, range(10)))
    assert [trial.seed for trial in found] == list(range(10))
    assert [trial.outcomes for trial in found] == [[fates.get(seed, ACCEPTED)] for seed in range(10)]
    assert found[3].words.startswith("the decoder ended with -11")
    assert found[8].words.startswith("ZeroDivisionError at test_fuzz.py:")


def test_what_is_tried_alone_is_what_was_tried_in_company(settings: Settings, tmp_path: Path) -> None:
    together = list(trials.trials(settings, range(40, 48)))
    single = [trials.alone(settings, originals(), seed, tmp_path / "journal") for seed in range(40, 48)]
    assert [trial.outcomes for trial in single] == [trial.outcomes for trial in together]
