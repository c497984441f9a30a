"""Announcements: what files say that a study holds, and what of that never came.

An announcement is kept by the study's UID, since it may come before the study does, and is heeded whenever the study
is looked at: a study never waits for what is missing, and is whole again once it came. Reports and the like are
instances of a study as its pictures are, and a refused file has come all the same.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import Text, cast, exists, func, insert, select
from sqlalchemy.orm import Session

from cspine.decoding import Header
from cspine.tables import Announced, ReceivedFile, Study

INSTANCE = func.coalesce(ReceivedFile.sop_uid, cast(ReceivedFile.id, Text))  # one without a UID counts for itself


def note(session: Session, file_id: int, header: Header) -> None:
    """Store what a file announces."""
    rows: list[dict[str, object]] = []
    for one in header.announced:
        common: dict[str, object] = {"file_id": file_id, "study_uid": one.study_uid, "sop_uid": None,
                                     "series_uid": None, "instances": None}  # fmt: skip
        if one.in_study is not None:
            rows.append(common | {"instances": one.in_study})
        if one.in_series is not None and header.series_uid is not None:
            rows.append(common | {"series_uid": header.series_uid, "instances": one.in_series})
        rows += [common | {"sop_uid": uid} for uid in one.sop_uids]
    if rows:
        session.execute(insert(Announced), rows)


def shortfalls(session: Session, study_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return, of studies that lack something, how many instances are here and how many there should be at least.

    A count says how many are missing, a reference says which; what both say is one loss, so that the greater number
    is taken. A count that is less than what came says nothing.
    """
    told = exists().where(Announced.study_uid == Study.study_uid)
    ids = dict(session.execute(select(Study.study_uid, Study.id).where(Study.id.in_(study_ids), told)).all())
    if not ids:
        return {}
    came = (ReceivedFile.study_uid.in_(ids), ReceivedFile.original)
    number = func.count(INSTANCE.distinct())
    whole = select(ReceivedFile.study_uid, number).where(*came).group_by(ReceivedFile.study_uid)
    series = (
        select(ReceivedFile.study_uid, ReceivedFile.series_uid, number)
        .where(*came, ReceivedFile.series_uid.is_not(None))
        .group_by(ReceivedFile.study_uid, ReceivedFile.series_uid)
    )
    counts = (
        select(Announced.study_uid, Announced.series_uid, func.max(Announced.instances))
        .where(Announced.study_uid.in_(ids), Announced.instances.is_not(None))
        .group_by(Announced.study_uid, Announced.series_uid)
    )
    here = {uid: count for uid, count in session.execute(whole) if uid is not None}
    of_part: dict[tuple[str | None, str | None], int] = {(uid, None): count for uid, count in here.items()}
    of_part |= {(study_uid, series_uid): count for study_uid, series_uid, count in session.execute(series)}
    in_study, in_series = dict.fromkeys(ids, 0), dict.fromkeys(ids, 0)
    for study_uid, series_uid, announced in session.execute(counts):
        lacking = max(0, (announced or 0) - of_part.get((study_uid, series_uid), 0))
        (in_study if series_uid is None else in_series)[study_uid] += lacking
    named = _named(session, ids)
    missing = {uid: max(in_study[uid], in_series[uid], named.get(uid, 0)) for uid in ids}
    return {ids[uid]: (here.get(uid, 0), here.get(uid, 0) + lacking) for uid, lacking in missing.items() if lacking}


def _named(session: Session, study_uids: Iterable[str]) -> dict[str, int]:
    """Count the instances of some studies that are named and are not here."""
    is_here = exists().where(ReceivedFile.study_uid == Announced.study_uid, ReceivedFile.sop_uid == Announced.sop_uid)
    query = (
        select(Announced.study_uid, func.count(Announced.sop_uid.distinct()))
        .where(Announced.study_uid.in_(study_uids), Announced.sop_uid.is_not(None), ~is_here)
        .group_by(Announced.study_uid)
    )
    return dict(session.execute(query).all())
