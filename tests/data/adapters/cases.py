"""Fixtures of the data sets: each `fixtures/NAME/` is found by its folder.

fixtures/NAME/annotations/   three invented records in the official format; a file that ends in
                             .p.json or .pkl.json is turned into that pickle ({"array": [...]}
                             is a numpy array, {"tuple": [...]} a tuple)
fixtures/NAME/case.json      {"cases": [{"scheme": ..., "options": {...}, "videos": [...],
                             "annotations": the part of annotations/ to be given, by default
                             all, "folders": videos that are folders of frames}]}
fixtures/NAME/expected.json  what comes out, questions and prompts included; written by
                             python tests/data/adapters/cases.py NAME, then read and committed
"""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtrans.core.settings import ModelSettings, PromptSettings
from mtrans.data.adapters import ADAPTERS
from mtrans.data.adapters.shared.base import Adapter, Prepared
from mtrans.data.prompts import build_prompt

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Case:
    """One way of preparing a fixture."""

    name: str
    number: int
    scheme: str
    options: dict[str, str]
    videos: tuple[str, ...]
    folders: tuple[str, ...]
    part: str

    @property
    def adapter(self) -> Adapter:
        return ADAPTERS.get(self.name)

    def __str__(self) -> str:
        given = ",".join(f"{k}={v}" for k, v in self.options.items())
        return "-".join(filter(None, (self.name, self.scheme, given, self.part)))

    def lay_out(self, folder: Path) -> tuple[Path, Path]:
        """Writes annotations/ and videos/ of this case below a folder."""
        annotations, videos = folder / "annotations", folder / "videos"
        shutil.copytree(FIXTURES / self.name / "annotations", annotations)
        build_pickles(annotations)
        build_data_sets(annotations)
        videos.mkdir()
        for video in self.videos:
            (videos / video).parent.mkdir(parents=True, exist_ok=True)
            (videos / video).write_bytes(b"")
        for frames in self.folders:
            (videos / frames).mkdir(parents=True)
        return annotations / self.part, videos

    def read(self, annotations: Path, videos: Path | None, allow_partial: bool = True) -> Prepared:
        adapter = self.adapter
        request = adapter.request(self.scheme, self.options, allow_partial=allow_partial)
        return adapter.read(annotations, videos, request)


def cases(name: str) -> list[Case]:
    found = json.loads((FIXTURES / name / "case.json").read_text(encoding="utf-8"))["cases"]
    return [
        Case(
            name=name,
            number=number,
            scheme=case["scheme"],
            options=case.get("options", {}),
            videos=tuple(case.get("videos", ())),
            folders=tuple(case.get("folders", ())),
            part=case.get("annotations", ""),
        )
        for number, case in enumerate(found)
    ]


def build_pickles(folder: Path) -> None:
    for file in [*folder.rglob("*.p.json"), *folder.rglob("*.pkl.json")]:
        value = json.loads(file.read_text(encoding="utf-8"), object_hook=_python_value)
        file.with_suffix("").write_bytes(pickle.dumps(value, protocol=2))
        file.unlink()


def build_data_sets(folder: Path) -> None:
    for file in folder.rglob("*.hf.json"):
        datasets = pytest.importorskip("datasets", reason="needs the extra [hf]")
        datasets.disable_progress_bars()
        made = datasets.DatasetDict()
        for split, rows in json.loads(file.read_text(encoding="utf-8"))["splits"].items():
            made[split] = datasets.Dataset.from_list(rows)
            if "class" in made[split].column_names:
                feature = datasets.ClassLabel(names=["yes", "no"])
                made[split] = made[split].cast_column("class", feature)
        place = file.with_suffix("").with_suffix("")
        (made["all"] if list(made) == ["all"] else made).save_to_disk(str(place))
        file.unlink()


def _python_value(value: dict[str, Any]) -> Any:
    if list(value) == ["array"]:
        return np.array(value["array"])
    if list(value) == ["tuple"]:
        return tuple(value["tuple"])
    if value and all(key.isdigit() for key in value):  # ids are numbers in pickles
        return {int(key): item for key, item in value.items()}
    return value


def outcome(name: str, folder: Path) -> dict[str, Any]:
    """What the fixture gives: wordings, and for each case samples, notes and prompts."""
    adapter = ADAPTERS.get(name)
    wordings = {
        q.name: {"version": q.version, "text": q.text, "choices": q.choices}
        for q in adapter.questions
    }
    results = []
    for case in cases(name):
        annotations, videos = case.lay_out(folder / str(case.number))
        prepared = case.read(annotations, videos)
        lines = [sample.to_json() for sample in prepared.samples]
        for line in lines:
            if "video" in line:
                line["video"] = line["video"].replace(f"{folder}/{case.number}/", "")
        results.append(
            {
                "case": str(case),
                "samples": lines,
                "notes": [n.replace(f"{folder}/{case.number}/", "") for n in prepared.notes],
                "files": [p.name for p in prepared.files],
                "prompt": prompts(adapter, prepared),
            }
        )
    made = {"version": adapter.version, "questions": wordings, "results": results}
    return json.loads(json.dumps(made))


def prompts(adapter: Adapter, prepared: Prepared) -> dict[str, str]:
    """The LLM's whole text for the first sample, in the styles that matter for this set."""
    settings = {k.removeprefix("prompt."): v for k, v in adapter.settings.items()}
    listed = settings.get("list_choices", "false") == "true"
    made = {}
    for style in (settings.get("template", "instructblip"), "tiny"):
        prompt = PromptSettings(template=style, list_choices=listed)
        model = ModelSettings(qformer_text="both", llm_text="both")
        made[style] = build_prompt(prepared.samples[0], model, prompt, style).llm_text
    return made


def main() -> None:
    for name in sys.argv[1:] or list(ADAPTERS):
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(outcome(name, Path(folder)), indent=1, ensure_ascii=False)
        (FIXTURES / name / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
