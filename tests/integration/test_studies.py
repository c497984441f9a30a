"""Whole studies through the command line of a real installation: what the ledger, the list and the tables say of each.

Everything is screened once, in one folder with a folder for each case; what happens in steps comes after it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select

from cspine.tables import Attempt, Screening, Study
from cspine.triage import DISQUALIFYING
from tests.integration import inputs
from tests.integration.house import File, House, finite, house
from tests.integration.studies import count_files

EMPTY_CODES = {"blank_image", "out_of_distribution"}


@dataclass(frozen=True)
class Night:
    """What the command line says after everything was screened."""

    house: House
    ledger: dict[str, Any]
    triage: dict[str, dict[str, Any]]
    studies: dict[str, Study]

    def files(self, case: str) -> dict[str, File]:
        """Return the files of a case by their names in it."""
        found = {file["file"]: file for file in self.ledger["files"] if file["file"].startswith(f"{case}/")}
        return {name.removeprefix(f"{case}/").split("!")[-1]: file for name, file in found.items()}

    def rows(self, case: str) -> list[dict[str, Any]]:
        """Return the rows of the triage list that a case made."""
        return [self.triage[id_] for id_ in {file["study"] for file in self.files(case).values()} if id_]

    def row(self, case: str) -> dict[str, Any]:
        """Return the only row of a case."""
        (row,) = self.rows(case)
        return row

    def study(self, case: str) -> Study:
        """Return the only study of a case."""
        return self.studies[self.row(case)["study"]]


@cache
def cases() -> dict[str, dict[str, bytes]]:
    """Make the files of every case; it takes seconds, which whoever only collects the tests need not wait."""
    return inputs.compositions() | inputs.identities() | inputs.contents() | inputs.names()


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files into a folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, demo_export: Path) -> Iterator[House]:
    """Run an installation for the tests of this module."""
    with house(tmp_path_factory.mktemp("house") / "var", demo_export) as made:
        yield made


@pytest.fixture(scope="module")
def night(running: House, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """Screen every case."""
    folder = tmp_path_factory.mktemp("night")
    for case, files in cases().items():
        lay(folder / case, files)
    printed = running.screen_apart(folder, "night", "--wait")
    assert running.ledger("night") == printed
    return Night(running, printed, running.triage(), running.studies())


def test_every_file_is_in_exactly_one_bucket(night: Night) -> None:
    ledger = night.ledger
    assert ledger["balanced"]
    assert (ledger["failed"], ledger["quarantined"], ledger["waiting"]) == (0, 0, 0)
    archives = {"cd": 6 - 1, "mixed": 4 - 1}  # entries instead of the archive itself
    assert ledger["received"] == len(ledger["files"]) == sum(map(len, cases().values())) + sum(archives.values())


def test_every_study_is_on_the_list_once(night: Night) -> None:
    unreadable = {study.batch_id for study in night.studies.values()}
    assert set(night.triage) == set(night.studies) | unreadable
    assert {file["study"] for file in night.ledger["files"] if file["study"]} == set(night.studies)


@pytest.mark.parametrize(
    ("case", "beside"),
    [("report", "SR1"), ("dose", "SR1"), ("pdf", "PDF1"), ("state", "PR1"), ("localizer", "LOC")],
)
def test_what_is_no_film_is_named_in_its_study_and_costs_it_nothing(night: Night, case: str, beside: str) -> None:
    files, row = night.files(case), night.row(case)
    assert (files[beside]["bucket"], files[beside]["reason"]) == ("not_an_image", "non_image_object")
    assert files[beside]["study"] == row["study"]
    assert (row["state"], row["images"]) == ("done", 1)
    assert "partial" not in row["flags"]
    assert [file["bucket"] for name, file in files.items() if name != beside] == ["analysed"]


def test_reports_without_a_film_are_no_study_to_read(night: Night) -> None:
    """Each is in its bucket of the ledger; a row of the list would ask somebody to read what has no picture."""
    assert night.rows("only_report") == []
    assert {file["bucket"] for file in night.files("only_report").values()} == {"not_an_image"}


def test_a_medium_gives_its_films_and_names_its_litter(night: Night) -> None:
    files = night.files("cd")
    assert night.row("cd")["images"] == 2
    assert night.row("cd")["flags"].count("partial") == 0
    assert {name for name, file in files.items() if file["bucket"] == "analysed"} == {"A/IM0", "B/IM0"}
    assert {file["bucket"] for name, file in files.items() if "/IM" not in name} == {"not_an_image"}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("announced", "only 2 of 3 announced instances came"),
        ("short", "only 2 of 3 announced instances came"),
        ("key", "only 2 of 3 announced instances came"),
        ("mixed", "2 files could not be read"),
    ],
)
def test_a_study_of_which_something_is_missing_is_partial_and_says_of_what(night: Night, case: str, words: str) -> None:
    row = night.row(case)
    assert "partial" in row["flags"]
    assert words in row["reason"]
    assert row["bucket"] != "normal"
    assert row["state"] == "done"
    assert all("partial" in file["flags"] for file in night.files(case).values() if file["study"])


def test_each_entry_of_a_mixed_archive_has_its_own_end(night: Night) -> None:
    ends = {name: (file["bucket"], file["reason"]) for name, file in night.files("mixed").items()}
    assert ends == {"good": ("analysed", None), "cut": ("rejected", "truncated"), "empty": ("rejected", "empty_file"),
                    "notes.txt": ("rejected", "unsupported_type")}  # fmt: skip


@pytest.mark.parametrize(("case", "images"), [("pages", 2), ("frames", 3), ("midnight", 2)])
def test_pages_frames_and_films_are_images_of_one_study_each_with_its_own_result(
    night: Night, case: str, images: int
) -> None:
    row = night.row(case)
    found = night.house.results(row["study"])
    assert (row["images"], len(found)) == (images, images)
    assert len({image.pixel_sha256 for image, _ in found}) == images


def test_the_same_bytes_twice_are_one_instance_and_one_job(night: Night) -> None:
    assert sorted(file["bucket"] for file in night.files("twice").values()) == ["analysed", "duplicate"]
    assert night.row("twice")["images"] == 1


def test_one_uid_with_two_pictures_keeps_both_and_says_so(night: Night) -> None:
    row = night.row("twin_uid")
    assert (row["images"], "uid_conflict" in row["flags"]) == (2, True)
    assert "conflict" in row["reason"]
    assert ["uid_conflict" in file["flags"] for file in night.files("twin_uid").values()].count(True) == 1


def test_one_instance_in_two_series_is_read_once(night: Night) -> None:
    assert night.row("two_series")["images"] == 1
    ends = [(file["bucket"], file["flags"][:1]) for file in night.files("two_series").values()]
    assert sorted(end[0] for end in ends) == ["analysed", "duplicate"]
    assert ("duplicate", ["header_changed"]) in ends


def test_a_series_uid_in_two_studies_joins_nothing(night: Night) -> None:
    assert [row["images"] for row in night.rows("shared_series")] == [1, 1]


def test_two_patients_under_one_study_are_not_shown_as_one(night: Night) -> None:
    row = night.row("two_patients")
    assert (row["images"], row["bucket"] != "normal") == (2, True)
    assert "patient_conflict" in row["flags"]
    assert "atient conflict" in row["reason"]


@pytest.mark.parametrize(("case", "code", "count"), [("no_uids", "missing_uid", 1), ("bad_uids", "bad_uid", 2)])
def test_what_has_no_uid_of_its_own_gets_one_of_ours(night: Night, case: str, code: str, count: int) -> None:
    assert len(night.rows(case)) == count
    for file in night.files(case).values():
        assert code in file["flags"]
        study = night.studies[file["study"]]
        assert study.study_uid.startswith("2.25.")
        assert set(study.id) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@pytest.mark.parametrize(
    ("case", "date", "time"),
    [("midnight", "2026-03-10", "23:59:30"), ("old_dates", "1996-02-29", "07:05:09"), ("bad_dates", None, None)],
)
def test_dates_are_shown_as_stored_or_as_missing(night: Night, case: str, date: str | None, time: str | None) -> None:
    study = night.study(case)
    assert (study.study_date, study.study_time) == (date, time)
    assert ("bad_date" in night.row(case)["flags"]) is (date is None)


def test_names_in_every_character_set(night: Night) -> None:
    for name, file in night.files("names").items():
        wanted, _ = inputs.NAMES["" if name == "ASCII" else name]
        assert night.studies[file["study"]].patient_name == wanted, name
        assert not {"bad_charset", "bad_text"} & set(file["flags"]), name


@pytest.mark.parametrize("case", ["chest", "hand", "breast"])
def test_another_part_of_the_body_gets_no_label(night: Night, case: str) -> None:
    row = night.row(case)
    assert (row["bucket"], row["label"], row["urgency"]) == ("not_analysed", None, 0.0)
    assert "wrong_body_part" in row["flags"]


@pytest.mark.parametrize("case", ["black", "white", "constant", "saturated", "tiny"])
def test_pictures_of_nothing_are_flagged_and_every_number_is_finite(night: Night, case: str) -> None:
    row = night.row(case)
    assert (row["bucket"], row["label"]) == ("not_analysed", None)
    assert EMPTY_CODES & set(row["flags"])
    ((_, result),) = night.house.results(row["study"])
    numbers = [result.probabilities, result.saliency, result.urgency, result.ood_score, result.timings]
    assert all(map(finite, numbers))
    assert result.saliency
    assert np.isfinite(np.array(result.saliency["grid"], float)).all()
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-4)


def test_a_speck_is_refused_by_name(night: Night) -> None:
    assert night.files("speck")["a.png"]["reason"] == "too_small"


def only(running: House, ledger: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the only study of a ledger."""
    (id_,) = {file["study"] for file in ledger["files"]}
    return running.triage()[id_]


def whole(running: House, row: dict[str, Any], images: int) -> None:
    """Insist that a study's answer is of all its images: each has one result, and the list shows the most urgent."""
    found = running.results(row["study"])
    assert len(found) == len({image.id for image, _ in found}) == row["images"] == images
    assert all(result.saliency and result.explained in result.probabilities for _, result in found)
    usable = [result for image, result in found if not {*image.flags, *result.flags} & set(DISQUALIFYING)]
    if usable:
        best = max(usable, key=lambda result: result.urgency)
        assert (row["label"], row["urgency"], row["probabilities"]) == (best.label, best.urgency, best.probabilities)
    with running.database.read() as session:
        assert session.scalar(select(func.count()).where(Screening.study_id == row["study"])) == 1


def test_a_part_that_comes_after_the_answer_makes_a_new_one_of_both(running: House, tmp_path: Path) -> None:
    said = {"NumberOfStudyRelatedInstances": 2}
    first = lay(tmp_path / "1", {"IM1": inputs.film("late", 1, **said)})
    running.screen(first, "late")
    before = only(running, running.finished("late"))
    assert "partial" in before["flags"]
    second = lay(tmp_path / "2", {"p.zip": inputs.archive({"IM2": inputs.film("late", 2, **said)})})
    running.screen(second, "late")
    ledger = running.finished("late")
    assert (ledger["received"], ledger["analysed"], ledger["studies"], ledger["images"]) == (2, 2, 1, 2)
    row = only(running, ledger)
    assert (row["study"], row["state"]) == (before["study"], "done")
    assert "partial" not in row["flags"]
    whole(running, row, 2)


def test_parts_that_come_while_the_first_is_in_work(running: House, tmp_path: Path) -> None:
    for number in range(3):
        running.screen(lay(tmp_path / str(number), {"IM": inputs.film("parts", number)}), "parts")
    ledger = running.finished("parts")
    assert (ledger["analysed"], ledger["studies"], ledger["images"]) == (3, 1, 3)
    whole(running, only(running, ledger), 3)


def test_the_same_bytes_from_several_at_the_same_moment(running: House, tmp_path: Path) -> None:
    folder = lay(tmp_path, {"IM1": inputs.film("at_once")})
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: running.screen_apart(folder, "at once"), range(2)))
    running.screen(folder, "at once")
    ledger = running.finished("at once")
    assert (ledger["received"], ledger["analysed"], ledger["duplicate"], ledger["studies"]) == (3, 1, 2, 1)
    row = only(running, ledger)
    with running.database.read() as session:
        attempts = select(Attempt.stage).join(Screening, Screening.id == Attempt.screening_id)
        assert sorted(session.scalars(attempts.where(Screening.study_id == row["study"]))) == ["prepare", "screen"]
    whole(running, row, 1)


def test_the_time_of_receipt_is_the_sites_and_the_study_date_is_nobodys(tmp_path: Path) -> None:
    """Nothing runs here, so that the list says since when the study is in work."""
    still = House(tmp_path / "var")
    still.screen(lay(tmp_path / "in", cases()["midnight"]), "zones")
    (study,) = still.studies().values()
    for zone, hours in (("America/Los_Angeles", (-8, -7)), ("Pacific/Auckland", (12, 13))):
        (row,) = still.triage(CSPINE_TIMEZONE=zone).values()
        local = {f"{study.received_at + timedelta(hours=by):%Y-%m-%d %H:%M}" for by in hours}
        assert row["reason"].removeprefix("In work since ") in local
        (again,) = still.studies().values()
        assert (again.study_date, again.study_time) == ("2026-03-10", "23:59:30")
    still.database.dispose()


def test_a_folder_of_many_small_files_is_counted_right() -> None:
    """`python -m tests.integration.studies --files 10000` is the same with more."""
    ledger = count_files(200, say=lambda _: None)
    assert {bucket: ledger[bucket] for bucket in ledger["expected"]} == ledger["expected"]
    assert (ledger["received"], ledger["balanced"], ledger["studies"]) == (200, True, 1 + 20)
