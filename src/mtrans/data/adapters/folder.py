"""Own clips in folders that are called what they show: class_name/clip.mp4."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mtrans.core.errors import SettingsError
from mtrans.core.records import Sample
from mtrans.data.adapters.shared.base import Option, Prepared, Request
from mtrans.data.adapters.shared.columns import SPLIT_NAMES
from mtrans.data.adapters.shared.files import VideoFolder
from mtrans.data.adapters.shared.own import OWN_OPTIONS, OwnAdapter, split_own
from mtrans.data.adapters.shared.questions import Question


class Folder(OwnAdapter):
    """Folders of clips."""

    name = "folder"
    title = "own folders"
    about = (
        "CLASS/clip.mp4, or SPLIT/CLASS/clip.mp4 with train, val and test as splits: which class a"
        " clip belongs to is asked of each, with all classes as candidates (underscores are read as"
        " spaces). Where clips are cut from few sources, name the source with `group`, a pattern"
        " for the file's name, and split by it: clips of one source look alike."
    )
    source = "docs/datasets.md"
    get = "put the clips of each class into a folder of its name; give the folder above"
    kinds = ("choice",)
    metrics = ("accuracy", "macro_f1")
    options = {
        "ask": Option("the question; without it: What is shown in the clip?"),
        "group": Option("pattern whose first group in the file's name is the source: ^(cam\\d+)_"),
        **OWN_OPTIONS,
        "by": Option("holdout, folds: what is never torn apart", "video", ("video", "group")),
    }
    questions = (Question("class", "What is shown in the clip?"),)
    videos = "CLASS/clip.mp4 or SPLIT/CLASS/clip.mp4, also .mkv, .webm, .avi, .mov"

    def read(self, annotations: Path, videos: Path | None, request: Request) -> Prepared:
        """Lists the clips; `videos` may be given in place of `annotations`."""
        root = videos if videos is not None and not annotations.is_dir() else annotations
        clips = sorted(
            path.relative_to(root)
            for depth in ("*/*", "*/*/*")
            for path in root.glob(depth)
            if path.suffix.lower() in VideoFolder.SUFFIXES
        )
        if not root.is_dir():
            self.fail(f"there is no folder '{root}'")
        if not clips:
            self.fail(f"no CLASS/clip.mp4 in '{root}'")
        classes = {clip: clip.parent.name.replace("_", " ").strip() for clip in clips}
        names = sorted(set(classes.values()))
        if len(names) < 2:
            self.fail(f"one class only, '{names[0]}', in '{root}'; wanted a folder for each class")
        pattern = self._pattern(request.options["group"])
        samples = []
        for clip in clips:
            found = pattern.search(clip.name) if pattern else None
            if pattern and not found:
                raise SettingsError(f"option group: '{clip.name}' does not match {pattern.pattern}")
            part = clip.parts[0] if len(clip.parts) == 3 else None
            samples.append(
                Sample(
                    id=clip.with_suffix("").as_posix(),
                    video=os.path.abspath(root / clip),
                    question=request.options["ask"] or self.questions[0].ask(),
                    choices=tuple(names),
                    answer=classes[clip],
                    label=names.index(classes[clip]),
                    group=found.group(1) if found else None,
                    split=SPLIT_NAMES.get(part.lower(), part) if part else None,
                    type="class",
                )
            )
        return Prepared(split_own(samples, request), [])

    def _pattern(self, text: str | None) -> re.Pattern[str] | None:
        try:
            pattern = re.compile(text) if text else None
        except re.error as error:
            raise SettingsError(f"option group={text}: not a pattern: {error}") from None
        if pattern and not pattern.groups:
            raise SettingsError(f"option group={text}: no (...) around what names the source")
        return pattern


ADAPTER = Folder()
