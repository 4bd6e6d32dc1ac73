"""README.md of a prepared data set and of an adapter, as the Hugging Face Hub shows them.

Written from what is on disk (``prepared.json``, ``run.json``, ``scores.json``). Nothing is
uploaded; ``huggingface_hub.upload_folder`` can take the folder afterwards. Clips are not part of a
data set's card: manifests name them, and most sets do not allow passing them on. Needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtrans.core.errors import MTransError
from mtrans.core.files import write_text
from mtrans.core.markdown import table
from mtrans.measure.predictions import read_predictions
from mtrans.measure.score import read_scores, scores_path
from mtrans.train.run_folder import RunFolder

MARK = "<!-- written by mtrans -->"
SYNTHETIC = (
    "**Synthetic.** The clips are drawn by a program: scores on them say whether a method can learn"
    " what it should, and nothing about accuracy on real footage."
)
TINY = (
    "`tiny`, the base model, has seen nothing but still images and texts that a program made: it is"
    " there to try things out with."
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
_ANSWERS = 6
_LICENCES = {"CC0": "cc0-1.0"}  # what adapters say in prose -> the Hub's name for it


class CardError(MTransError):
    """There is nothing to write a card from, or a README.md of somebody else."""


def data_card(folder: Path) -> Path:
    """Writes README.md of a data set that `mtrans data prepare` wrote.

    Args:
        folder: The folder with ``prepared.json``.

    Returns:
        The file.

    Raises:
        CardError: No ``prepared.json``, or a README.md that was not written here.
    """
    record = _json(folder / "prepared.json", "`mtrans data prepare` writes it")
    splits: dict[str, Any] = record["splits"]
    total = sum(s["samples"] for s in splits.values())
    header = {
        "pretty_name": record["title"],
        **_licence(record),
        "task_categories": ["video-text-to-text"],
        "tags": ["video", "question-answering", record["name"]],
        "size_categories": [next((word for n, word in _SIZES if total < n), "n>1M")],
        "configs": [
            {
                "config_name": record["scheme"],
                "data_files": [{"split": s, "path": f"{s}.jsonl"} for s in splits],
            }
        ],
    }
    missing, part = record["missing_videos"], record["fraction"]
    lines = [
        f"# {record['title']}",
        "",
        f"Manifests (JSONL, one question a line) of {record['name']}, split scheme"
        f" `{record['scheme']}`: {record['scheme_about']}. The clips are not included.",
        "",
        f"- Source: {record['source']}",
        f"- Licence: {record['licence']}",
        f"- Citation: {record['citation']}",
        f"- Metrics: {', '.join(record['metrics'])}",
        f"- Made by mtrans {record['mtrans']}, adapter version {record['adapter_version']}, seed"
        f" {record['seed']}",
    ]
    if part:
        lines.append(f"- Reduced: {part['share']:g} of the training split, counted by {part['of']}")
    if missing["clips"]:
        left = missing["samples_left_out"]
        lines.append(
            f"- Clips that were not there: {missing['clips']}, with {missing['samples']} questions;"
            f" {left or 'none'} of them left out"
        )
    lines += [f"- Note: {note}" for note in record["notes"]]
    head = ("split", "questions", "videos", "groups", "speakers", "without clip")
    keys = ("samples", "videos", "groups", "speakers", "missing")
    lines += _table("Splits", head, [(name, *(s[k] for k in keys)) for name, s in splits.items()])
    head = ("split", "type", "questions", "answers", "majority", "chance")
    lines += _table("Balance of the answers", head, _balance(splits))
    files = [(f["file"], f["bytes"], f"`{f['sha256']}`") for f in record["annotations"]]
    lines += _table("Annotation files", ("file", "bytes", "SHA-256"), files)
    return _write(folder / "README.md", header, lines)


def model_card(path: Path) -> Path:
    """Writes README.md into a run's adapter folder, in place of the one that PEFT leaves there.

    Args:
        path: A finished run folder; scored by `mtrans eval` if the card shall have scores.

    Returns:
        The file.

    Raises:
        CardError: The run has no adapter, or a README.md that was not written here or by PEFT.
        CheckpointError: Not a run folder.
    """
    run = RunFolder(path)
    info = run.info()
    adapter = _json(run.adapter / "mtrans.json", "wanted a finished run with an adapter")
    base, made_up = adapter["backbone"], _synthetic(run)
    header: dict[str, Any] = {"library_name": "peft", "pipeline_tag": "video-text-to-text"}
    if "/" in base and not Path(base).exists():
        header["base_model"] = base
    drawn = made_up or base == "tiny"
    header["tags"] = ["mtrans", "video", "lora", *(["synthetic"] if drawn else [])]
    lora, versions = adapter["lora"], info["versions"]
    lines = [f"# Video adapter for {base}", "", *([SYNTHETIC, ""] if made_up else [])]
    lines += [TINY, ""] if base == "tiny" else []
    lines += [
        f"- Base model: `{base}`, frozen weights `{adapter['weights']}`",
        f"- Low-rank pairs: rank {lora['rank']}, alpha {lora['alpha']:g} on"
        f" {', '.join(lora['targets'])}",
        f"- Trained: {info['started']} to {info['finished']}, seed {info['seed']}, on"
        f" {info['device'] or 'an unnamed device'}",
        f"- Versions: {', '.join(f'{k} {v}' for k, v in versions.items())}",
    ]
    data = [(k, d["samples"], d["videos"], f"`{d['hash']}`") for k, d in _data(info).items()]
    lines += _table("Data", ("split", "questions", "videos", "SHA-256 of the samples"), data)
    lines += _scores(run)
    lines += ["", "## Load", "", "```python", _load(base), "```", ""]
    lines.append("`settings.yaml` beside the weights holds every setting of the run.")
    return _write(run.adapter / "README.md", header, lines)


def write_card(path: Path) -> None:
    """Writes the card of a run that has just ended; a README.md that is there stays."""
    if not (RunFolder(path).adapter / "README.md").exists():
        model_card(path)


def _licence(record: Mapping[str, Any]) -> dict[str, str]:
    """Returns the header's licence: the Hub takes a known name, or a slug and where to read on."""
    if record["licence"] in _LICENCES:
        return {"license": _LICENCES[record["licence"]]}
    header = {"license": "other", "license_name": f"{record['name'].replace('_', '-')}-terms"}
    if record["source"].startswith(("http://", "https://")):
        header["license_link"] = record["source"]
    return header


def _load(base: str) -> str:
    return f"""\
import mtrans

model = mtrans.load("path/to/this/folder")
print(model.ask("clip.mp4", "what happens?", choices=["yes", "no"]).probabilities)

# or with peft, on the assembled video model
from peft import PeftModel
from mtrans.models.loading import load_backbone
from mtrans.models.lora import read_adapter

record = read_adapter("path/to/this/folder")
backbone = load_backbone({base!r}, record.model)
model = PeftModel.from_pretrained(backbone.model, "path/to/this/folder")"""


def _data(info: Mapping[str, Any]) -> dict[str, Any]:
    return {k: d for k, d in info.get("data", {}).items() if d}


def _synthetic(run: RunFolder) -> bool:
    """Whether the clips that were answered about are of a world, as their facts say."""
    file = run.predictions()
    return file.is_file() and any(p.facts.get("world") for p in read_predictions(file))


def _scores(run: RunFolder) -> list[str]:
    file = scores_path(run.predictions())
    if not file.is_file():
        return ["", "## Scores", "", "Not measured: `mtrans eval` was not run."]
    scores, about = read_scores(file)
    rows = [
        (
            s.metric,
            ", ".join(f"{k} {v}" for k, v in s.slice.items()) or "all",
            f"{s.value:.3f}",
            "-" if s.low is None or s.high is None else f"{s.low:.3f} to {s.high:.3f}",
            "-" if s.chance is None else f"{s.chance:.3f}",
            s.n,
            s.clusters,
        )
        for s in scores
        if set(s.slice) <= {"type"} and (not s.slice or s.metric in ("accuracy", "exact_match"))
    ]
    head = ("metric", "questions", "value", "95 % interval", "chance", "n", "videos")
    how = about.get("interval", {}).get("method", "")
    return [*_table("Scores", head, rows), *(["", f"Intervals: {how}."] if how else [])]


def _balance(splits: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows = []
    for split, summary in splits.items():
        for kind, found in summary["types"].items():
            answers = list(found["answers"].items())
            shown = ", ".join(f"{word} {n}" for word, n in answers[:_ANSWERS])
            rest = found["different_answers"] - min(len(answers), _ANSWERS)
            shown += f" and {rest} others" if rest > 0 else ""
            chance = "-" if found["chance"] is None else f"{100 * found['chance']:.1f} %"
            majority = f"{100 * found['majority']:.1f} %"
            rows.append((split, kind or "-", found["samples"], shown, majority, chance))
    return rows


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return ["", f"## {title}", "", *table(head, rows)]


def _json(file: Path, hint: str) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not JSON"
        raise CardError(f"'{file}' can't be read ({why}); {hint}") from error


def _write(file: Path, header: Mapping[str, Any], lines: Sequence[str]) -> Path:
    import yaml

    if file.exists():
        there = file.read_text(encoding="utf-8")
        if MARK not in there and "library_name: peft" not in there:
            raise CardError(f"'{file}' was not written here; move it away first")
    head = yaml.safe_dump(dict(header), sort_keys=False, allow_unicode=True)
    write_text(file, f"---\n{head}---\n\n{MARK}\n\n" + "\n".join(lines) + "\n")
    return file
