"""What lies in a clip: told by its facts, or worked out again from the recipe of its world.

    facts["things"] = "red circle, blue square"   any manifest can say it
    <world>/world.json + videos/test_00012.mp4    a clip of `physics`, simulated again, not drawn

A clip that is simulated again is believed only where its facts and the questions asked about it
are those of the predictions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtrans.core.records import Prediction
from mtrans.video.worlds.make import GENERATOR_VERSION, SPEC_FILE, SPLITS, Spec, clip_rng
from mtrans.video.worlds.physics import Scene, make_scene
from mtrans.video.worlds.shapes import COLOURS, SHAPES

FACT = "things"
"""The fact that lists all objects of a clip."""

WORLD = "physics"
"""The world whose clips can be simulated again."""

ATTEMPTS = 64
"""Draws of a clip with a single question (:func:`mtrans.video.worlds.make.generate_clip`)."""

_THING = re.compile(rf"\b({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})s?\b")
_STEM = re.compile(rf"({'|'.join(SPLITS)})_(\d+)")


def things_in(text: str) -> list[tuple[str, str]]:
    """Returns the objects that a text names: (colour, shape), each once."""
    return list(dict.fromkeys((c, s) for c, s in _THING.findall(text.lower())))


def all_things(part: Sequence[Prediction]) -> list[tuple[str, str]] | None:
    """Returns every object of a clip as (colour, shape); None where they are not all known.

    Args:
        part: Predictions about one clip.
    """
    told = part[0].facts.get(FACT)
    if isinstance(told, str):
        return things_in(told)
    if part[0].video is None or part[0].facts.get("world") != WORLD:
        return None
    video = Path(part[0].video)
    named, recipe = _STEM.fullmatch(video.stem), _recipe(video.parent.parent / SPEC_FILE)
    if named is None or recipe is None:
        return None
    scene = _again(recipe, named[1], int(named[2]), part)
    return None if scene is None else [(o.colour, o.shape) for o in scene.things]


def _recipe(path: Path) -> Spec | None:
    """Reads the recipe of a world's folder; None where it is not one of this generator."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        version = told.pop("generator_version")
        spec = Spec(**told)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return spec if version == GENERATOR_VERSION and spec.world == WORLD else None


def _again(spec: Spec, split: str, index: int, part: Sequence[Prediction]) -> Scene | None:
    """Simulates a clip again; None where it is not the one the predictions are about."""
    options: dict[str, Any] = {"seconds": spec.seconds}
    if spec.fps is not None:
        options["fps"] = spec.fps
    for attempt in range(ATTEMPTS):
        scene = make_scene(clip_rng(spec, split, index, attempt), **options)
        if _fits(scene, part):
            return scene
        if len(scene.questions) > 1:  # only clips with a single question are drawn again
            return None
    return None


def _fits(scene: Scene, part: Sequence[Prediction]) -> bool:
    asked = {(q.text, q.answer) for q in scene.questions}
    facts = part[0].facts
    return all(facts.get(name) == value for name, value in scene.facts.items()) and all(
        (p.question, p.target) in asked for p in part
    )
