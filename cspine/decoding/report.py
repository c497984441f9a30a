"""What `cspine inspect` says of one file (contract, design section 8): made in the child that decodes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from cspine.decoding.decode import decode
from cspine.decoding.frame import Frame
from cspine.decoding.header import Header
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason
from cspine.settings import Settings

META = ("patient_name", "patient_id", "study_date", "study_time", "study_description", "modality", "body_part", "view")
Record = dict[str, Any]
Save = Callable[[Frame], str | None]


def report(path: Path, name: str, settings: Settings, folder: Path | None, prefix: str) -> Record:
    """Decode a file and describe it: outcome, reason, flags, identity, meta and images.

    Pictures are saved in `folder`, where one is given, under names that begin with `prefix`.
    """
    try:
        with path.open("rb") as file:
            decoded = decode(file, name, settings)
    except Skipped as skipped:
        return described("skip", skipped.reason, getattr(skipped, "header", None))
    except Refused as refused:
        return described("reject", refused.reason, getattr(refused, "header", None))
    flags = sorted({*decoded.flags, *(flag for frame in decoded.frames for flag in frame.flags)})
    record = described("accept_flagged" if flags else "accept", None, decoded.header)
    record["flags"] = flags
    record["images"] = [
        {
            "frame": frame.index,
            "rows": frame.pixels.shape[0],
            "columns": frame.pixels.shape[1],
            "display_rows": frame.display_rows,
            "display_columns": frame.display_columns,
            "png": _saved(frame, folder, prefix),
        }
        for frame in decoded.frames
    ]
    return record


def described(outcome: str, reason: Reason | None, header: Header | None) -> Record:
    """Describe a file without images; the kind is null where no header was read."""
    header_or_none = header or Header("other")
    return {
        "kind": header.kind if header else None,
        "outcome": outcome,
        "reason": reason.value if reason else None,
        "flags": list(header_or_none.flags),
        "study_uid": header_or_none.study_uid,
        "series_uid": header_or_none.series_uid,
        "sop_uid": header_or_none.sop_uid,
        "meta": {key: getattr(header_or_none.meta, key) for key in META},
        "images": [],
    }


def _saved(frame: Frame, folder: Path | None, prefix: str) -> str | None:
    if folder is None:
        return None
    name = f"{prefix}-{frame.index}.png"
    done, data = cv2.imencode(".png", frame.pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise RuntimeError("the PNG encoder gave nothing")
    (folder / name).write_bytes(data.tobytes())
    return name
