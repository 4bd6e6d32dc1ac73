"""A study's plan as YAML: read with every key and type checked, and written."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.files import write_text
from mtrans.core.settings import flatten, setting_fields
from mtrans.core.settings.convert import coerce
from mtrans.study.parts import CONTENDERS, Contender, Data
from mtrans.study.plan import CLIPS, FRACTION, StudyPlan

EXAMPLE = """\
# A study for `mtrans study run`. Every contender gets the same clips, frames, steps and search.

data:                       # one set, or a list of sets
  world: talk               # a synthetic test bench; `mtrans worlds list` shows them
  train: 600                # clips
  val: 100
  test: 400
  seed: 0
# your own clips instead (paths are relative to this file):
#   name: mine
#   train: clips/train.jsonl
#   val: clips/val.jsonl
#   test: clips/test.jsonl
#   motion: [which_way]     # question types measured together
# a set of a list may have its own frames, steps, batch, set, search, in place of those below

contenders:                 # differences are against the first
  mtrans:                   # by name; `mtrans study contenders` shows all
  text:
  concat:
  no-routing:               # own ones: preset, baseline, set
    preset: mtrans
    set: {model.routing: "off"}
  paper:
    search: {train.learning_rate: [1e-4, 4e-4, 1e-3]}   # own candidates

preset: mtrans              # of the contenders that name none
frames: 4                   # `single` keeps its one
steps: 400                  # the budget: optimizer steps
batch: 32                   # of this many questions
seeds: [0, 1, 2]

search:                     # chosen on validation with the first seed
  train.learning_rate: [2e-3, 4e-3]

# vary:                     # the full grid; curves are drawn over numbers
#   lora.rank: [2, 8, 32]
#   clips: [50, 150, 600]   # training clips; or fraction: [0.1, 0.25, 1]
# floors: [majority, svm-text]   # rows that see no frame
# name: more                # several plans in one folder share clips, cache and runs
# transfer: true            # every run also answers the test questions of all other sets
# set:                      # any other setting, for all; `mtrans settings` lists them
#   model.budget: 150000    # as many trained parameters for all, as nearly as each can
"""
"""A commented plan, for people to start from."""

_ELSEWHERE = {
    "train.seed": "seeds",
    "preset": "contenders",
    "train.max_steps": "steps",
    "train.batch_size": "batch",
}


def read_plan(file: str | Path) -> StudyPlan:
    """Reads a plan.

    Args:
        file: YAML; its manifests are relative to it.

    Raises:
        SettingsError: It can't be read, or a key, a type or a name is wrong.
    """
    import yaml

    file = Path(file)
    try:
        text = file.read_text(encoding="utf-8")
        loaded = yaml.safe_load(text)
        _check_once(yaml.compose(text, yaml.SafeLoader), file, set())
    except OSError as error:
        raise SettingsError(f"plan '{file}' can't be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"plan '{file}' is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise SettingsError(
            f"plan '{file}' must hold key: value pairs; `mtrans study example` prints one"
        )
    return plan_from_dict(loaded, file.resolve().parent)


def _check_once(node: Any, file: Path, done: set[int]) -> None:
    """Finds a key that stands twice: YAML would forget the first.

    Args:
        node: A part of the file, as composed.
        file: For the message.
        done: Parts that were looked at; an alias leads to one again.

    Raises:
        SettingsError: There is one.
    """
    import yaml

    if id(node) in done:
        return
    done.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise SettingsError(
                    f"plan '{file}', line {line}: '{key.value}' was already on line"
                    f" {seen[key.value]}; put the two together"
                )
            if isinstance(key.value, str):
                seen[key.value] = line
            _check_once(value, file, done)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_once(item, file, done)


def plan_from_dict(data: Mapping[str, Any], folder: Path | None = None) -> StudyPlan:
    """Returns the plan that a dictionary describes.

    Args:
        data: As read from YAML or JSON.
        folder: What manifests' paths are relative to; None leaves them.

    Raises:
        SettingsError: A key, a type or a name is wrong.
    """
    own = ("data", "contenders", "set", "vary", "search")
    values = _plain_fields(StudyPlan, data, "", own)
    for needed in ("data", "contenders"):
        if not data.get(needed):
            raise SettingsError(
                f"the plan has no '{needed}'; `mtrans study example` prints a whole one"
            )
    sets = data["data"] if isinstance(data["data"], list) else [data["data"]]
    values["data"] = tuple(_data(one, folder) for one in sets)
    given = data["contenders"]
    if not isinstance(given, Mapping):
        given = dict.fromkeys(coerce(given, tuple[str, ...], "contenders"))
    values["contenders"] = {str(k): _contender(str(k), v) for k, v in given.items()}
    values["set"] = _settings(data.get("set"), "set")
    values["vary"] = _axes(data.get("vary"), "vary")
    values["search"] = _axes(data.get("search"), "search")
    return StudyPlan(**values)


def plan_to_dict(plan: StudyPlan) -> dict[str, Any]:
    """Inverse of :func:`plan_from_dict`, of JSON types."""
    return typing.cast(dict[str, Any], _jsonable(asdict(plan)))


def write_plan(plan: StudyPlan, file: Path) -> None:
    """Writes a plan as YAML."""
    import yaml

    write_text(file, yaml.safe_dump(plan_to_dict(plan), sort_keys=False))


def _data(given: Any, folder: Path | None) -> Data:
    if not isinstance(given, Mapping):
        raise SettingsError(f"data={given!r}: wanted a world with counts, or three manifests")
    splits = ("train", "val", "test")
    values = _plain_fields(Data, given, "data.", (*splits, "set", "search"))
    for split in splits:
        value = given.get(split)
        if isinstance(value, str) and folder is not None:
            value = str((folder / value).resolve())
        values[split] = value
    values["set"] = _settings(given.get("set"), "data.set")
    values["search"] = _axes(given.get("search"), "data.search")
    values.setdefault("name", values.get("world") or "clips")
    return Data(**values)


def _contender(name: str, given: Any) -> Contender:
    where = f"contenders.{name}"
    if given is not None and not isinstance(given, Mapping):
        raise SettingsError(f"{where}={given!r}: wanted preset, baseline, set, search")
    known = CONTENDERS.get(name)
    own = {k: v for k, v in (given or {}).items() if v not in (None, {}, "")}
    if known is None and not own:
        raise SettingsError(f"unknown contender '{name}'{did_you_mean(name, CONTENDERS)}")
    values = _plain_fields(Contender, own, f"{where}.", ("set", "search"))
    values["set"] = _settings(own.get("set"), f"{where}.set")
    values["search"] = _axes(own.get("search"), f"{where}.search")
    if known is not None and not {"preset", "baseline"} & set(own):
        return dataclasses.replace(known, **values)
    return Contender(**values)


def _plain_fields(
    cls: type, data: Mapping[str, Any], where: str, skipped: tuple[str, ...]
) -> dict[str, Any]:
    """Checks the keys of a part, and the types of all but those skipped."""
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in hints:
            raise SettingsError(
                f"the plan has an unknown key '{where}{key}'{did_you_mean(str(key), hints)}"
            )
        if key not in skipped:
            values[key] = coerce(value, hints[key], f"{where}{key}")
    return values


def _settings(given: Any, where: str) -> dict[str, Any]:
    """Checks dotted settings and their values' types."""
    return {key: _setting(key, v, where) for key, v in flatten(_mapping(given, where)).items()}


def _axes(given: Any, where: str) -> dict[str, tuple[Any, ...]]:
    """Checks settings with lists of values."""
    axes = {}
    for key, values in flatten(_mapping(given, where)).items():
        if not isinstance(values, list | tuple) or not values:
            raise SettingsError(f"{where}.{key}={values!r}: wanted a list of values")
        axes[key] = tuple(_setting(key, v, where) for v in values)
        if len(set(axes[key])) < len(axes[key]):
            raise SettingsError(f"{where}.{key}={values!r}: a value occurs twice")
    return axes


def _setting(key: str, value: Any, where: str) -> Any:
    varied = {CLIPS: int, FRACTION: float} if where == "vary" else {}
    known: dict[str, Any] = {**setting_fields(), **varied}
    if key in _ELSEWHERE and (where.endswith("set") or key in ("train.seed", "preset")):
        raise SettingsError(f"{where}.{key}: the plan's '{_ELSEWHERE[key]}' says this")
    if key not in known:
        raise SettingsError(f"unknown setting '{where}.{key}'{did_you_mean(key, known)}")
    return coerce(value, known[key], f"{where}.{key}")


def _mapping(given: Any, where: str) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where}={given!r}: wanted setting: value pairs")
    return given


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _jsonable(v) for k, v in value.items()}
    return [_jsonable(v) for v in value] if isinstance(value, tuple | list) else value
