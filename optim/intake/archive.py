"""A stranger's zip, unpacked so that nothing lands outside its folder and nothing swells up.

Refused: absolute names, names that go up, links, archives within, more entries or bytes than a data
set of this product holds, and entries that swell by more than pictures and arrays do.
"""

from __future__ import annotations

import shutil
import stat
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from optim.errors import BrokenDataError
from optim.words import one_line

MOST_ENTRIES = 200_000
MOST_BYTES = 4 * 2**30
MOST_RATIO = 200
"""Times that an entry may swell; a picture hardly does, an array of zeros swells a thousandfold."""
SMALL = 2**20
"""Bytes below which the ratio says nothing."""
ARCHIVES = (".zip", ".tar", ".gz", ".7z", ".rar", ".xz", ".bz2")


def unpack(path: Path, folder: Path) -> Path:
    """Unpack a zip into an empty folder.

    Returns:
        The folder that holds the data: the only one inside, where there is just one.

    Raises:
        BrokenDataError: before anything is written, if an entry is refused.
    """
    name = one_line(path.name)
    try:
        with ZipFile(path) as archive:
            entries = [each for each in archive.infolist() if not each.is_dir()]
            _check(entries, name)
            for entry in entries:
                place = folder / PurePosixPath(entry.filename)
                place.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, place.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BrokenDataError(f"{name} must be a zip file that can be read whole.") from error
    inner = [each for each in folder.iterdir() if each.name != "__MACOSX"]
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder


def _check(entries: list[ZipInfo], name: str) -> None:
    if len(entries) > MOST_ENTRIES:
        raise BrokenDataError(f"{name} holds {len(entries):,} files; at most {MOST_ENTRIES:,} do.")
    if (total := sum(entry.file_size for entry in entries)) > MOST_BYTES:
        raise BrokenDataError(
            f"{name} unpacks to {total / 1e9:.1f} GB; at most {MOST_BYTES / 1e9:.1f} GB do."
        )
    for entry in entries:
        told = one_line(entry.filename)[:80]
        pure = PurePosixPath(entry.filename.replace("\\", "/"))
        if pure.is_absolute() or ".." in pure.parts or (pure.parts and ":" in pure.parts[0]):
            raise BrokenDataError(f"{name} holds {told!r}, which would land outside its folder.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BrokenDataError(f"{name} holds the link {told!r}; links are refused.")
        if pure.suffix.lower() in ARCHIVES:
            raise BrokenDataError(f"{name} holds the archive {told!r}; unpack it first.")
        swollen = entry.file_size > MOST_RATIO * max(1, entry.compress_size)
        if swollen and entry.file_size > SMALL:
            raise BrokenDataError(f"{name} holds {told!r}, which swells too much to be data.")
