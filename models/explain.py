"""`cspine explain`: one picture, one method, as a PNG."""

import base64
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from cspine import saliency
from cspine.commands.release import DEMO
from cspine.decoding import canonical, decode
from cspine.decoding.isolation import isolated
from cspine.errors import Refused, Skipped, Usage
from cspine.preprocessing import geometry, to_input
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.triage import share_in_words


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--method", type=click.Choice(list(saliency.METHODS)), default=saliency.DEFAULT, show_default=True)
@click.option("--label", help="The label to explain; default: what the picture is flagged for.")
@click.option("--release", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=DEMO,
              help="A release's folder; default: the demo release.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Default: FILE with .METHOD.png.")
@click.option("--frame", type=click.IntRange(min=0), default=0, show_default=True, help="Of a file with several.")
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.55, show_default=True)
@click.option("--threshold", type=click.FloatRange(0, 1), default=0.0, show_default=True,
              help="Share of the map's greatest value below which the film stays as it is.")  # fmt: skip
def explain(file: Path, method: str, label: str | None, folder: Path, out: Path | None, frame: int, opacity: float,
            threshold: float) -> None:  # fmt: skip
    """Draw what the answer for FILE rests on: the film, the film with the map over it, and what the map is."""
    out = out or file.with_suffix(f".{method}.png")
    if out.exists() and out.samefile(file):
        raise Usage(f"{out} is the film itself; name another file with --out")
    picture = read(file, frame)  # in a fork, which must come before TensorFlow
    from models.release import load
    from models.saliency import drawing
    from models.saliency.explainer import Explainer
    from models.saliency.head import read_head

    release = load(folder)
    card = release.card
    if label is not None and label not in card.names:
        raise Usage(f"the release has no label {label}; it has {', '.join(card.names)}")
    batch = to_input(picture, card.input)[None]
    answer = release.predict(batch)
    index = int(answer.explained[0]) if label is None else card.names.index(label)
    explainer = Explainer(card.network, release.network, read_head(folder))
    grid = explainer.explain(method, batch, np.array([index], np.int32))[0]
    place = geometry(picture.shape[0], picture.shape[1], card.input)
    flags = [Reason.OUT_OF_DISTRIBUTION] if answer.ood[0] else []
    if saliency.border_share(answer.saliency[0], place, card.input.size) >= saliency.BORDER_SHARE:
        flags.append(Reason.BORDER_ATTENTION)
    told = saliency.METHODS[method]
    what = "Beside the output" if told.supervised else "Where the output came from"
    lines = [
        f"{saliency.CAUTION} {what} for “{card.names[index]}”: {told.title}, {told.words}.",
        f"Release {card.name} {card.version} ({release.identity[:12]}){', a demo release' if card.demo else ''}; "
        f"model output for {card.names[index]} {share_in_words(float(answer.probabilities[0, index]))}; "
        f"opacity {opacity:.0%}, drawn from {threshold:.0%} of the greatest value.",
        *(flag.sentence for flag in flags),
        "An aid for reading order, not a diagnosis.",
    ]
    drawn = drawing.draw(picture, grid, place, card.input.size, lines, opacity, threshold)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(cv2.imencode(".png", drawn[:, :, ::-1])[1].tobytes())
    except OSError as error:
        raise Usage(f"{out} cannot be written: {error.strerror}") from error
    click.echo(f"{out}: {told.title} for {card.names[index]}. {saliency.CAUTION}")


def read(file: Path, frame: int) -> NDArray[np.uint8]:
    """Decode a file in a child of its own and return a frame's canonical picture, uint8 (h, w); raises `Refused`."""
    found = isolated(Settings(), _canonical, str(file), frame).result()
    if found["reason"]:
        raise Refused(str(file), Reason(found["reason"]))
    if found["picture"] is None:
        raise Usage(f"{file} has {found['frames']} frames, counted from 0")
    return cv2.imdecode(np.frombuffer(base64.b64decode(found["picture"]), np.uint8), cv2.IMREAD_GRAYSCALE)


def _canonical(path: str, frame: int) -> dict[str, object]:
    """Return a frame's canonical picture as PNG in base64, or why there is none."""
    try:
        with Path(path).open("rb") as opened:
            frames = decode(opened, Path(path).name, Settings()).frames
    except (Refused, Skipped) as error:
        return {"reason": error.reason.value, "picture": None, "frames": 0}
    if frame >= len(frames):
        return {"reason": None, "picture": None, "frames": len(frames)}
    png = cv2.imencode(".png", canonical(frames[frame]))[1].tobytes()
    return {"reason": None, "picture": base64.b64encode(png).decode(), "frames": len(frames)}
