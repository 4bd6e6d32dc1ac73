"""A named data set -> manifests, with a record of what they were made from.

    out/train.jsonl, val.jsonl, test.jsonl   or fold1.jsonl ...: one question a line
    out/all.jsonl                            the same samples in one file, for `data check`, folds
    out/prepared.json                        counts, balance, hashes, versions, what is missing
    out/missing_videos.txt                   where clips were expected and by whom, if any are

Needs no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import DatasetError, SettingsError
from mtrans.core.files import make_folder, write_text
from mtrans.core.records import Sample
from mtrans.data.adapters import ADAPTERS
from mtrans.data.adapters.shared.base import Adapter, Prepared, Request
from mtrans.data.adapters.shared.own import OwnAdapter
from mtrans.data.manifest import write_manifest
from mtrans.data.prepared import SplitSummary, describe, find_missing, summarise
from mtrans.data.subsets import Unit, take_fraction

RECORD = "prepared.json"
MISSING = "missing_videos.txt"
ALL = "all"
MissingVideos = Literal["refuse", "keep", "drop"]
"""What happens to samples whose clip is not there: an error, kept for work on text, left out."""


@dataclass(frozen=True)
class Outcome:
    """What `prepare` made.

    Attributes:
        out: The folder.
        splits: Split -> what it holds, in the scheme's order.
        missing: Clips that are not there -> ids of the samples that ask about them.
        dropped: Samples left out because their clip is not there.
        notes: What the user should know.
        record: The content of ``prepared.json``.
    """

    out: Path
    splits: dict[str, SplitSummary]
    missing: dict[str, list[str]]
    dropped: int
    notes: list[str]
    record: dict[str, Any]


def prepare(
    name: str,
    *,
    annotations: Path,
    videos: Path | None,
    out: Path,
    scheme: str | None = None,
    options: Mapping[str, str] | None = None,
    fraction: float = 1.0,
    fraction_of: Unit = "video",
    seed: int = 0,
    missing_videos: MissingVideos = "refuse",
    allow_partial: bool = False,
) -> Outcome:
    """Reads a data set's official files and writes its manifests.

    Args:
        name: The data set.
        annotations: Folder of its annotation files, or the file.
        videos: Folder of its clips; None counts all as missing.
        out: Folder to write to.
        scheme: Split scheme; None is the set's first.
        options: The set's own switches.
        fraction: Share of the training split to keep; see `mtrans.data.subsets`.
        fraction_of: What the fraction counts.
        seed: For the fraction, and for what a set draws.
        missing_videos: What to do about clips that are not there.
        allow_partial: Whether fewer records than published are acceptable.

    Returns:
        What was made.

    Raises:
        DatasetError: Files are missing or not what they should be; clips are missing and that was
            not allowed; `out` holds something else.
        SettingsError: A name, option or number is unknown or out of range.
    """
    adapter = ADAPTERS.get(name)
    request = adapter.request(scheme, options, seed, allow_partial)
    stale = _stale(out)
    read = _read(adapter, annotations, videos, request)
    if not read.samples:
        adapter.fail(f"no samples in '{annotations}'")
    samples = [_absolute(s) if videos is not None else s for s in read.samples]
    missing = find_missing(samples)
    if missing and missing_videos == "refuse":
        _report(out, missing)
        refuse_missing(adapter, samples, missing, videos, out)
    drop = missing_videos == "drop"
    kept = [s for s in samples if not (drop and s.video in missing)]
    if not kept:
        adapter.fail(f"none of {len(missing)} clips is in '{videos}'")
    kept = _reduce(adapter, request, kept, fraction, fraction_of, seed)
    summaries = _write(adapter, request, kept, missing, out, stale)
    dropped = len(samples) - sum(s.video not in missing for s in samples) if drop else 0
    record = describe(adapter, request, read, annotations, videos)
    record |= {
        "fraction": {"of": fraction_of, "share": fraction} if fraction != 1 else None,
        "splits": {split: asdict(summary) for split, summary in summaries.items()},
        "missing_videos": {
            "clips": len(missing),
            "samples": sum(map(len, missing.values())),
            "samples_left_out": dropped,
            "report": MISSING if missing else None,
        },
        "files": [f"{split}.jsonl" for split in [*summaries, ALL]] + [MISSING] * bool(missing),
    }
    text = json.dumps(record, ensure_ascii=False, indent=1)
    write_text(out / RECORD, text + "\n")
    return Outcome(out, summaries, missing, dropped, list(read.notes), record)


def _read(adapter: Adapter, annotations: Path, videos: Path | None, request: Request) -> Prepared:
    """Reads a set; an error about a published file always ends in where to get it."""
    try:
        return adapter.read(annotations, videos, request)
    except DatasetError as error:
        if isinstance(adapter, OwnAdapter) or adapter.get in str(error):
            raise
        raise DatasetError(f"{error}; {adapter.get}") from error


def _write(
    adapter: Adapter,
    request: Request,
    samples: Sequence[Sample],
    missing: Mapping[str, Sequence[str]],
    out: Path,
    stale: Sequence[Path],
) -> dict[str, SplitSummary]:
    """Writes the manifests in place of what an earlier run wrote."""
    order = _order(adapter, request, (s.split or "" for s in samples))
    for file in stale:
        file.unlink(missing_ok=True)
    if missing:
        _report(out, missing)
    summaries = {}
    for split in order:
        some = [s for s in samples if s.split == split]
        write_manifest(out / f"{split}.jsonl", some)
        summaries[split] = summarise(some, missing)
    write_manifest(out / f"{ALL}.jsonl", samples)
    return summaries


def refuse_missing(
    adapter: Adapter,
    samples: Sequence[Sample],
    missing: Mapping[str, Sequence[str]],
    videos: Path | None,
    out: Path,
) -> None:
    """Raises the error about missing clips; what is missing was written down before."""
    clips = len({s.video for s in samples if s.video is not None})
    own = isinstance(adapter, OwnAdapter)  # how to get own annotations says nothing of clips
    where = f"in '{videos}'" if videos is not None else "there: no --videos given"
    raise DatasetError(
        f"{adapter.name}: {len(missing)} of {clips} clips are not {where}, e.g."
        f" '{next(iter(missing))}' (all: {out / MISSING}); looked for {adapter.videos};"
        " pass --drop-missing-videos to leave their questions out, or --allow-missing-videos to"
        f" keep them for work on text{'' if own else f'; {adapter.get}'}"
    )


def _absolute(sample: Sample) -> Sample:
    return sample if sample.video is None else replace(sample, video=os.path.abspath(sample.video))


def _reduce(
    adapter: Adapter,
    request: Request,
    samples: list[Sample],
    fraction: float,
    unit: Unit,
    seed: int,
) -> list[Sample]:
    """Keeps a fraction of the training split; the others stay whole."""
    if fraction == 1:
        return samples
    train = [s for s in samples if s.split == "train"]
    if adapter.schemes[request.scheme].folds or not train:
        raise SettingsError(
            f"--fraction reduces the training split, and the split scheme '{request.scheme}' has"
            " none; take a scheme with one, or reduce each fold's training part when training"
        )
    chosen = {s.id for s in take_fraction(train, fraction, seed=seed, unit=unit)}
    return [s for s in samples if s.split != "train" or s.id in chosen]


def _order(adapter: Adapter, request: Request, found: Iterable[str]) -> list[str]:
    usual = [*adapter.schemes[request.scheme].sizes, "train", "val", "test"]
    names = set(found)
    ordered = [n for n in dict.fromkeys(usual) if n in names]
    rest = sorted(names - set(ordered), key=lambda n: (len(n), n))
    for name in names:
        if not name or name == ALL or os.path.basename(name) != name or name.startswith("."):
            raise DatasetError(f"a split is called '{name}'; wanted a word that can name a file")
    return [*ordered, *rest]


def _stale(out: Path) -> list[Path]:
    """Returns what an earlier `prepare` wrote to `out`, to be replaced.

    Raises:
        DatasetError: `out` holds manifests that it didn't write.
    """
    if out.exists() and not out.is_dir():
        raise DatasetError(f"--out '{out}' is a file; wanted a folder")
    try:
        before = json.loads((out / RECORD).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        before = []
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{out / RECORD}: can't be read; give another --out") from error
    other = [p.name for p in out.glob("*.jsonl") if p.name not in before] if out.exists() else []
    if other:
        raise DatasetError(f"'{out}' holds '{other[0]}', not written here; give another --out")
    # an earlier call may have stopped at missing clips: then their list is all that it left
    return [out / Path(name).name for name in dict.fromkeys([*before, MISSING])]


def _report(out: Path, missing: Mapping[str, Sequence[str]]) -> None:
    try:
        make_folder(out)
        lines = [f"{video}\t{' '.join(ids)}\n" for video, ids in missing.items()]
        write_text(out / MISSING, "".join(lines))
    except OSError as error:
        raise DatasetError(f"'{out}' can't be written: {error.strerror}") from error
