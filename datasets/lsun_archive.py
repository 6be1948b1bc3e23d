"""The archives of LSUN: a zip file for each category and split, which contains its database."""

import logging
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from datasets.archive import COMPRESSIONS
from datasets.picture import one_line
from datasets.transfer import MirrorError, download
from glo.runtime import files
from glo.runtime.errors import UserError, did_you_mean

HOST = "http://dl.yf.io/lsun/scenes/"
SCENES = (
    "bedroom", "bridge", "church_outdoor", "classroom", "conference_room",
    "dining_room", "kitchen", "living_room", "restaurant", "tower",
)  # fmt: skip
MAX_SIZE = 200 << 30  # limit in bytes of an archive, and of the database in it
CHUNK = 1 << 20  # bytes

log = logging.getLogger("glo")


def fetch(names: Iterable[str], category: str, folder: Path, mirror: str | None, yes: bool) -> None:
    """Download and unpack the databases that are missing, to <folder>/<name>/data.mdb for each of `names`.

    mirror: address of a folder that is tried first. yes: the user's consent to the download.
    Raises `UserError` if databases are missing and `yes` is False, if LSUN does not have the category, if a download
    fails, or if an archive is damaged, and `WriteError` if the files cannot be written.
    """
    missing = [name for name in names if not (folder / name / "data.mdb").is_file()]
    if not missing:
        return
    if not yes:
        raise UserError(
            f"LSUN's {category} is not in {folder}: add --yes to download it (bedroom has 46 GB, and takes twice that "
            f"while it is unpacked), or give the folder with {missing[0]} as --source"
        )
    if category not in SCENES:
        raise UserError(
            f"LSUN has no category {category}{did_you_mean(category, SCENES)}; there are {', '.join(SCENES)}"
        )
    for name in missing:
        part = folder / f"{name}.zip.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _download(name, part, mirror)
            _unpack(part, folder / name / "data.mdb")
            part.unlink()
        except OSError as error:
            raise files.cannot_write(folder / name, error) from error


def _download(name: str, part: Path, mirror: str | None) -> None:
    """Complete the partial download `part`.

    No checksums of the archives are published. Damage is detected when they are unpacked, because each member of a zip
    archive has a checksum.
    """
    reasons = []
    for url in [f"{base}{name}.zip" for base in (mirror, HOST) if base]:
        try:
            return download(url, part, None, MAX_SIZE)
        except MirrorError as error:
            reasons.append(f"{url}: {error}")
    raise UserError(
        f"cannot download {name}.zip ({'; '.join(reasons)}). Get it another way, unpack it, and use --source"
    )


def _unpack(path: Path, target: Path) -> None:
    """Unpack the member data.mdb of an archive to `target`.

    Raises `UserError` if there is not exactly one such member, if it is damaged, or if the disk has too little space.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.split("/")[-1] == target.name]
            if len(members) != 1 or members[0].file_size > MAX_SIZE:
                raise UserError(f"{path} is not an LSUN archive: it must contain one {target.name}; delete it")
            if members[0].compress_type not in COMPRESSIONS:
                raise UserError(f"{path} is compressed in another way than LSUN's archives: delete it")
            (member,) = members
            files.require_space(path.parent, member.file_size, str(target))
            with (
                archive.open(member) as source,
                files.replacing(target) as temporary,
                temporary.open("wb") as stream,
                tqdm(desc=target.parent.name, total=member.file_size, unit="B", unit_scale=True, disable=None) as bar,
            ):
                while chunk := source.read(CHUNK):
                    stream.write(chunk)
                    bar.update(len(chunk))
    except UserError:
        raise
    except Exception as error:  # zipfile raises many kinds of exceptions for damaged archives
        raise UserError(f"{path} is damaged ({one_line(error)}): delete it and type the same command again") from None
