"""Cases of ../shared/cases that concern studies, or any others, through `screen --wait --json`, `ledger` and `triage`.

python -m tests.integration.studies [--all] [--files 10000]

prints a line for each case: what is expected, what the ledger and the list say, and whether that agrees; it ends with
1 where one does not. With --files, a folder of so many small files is received instead, and counted.
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import SHARED
from tests.integration import inputs
from tests.integration.house import House, house

Case = dict[str, Any]
OF_STUDIES = {"uid_conflict", "partial", "out_of_distribution", "missing_uid", "wrong_body_part", "blank_image"}
COUNTED = {"studies", "images", "skipped", "refused", "conflicts", "jobs"}


def concerns_studies(case: Case) -> bool:
    """Say whether a case is about more than one file's pixels."""
    several = len(case["files"]) > 1 or case.get("decoded", {}).get("frames", 1) > 1
    return (
        several or case["id"][0] in "OZ" or bool(COUNTED & set(case.get("meta", ()))) or bool(codes(case) & OF_STUDIES)
    )


def codes(case: Case) -> set[str]:
    """Return the reason codes of which a case expects one."""
    return set((case["reason"] or "").split("|")) - {""}


def run(cases: list[Case]) -> list[tuple[Case, dict[str, Any], str]]:
    """Screen all cases in one folder; return for each what came of it, and where it falls short."""
    with tempfile.TemporaryDirectory(prefix="cspine-studies-") as name:
        folder = Path(name)
        for case in cases:
            for file in case["files"]:
                path = folder / "in" / case["id"] / Path(file["file"]).name
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(SHARED / "cases" / file["file"], path)
        with house(folder / "var") as made:
            made.screen(folder / "in", "cases", "--wait")
            ledger, rows, studies = made.ledger("cases"), made.triage(), made.studies()
            results = {id_: len(made.results(id_)) for id_ in studies}
    outcomes = []
    for case in cases:
        files = [file for file in ledger["files"] if file["file"].startswith(f"{case['id']}/")]
        own = sorted({file["study"] for file in files if file["study"]})
        got = {
            "buckets": sorted(file["bucket"] for file in files),
            "codes": sorted({code for file in files for code in (file["reason"], *file["flags"]) if code}),
            "studies": len(own), "jobs": len(own), "images": sum(rows[id_]["images"] for id_ in own),
            "results": sum(results[id_] for id_ in own),
            "skipped": sum(file["bucket"] == "not_an_image" for file in files),
            "refused": sum(file["bucket"] == "rejected" for file in files),
            "conflicts": sum("uid_conflict" in file["flags"] for file in files),
            "StudyDate": studies[own[0]].study_date if own else None,
            "PatientName": studies[own[0]].patient_name if own else None,
            "PatientID": studies[own[0]].patient_id if own else None,
            "lost": ledger["received"] - len(ledger["files"]) + (not ledger["balanced"]),
        }  # fmt: skip
        outcomes.append((case, got, shortcoming(case, got)))
    return outcomes


def shortcoming(case: Case, got: dict[str, Any]) -> str:
    """Say where a case falls short; empty where it does not."""
    wrong = [f"{key} {got[key]}" for key, value in case.get("meta", {}).items() if key in got and got[key] != value]
    frames = (case.get("decoded") or {}).get("frames")
    if frames and got["images"] != frames:
        wrong.append(f"{got['images']} images")
    read, refused = "analysed" in got["buckets"], "rejected" in got["buckets"]
    hit = not codes(case) or codes(case) & set(got["codes"])
    good = {
        "accept": read and hit,
        "accept_flagged": read and hit,
        "reject": refused and not read and hit,
        "skip": not read and not refused and hit,
        "either": (read and not wrong) or (refused and hit),
    }[case["outcome"]]
    if case["outcome"] == "either" and good:
        wrong = []
    if not good:
        wrong.append(f"{case['outcome']} {case['reason'] or ''}")
    if got["lost"] or {"failed", "quarantined", "waiting"} & set(got["buckets"]) - ({"failed"} if refused else set()):
        wrong.append("not every file has its end")
    if got["images"] != got["results"]:
        wrong.append(f"{got['results']} results")
    return ", ".join(wrong)


def count_files(count: int, say: Callable[[str], object] = print) -> dict[str, Any]:
    """Receive a folder of small files: films of one study, loose pictures, reports and litter, and count them."""
    with tempfile.TemporaryDirectory(prefix="cspine-files-") as name:
        folder = Path(name) / "in"
        kinds = write_files(folder, count)
        made = House(Path(name) / "var")
        began = time.monotonic()
        ledger = made.screen_apart(folder, "files")
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        made.database.dispose()
    say(f"{count} files received in {took:.0f} s, {peak:.0f} MiB of memory at most: {kinds}")
    return ledger | {"expected": kinds}


def write_files(folder: Path, count: int) -> dict[str, int]:
    """Write so many small files into folders of a thousand; return how many of which bucket."""
    cells = inputs.picture(1, 24, 16)
    kinds = {"waiting": 0, "not_an_image": 0, "rejected": 0}
    for number in range(count):
        place = folder / str(number // 1000)
        place.mkdir(parents=True, exist_ok=True)
        name, bucket, data = {
            7: ("notes", "rejected", b"note %d" % number),
            8: ("SR", "not_an_image", inputs.companion(inputs.REPORT, inputs.uid("many"), number)),
            9: ("loose", "waiting", inputs.png(cells + number)),
        }.get(number % 10, ("IM", "waiting", b""))  # fmt: skip
        (place / f"{name}{number}").write_bytes(data or inputs.film("many", number, cells))
        kinds[bucket] += 1
    return kinds


def main() -> int:
    """Run the shared cases, or count files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--all", action="store_true", help="also the cases of one file and its pixels")
    parser.add_argument("--files", type=int, help="receive so many small files instead")
    chosen = parser.parse_args()
    if chosen.files:
        ledger = count_files(chosen.files)
        return 0 if all(ledger[bucket] == count for bucket, count in ledger["expected"].items()) else 1
    cases = json.loads((SHARED / "cases" / "cases.json").read_text())["cases"]
    outcomes = run([case for case in cases if chosen.all or concerns_studies(case)])
    for case, got, wrong in outcomes:
        expected = " ".join(
            [case["outcome"], case["reason"] or "", *(f"{k}={v}" for k, v in case.get("meta", {}).items())]
        )
        said = f"{','.join(got['buckets'])} [{' '.join(got['codes'])}] studies={got['studies']} images={got['images']}"
        print(f"{case['id']:4} {'short' if wrong else 'ok':6}{expected:70.70} {said} {wrong}")
    short = sum(bool(wrong) for *_, wrong in outcomes)
    print(f"{len(outcomes)} cases, {short} short")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
