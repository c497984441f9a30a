"""The image pixel module (PS3.3 C.7.6.3) as one checked value: how the stored cells become samples."""

from dataclasses import dataclass

from cspine.decoding.attributes import Attributes
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

GREY = {"MONOCHROME1", "MONOCHROME2"}
COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
FRAMES_OF_FULL_SIZE = 4  # a file's pictures are in memory together while it is prepared
MIN_SIDE = 8
MAX_SIDE = 65535


@dataclass(frozen=True)
class Layout:
    """Rows, columns and frames of a picture and the bits of its samples."""

    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    by_plane: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool

    @property
    def frame_bytes(self) -> int:
        """The bytes of an uncompressed frame; YBR_FULL_422 has half of the chroma (PS3.3 C.7.6.3.1.2)."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return (self.rows * self.columns * samples * self.bits_allocated + 7) // 8

    @property
    def pixel_bytes(self) -> int:
        """The bytes of all frames without compression; frames of single bits follow each other without a gap."""
        if self.bits_allocated == 1:
            return (self.rows * self.columns * self.frames + 7) // 8
        return self.frame_bytes * self.frames


def read_layout(attributes: Attributes, settings: Settings) -> Layout:
    """Check the attributes against each other and the limits.

    Raises `Refused` (bad_geometry, too_small, too_many_pixels, unsupported_pixel_type, unsupported_bit_layout).
    """
    rows, columns = attributes.integer("Rows") or 0, attributes.integer("Columns") or 0
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise Refused(f"{rows} rows, {columns} columns", Reason.BAD_GEOMETRY)
    frames = attributes.integer("NumberOfFrames") if attributes.raw("NumberOfFrames").strip(b" \0") else 1
    if frames is None or frames < 0:
        raise Refused("NumberOfFrames is no number of frames", Reason.BAD_GEOMETRY)
    check_size(rows, columns, settings)
    samples = attributes.integer("SamplesPerPixel") if attributes.raw("SamplesPerPixel") else 1
    photometric = attributes.code("PhotometricInterpretation").upper()
    if not photometric:
        photometric = "MONOCHROME2" if samples == 1 else "RGB"
    expected = 1 if photometric in GREY | {"PALETTE COLOR"} else 3 if photometric in COLOUR else 0
    if samples != expected:
        raise Refused(f"{samples} samples of {photometric[:16]}", Reason.UNSUPPORTED_PIXEL_TYPE)
    allocated = attributes.integer("BitsAllocated") or 0
    stored = attributes.integer("BitsStored") or allocated
    high = attributes.integer("HighBit")
    high = stored - 1 if high is None else high
    fits = allocated in ({1, 8, 16} if samples == 1 else {8, 16}) and 0 < stored <= allocated
    if not fits or not stored - 1 <= high < allocated:
        raise Refused(f"{stored} bits of {allocated}, the highest is {high}", Reason.UNSUPPORTED_BIT_LAYOUT)
    return Layout(
        rows=rows,
        columns=columns,
        frames=max(frames, 1),
        samples=samples,
        photometric=photometric,
        by_plane=attributes.integer("PlanarConfiguration") == 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=attributes.integer("PixelRepresentation") == 1,
    )


def check_size(rows: int, columns: int, settings: Settings) -> None:
    """Refuse one frame outside the limits (bad_geometry, too_many_pixels, too_small), before anything is allocated."""
    if not (rows and columns):
        raise Refused(f"{rows} x {columns}", Reason.BAD_GEOMETRY)
    if rows * columns > settings.max_frame_pixels:
        raise Refused(f"{rows} x {columns}", Reason.TOO_MANY_PIXELS)
    if min(rows, columns) < MIN_SIDE:
        raise Refused(f"{rows} x {columns}", Reason.TOO_SMALL)


def check_frames(rows: int, columns: int, frames: int, settings: Settings) -> None:
    """Refuse a file whose frames are too many, or too many pixels together (too_many_frames, too_many_pixels)."""
    if frames > settings.max_frames:
        raise Refused(f"{frames} frames", Reason.TOO_MANY_FRAMES)
    if rows * columns * frames > FRAMES_OF_FULL_SIZE * settings.max_frame_pixels:
        raise Refused(f"{frames} frames of {rows} x {columns}", Reason.TOO_MANY_PIXELS)
