"""HDF5 files from elsewhere: opened only where all of their data lie in them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from cspine.errors import Usage

LARGEST = 2**31


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    HDF5 lets a data set lie in another file of this machine, by a link or by storage named in it; such a file could
    put into a release what its sender may not read. Raises `Usage` for one, for what is no HDF5 file, and for none.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise Usage(f"{path} cannot be read: {error.strerror}") from error
    if size > LARGEST:
        raise Usage(f"{path.name} is larger than any file of weights")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise Usage(f"{path.name} is no HDF5 file, or a damaged one") from error
    with file:
        try:
            _insist(file, path.name)
            yield file
        except (OSError, RuntimeError) as error:  # what h5py raises for damage within
            raise Usage(f"{path.name} is a damaged HDF5 file") from error


def _insist(group: h5py.Group, name: str) -> None:
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise Usage(f"{name} refers to data elsewhere ({group.name}/{key})")
        item = group[key]
        if isinstance(item, h5py.Group):
            _insist(item, name)
        elif isinstance(item, h5py.Dataset) and (item.external or item.is_virtual):
            raise Usage(f"{name} refers to data elsewhere ({item.name})")
        elif isinstance(item, h5py.Dataset) and item.size * item.dtype.itemsize > LARGEST:
            raise Usage(f"{item.name} of {name} is larger than any network's weights")
