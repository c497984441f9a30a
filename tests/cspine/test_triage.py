"""The triage verdict and the place on the list, by cases of design section 7."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cspine.states import State
from cspine.triage import IN_WORK, Bucket, ImageAnswer, StudyFacts, judge, place, share_in_words

NOW = datetime(2026, 3, 1, 7, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def image(number: int, label: str | None, p: float = 0.9, *, flags: tuple[str, ...] = ()) -> ImageAnswer:
    """Make an image whose label has the probability p; urgency is 1 - p(normal)."""
    normal = p if label == "normal" else 1 - p
    shares = {"normal": normal, label: p} if label and label != "normal" else {"normal": normal, "fracture": 1 - normal}
    return ImageAnswer((1, number, 0), flags, label, shares, 1 - normal, label != "normal", f"thumb{number}")


def facts(*images: ImageAnswer, state: State = State.DONE, reason: str | None = None, rejected: int = 0,
          flags: tuple[str, ...] = ()) -> StudyFacts:  # fmt: skip
    return StudyFacts(state, reason, images, rejected, flags)


def test_positive_study_shows_the_image_that_gives_its_urgency() -> None:
    verdict = judge(facts(image(1, "normal"), image(2, "fracture", 0.8), image(3, "dislocation", 0.95)))
    assert (verdict.bucket, verdict.label, verdict.thumbnail_key) == (Bucket.POSITIVE, "dislocation", "thumb3")
    assert verdict.urgency == pytest.approx(0.95)
    assert verdict.reason == "Dislocation suspected, model output 0.95, in 2 of 3 images"


@pytest.mark.parametrize(
    ("share", "words"), [(0, "0.00"), (0.004, "<0.01"), (0.005, "0.01"), (0.42, "0.42"), (0.9949, "0.99"),
                         (0.9951, ">0.99"), (1, "1.00")]
)  # fmt: skip
def test_no_share_is_rounded_to_certainty(share: float, words: str) -> None:
    assert share_in_words(share) == words


def test_equal_urgency_takes_the_first_in_order() -> None:
    verdict = judge(facts(image(2, "fracture", 0.8), image(1, "dislocation", 0.8)))
    assert verdict.label == "dislocation"


def test_threshold_flags_an_image_whose_label_is_normal() -> None:
    doubtful = ImageAnswer((1, 1, 0), (), "normal", {"normal": 0.6, "fracture": 0.4}, 0.4, flagged=True)
    assert judge(facts(doubtful)).bucket is Bucket.POSITIVE


def test_normal_only_where_nothing_is_missing() -> None:
    assert judge(facts(image(1, "normal"))).bucket is Bucket.NORMAL


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (facts(image(1, "normal"), state=State.SCREENING), IN_WORK),
        (facts(state=State.RECEIVED), IN_WORK),
        (facts(state=State.WAITING, reason="storage_unavailable"), "Will be tried again"),
        (facts(state=State.FAILED, reason="no_usable_image"), "Failed: None of the study's files"),
        (facts(state=State.QUARANTINED, reason="poison"), "Quarantined:"),
        (facts(state=State.CANCELLED, reason="cancelled"), "Cancelled:"),
        (facts(image(1, "fracture", flags=("out_of_distribution",))), "Out of distribution in 1 of 1 images"),
        (facts(image(1, "fracture", flags=("wrong_body_part",))), "Wrong body part"),
        (facts(image(1, "normal"), image(2, "normal", flags=("blank_image",))), "Blank image in 1 of 2"),
        (facts(image(1, "normal"), rejected=2), "Partial, 2 files could not be read"),
        (facts(image(1, "normal"), image(2, None)), "No result for 1 of 2"),
        (facts(image(1, "normal"), flags=("uid_conflict",)), "Uid conflict"),
        (facts(image(1, "normal"), flags=("patient_conflict",)), "Patient conflict"),
    ],
)
def test_without_an_answer_to_rely_on_it_is_not_analysed(given: StudyFacts, words: str) -> None:
    verdict = judge(given)
    assert verdict.bucket is Bucket.NOT_ANALYSED
    assert verdict.reason.startswith(words)


def test_a_foreign_picture_gives_no_label() -> None:
    verdict = judge(facts(image(1, "fracture", flags=("out_of_distribution",))))
    assert (verdict.label, verdict.probabilities, verdict.urgency) == (None, None, 0.0)
    assert "out_of_distribution" in verdict.flags


def test_positive_says_what_is_missing() -> None:
    verdict = judge(facts(image(1, "fracture"), rejected=1))
    assert verdict.bucket is Bucket.POSITIVE
    assert verdict.reason == "Fracture suspected, model output 0.90; partial, 1 file could not be read"
    assert "partial" in verdict.flags


def test_partial_says_what_could_not_be_read_and_what_never_came() -> None:
    given = replace(facts(image(1, "normal"), rejected=2), here=3, announced=5)
    verdict = judge(given)
    assert verdict.reason == "Partial, 2 files could not be read, only 3 of 5 announced instances came"
    assert verdict.flags == ("partial",)
    assert judge(replace(given, images=[])).flags == ()
    assert judge(replace(given, rejected_files=0, here=5)).bucket is Bucket.NORMAL


def test_a_positive_stays_positive_while_more_of_it_is_in_work() -> None:
    assert judge(facts(image(1, "fracture"), state=State.RECEIVED)).bucket is Bucket.POSITIVE


@pytest.mark.parametrize(("hours", "limit", "bucket"), [(24, 24, "overdue"), (23.9, 24, "normal"), (99, 0, "normal")])
def test_overdue_from_the_limit_on(hours: float, limit: float, bucket: str) -> None:
    placed, words = place("normal", "Nothing flagged", NOW - timedelta(hours=hours), NOW, limit, BERLIN)
    assert placed == bucket
    assert words == ("Unread for 24 h; nothing flagged" if bucket == "overdue" else "Nothing flagged")


def test_read_studies_are_never_overdue() -> None:
    placed, _ = place("positive", "x", NOW - timedelta(days=9), NOW, 24, BERLIN, read_at=NOW)
    assert placed is Bucket.POSITIVE


def test_in_work_says_since_when_in_the_zone_of_the_site() -> None:
    _, words = place("not_analysed", IN_WORK, NOW, NOW, 24, BERLIN)
    assert words == "In work since 2026-03-01 08:00"


@pytest.mark.parametrize("label", ["normal", "fracture"])
def test_attention_on_the_border_is_a_caution_that_moves_no_study(label: str) -> None:
    plain = judge(facts(image(1, label)))
    careful = judge(facts(image(1, label, flags=("border_attention",))))
    assert careful.flags == ("border_attention",)
    assert replace(careful, flags=()) == plain
