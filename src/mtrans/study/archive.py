"""The answers of a study's runs in one file, so that others recompute its tables and add to them.

runs/<study>/<run>/  --pack-->  docs/results/<name>/runs.tar.xz  --unpack-->  runs/<other>/<run>/
  run.json settings.yaml              the same, without paths of the machine that they are from
  predictions*.jsonl, *.meta.json     no weights, no checkpoints, no log

A study that finds a run so unpacked takes it for done: its answers are measured with the others,
what was not run is run. Nothing can be asked of it any more, its adapter is not there.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from mtrans.core.files import make_folder, write_bytes, write_text
from mtrans.study.jobs import StudyError
from mtrans.train.run_folder import RunFolder

ARCHIVE = "runs.tar.xz"
"""What the file is called beside a kept study's tables."""

DIGITS = 5
"""Places after the point that likelihoods and probabilities keep; the choice is kept as it was."""

_LIKELIHOODS = ("log_likelihoods", "probabilities")

_HERE = "{study}/"
"""Stands for the study's folder in the paths of clips."""


def pack(runs: Iterable[RunFolder], folder: Path, file: Path) -> int:
    """Writes what finished runs answered, and how they were made.

    Args:
        runs: Finished runs below `folder`.
        folder: The study's folder.
        file: The archive to write; equal runs give equal bytes.

    Returns:
        How many runs it holds.
    """
    found = sorted({run.path for run in runs})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        # files of one kind lie together: they are alike, and the compression looks back
        for name, content in sorted(_parts(found, folder), key=_kind):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    write_bytes(file, lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME))
    return len(found)


def unpack(file: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Puts the runs of an archive where a study looks for them.

    Args:
        file: The archive.
        folder: The study's folder; runs that are there are left as they are.

    Returns:
        The runs that were put there, and those that were there before.

    Raises:
        StudyError: No such file, a damaged one, or one that holds anything but runs.
        OutputError: The folder can't be written.
    """
    try:
        contents = {p: _arrive(p.name, text, folder) for p, text in _read(file).items()}
    except json.JSONDecodeError as error:
        raise StudyError(f"'{file}' is damaged: {error.msg}") from error
    names = sorted({str(name.parent) for name in contents})
    before = [name for name in names if RunFolder(folder / name).state() != "new"]
    made = [name for name in names if name not in before]
    for name in made:
        mine = {path.name: text for path, text in contents.items() if str(path.parent) == name}
        make_folder(folder / name)
        # run.json says that a run is there: it comes last
        for part in sorted(mine, key=lambda part: part == "run.json"):
            write_text(folder / name / part, mine[part])
    return made, before


def _parts(runs: Iterable[Path], folder: Path) -> Iterator[tuple[str, bytes]]:
    for run in runs:
        place = PurePosixPath(run.relative_to(folder).as_posix())
        files = [run / "run.json", run / "settings.yaml"]
        files += [*run.glob("predictions*.jsonl"), *run.glob("predictions*.meta.json")]
        for file in files:
            if file.exists():
                text = _leave(file.name, file.read_text(encoding="utf-8"), folder)
                yield str(place / file.name), text.encode()


def _kind(part: tuple[str, bytes]) -> tuple[str, str]:
    path = PurePosixPath(part[0])
    return path.name, str(path.parent)


def _leave(name: str, text: str, folder: Path) -> str:
    """Takes out what is of this machine alone."""
    here = folder.resolve()

    def clip(path: str) -> str:
        where = Path(path)
        inside = where.is_relative_to(here)
        return _HERE + where.relative_to(here).as_posix() if inside else where.name

    if name == "run.json":
        info = json.loads(text)
        info["skipped"] = [_moved(bad, clip) for bad in info.get("skipped", [])]
        return json.dumps({k: v for k, v in info.items() if k not in ("command", "process")})
    if name == "settings.yaml":
        return yaml.safe_dump({**yaml.safe_load(text), "cache_dir": None}, sort_keys=False)
    if name.endswith(".jsonl"):
        return _each_line(text, clip, rounded=True)
    meta = json.loads(text)
    return json.dumps({k: v for k, v in meta.items() if k != "model"})


def _arrive(name: str, text: str, folder: Path) -> str:
    """Puts clips back below the study's folder."""
    if not name.endswith(".jsonl"):
        return text
    here = folder.resolve()

    def clip(path: str) -> str:
        return str(here / path.removeprefix(_HERE)) if path.startswith(_HERE) else path

    return _each_line(text, clip)


def _each_line(text: str, clip: Callable[[str], str], rounded: bool = False) -> str:
    lines: list[str] = []
    for line in filter(None, text.split("\n")):  # a text may hold other ends of lines
        record = _moved(json.loads(line), clip)
        if rounded:
            record.pop("ms", None)
            for name in _LIKELIHOODS:
                if record.get(name) is not None:
                    record[name] = [round(value, DIGITS) for value in record[name]]
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines)


def _moved(record: dict[str, Any], clip: Callable[[str], str]) -> dict[str, Any]:
    """Renames a record's clip, in the words of what went wrong with it too."""
    before = record.get("video")
    if before is None:
        return record
    words = {name: record[name] for name in ("video", "error", "reason") if record.get(name)}
    return {**record, **{k: text.replace(before, clip(before)) for k, text in words.items()}}


def _read(file: Path) -> dict[PurePosixPath, str]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StudyError(
            f"'{file}' can't be read: {error.strerror}; `mtrans study keep --answers` writes it"
        ) from error
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(content)), mode="r:") as archive:
            contents = {PurePosixPath(e.name): _text(archive, e) for e in archive}
    except (lzma.LZMAError, tarfile.TarError, UnicodeDecodeError) as error:
        raise StudyError(f"'{file}' is damaged: {error}") from error
    if not contents:
        raise StudyError(f"'{file}' is damaged: it holds no run")
    if other := next((path for path in contents if not _ours(path)), None):
        raise StudyError(f"'{file}' holds '{other}', which is no part of a run")
    return contents


def _ours(path: PurePosixPath) -> bool:
    named = path.name in ("run.json", "settings.yaml")
    answers = path.name.startswith("predictions") and path.name.endswith((".jsonl", ".meta.json"))
    below = len(path.parts) > 1 and not path.is_absolute() and ".." not in path.parts
    return below and (named or answers)


def _text(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    stream = archive.extractfile(entry) if entry.isfile() else None
    if stream is None:
        raise tarfile.TarError(f"'{entry.name}' is no file")
    return stream.read().decode()
