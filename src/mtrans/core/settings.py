"""Every setting of a run: dataclasses with prose, presets, and how YAML and ``--set`` reach them.

A run is described by one :class:`RunSettings`; each part is a frozen dataclass whose fields carry
their meaning as a docstring line below them. `load_settings` starts from a preset, lays a YAML file
over it and ``key=value`` pairs over that. An unknown key or a contradiction fails at once and names
the flags. This module needs no torch.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mtrans.core.errors import SettingsError, did_you_mean

TextRoute = Literal["question", "context", "both"]


@dataclass(frozen=True)
class FrameSettings:
    """How a clip becomes frames; training, evaluation, `ask` and the API share it."""

    count: int = 4
    """Frames sampled from a clip (`T`)."""

    sampling: Literal["uniform", "fps"] = "uniform"
    """`uniform`: the centres of `count` equal parts of the clip. `fps`: one frame every `1/fps`
    seconds from the clip's start, thinned uniformly to `count` where there are more."""

    fps: float | None = None
    """Frames a second for `sampling = fps`."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(f"frames.count={self.count}: at least one frame is needed")
        if self.sampling == "fps" and not (self.fps and self.fps > 0):
            raise SettingsError("frames.sampling=fps needs frames.fps, a positive number")
        if self.sampling != "fps" and self.fps is not None:
            raise SettingsError(
                f"frames.fps={self.fps} has no effect with frames.sampling={self.sampling}"
            )


@dataclass(frozen=True)
class ModelSettings:
    """The switches of the method (docs/METHOD.md). `paper` marks the published choice."""

    vision: bool = True
    """False replaces every patch feature by zeros: the text-only control, with the same
    parameters and the same budget as the full model."""

    mqt: bool = True
    """Reuse the pretrained spatial attention over time (MQT)."""

    temporal_tokens: Literal["queries", "all"] = "queries"
    """Which tokens attend over their own history; paper: queries."""

    temporal_gate: Literal["learned", "none"] = "learned"
    """`learned`: x + g * (Block_t(x) - x), one g a layer; paper: none (g = 1 throughout)."""

    gate_init: float = 1.0
    """Where the learned gate starts: 0 is exactly the image model, 1 exactly the paper's form."""

    temporal_position: Literal["relative", "absolute", "none"] = "relative"
    """`relative`: signed bias per head from time differences in seconds inside temporal attention;
    paper: absolute (learned embeddings per frame and per query, added once before layer 1)."""

    position_scale: float = 1.5
    """Standard deviation with which learned positions start; 0.3 for `absolute` in preset paper."""

    max_frames: int = 64
    """Rows of the absolute temporal embedding; with `absolute`, more frames are an error."""

    fusion: Literal["early", "none"] = "early"
    """UniFusion: text takes part in the Q-Former from the first layer; paper: early."""

    qformer_text: TextRoute = "both"
    """Which text the Q-Former reads; paper: context (sarcasm), question elsewhere."""

    llm_text: TextRoute = "both"
    """Which text the LLM reads; paper: question."""

    routing: Literal["off", "spatial", "temporal", "both"] = "temporal"
    """DAR: which attention is routed; paper: both."""

    routing_form: Literal["log_mixture", "average", "hadamard"] = "log_mixture"
    """How the masks act; the paper's printed equation is `hadamard`."""

    routing_choice: Literal["soft", "hard"] = "soft"
    """`hard` draws one mask by straight-through Gumbel softmax in training, takes the likeliest
    after."""

    routing_temperature: float = 1.0
    """Temperature at which Gumbel annealing starts."""

    routing_temperature_end: float = 0.1
    """Temperature at which Gumbel annealing ends, at the end of training."""

    temporal_radii: tuple[int, ...] = (0, 1, 2)
    """Radii r of the temporal masks |t - t'| <= r that stand beside the unbounded one."""

    masks_per_layer: tuple[int, ...] = (1, 2, 4)
    """Masks a router mixes in successive layers (the last number repeats); the unbounded mask is
    always the first; paper: 1, 2, 4."""

    pool: Literal["mean", "last", "attention", "concat"] = "mean"
    """How `(B, T, Q, C)` becomes the LLM's visual tokens: Q tokens, or T*Q for `concat`."""

    def __post_init__(self) -> None:
        if not self.masks_per_layer or min(self.masks_per_layer) < 1:
            raise SettingsError(
                f"model.masks_per_layer={self.masks_per_layer}: each layer needs >= 1 mask"
            )
        if any(r < 0 for r in self.temporal_radii):
            raise SettingsError(f"model.temporal_radii={self.temporal_radii}: radii are >= 0")
        if self.routing in ("temporal", "both") and not self.mqt:
            raise SettingsError(
                f"model.routing={self.routing} routes temporal attention, but model.mqt=false has"
                " none; set model.routing=off or spatial"
            )


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adaptation of the Q-Former's attention. Rank is not published."""

    rank: int = 8
    """Rank of every low-rank pair."""

    alpha: float = 16.0
    """LoRA scale is alpha / rank."""

    dropout: float = 0.0
    """Dropout on the input of the low-rank pair while training."""

    targets: tuple[str, ...] = ("query", "value")
    """Projections of each attention that get a pair: of query, key, value, output (paper: query,
    value)."""

    def __post_init__(self) -> None:
        known = {"query", "key", "value", "output"}
        for target in self.targets:
            if target not in known:
                raise SettingsError(
                    f"lora.targets: unknown '{target}'{did_you_mean(target, known)}"
                )
        if self.rank < 1:
            raise SettingsError(f"lora.rank={self.rank}: at least 1")


@dataclass(frozen=True)
class TrainSettings:
    """The optimisation. Published: AdamW, lr 1e-4, betas (0.9, 0.95), decay 0.05, batch 2."""

    epochs: float = 25.0
    """Passes over the training samples; ignored where max_steps is given."""

    max_steps: int = -1
    """Optimizer steps; -1 counts epochs."""

    batch_size: int = 32
    """Clips in one optimizer step, over all processes and accumulation steps."""

    micro_batch_size: int | None = None
    """Clips in one forward pass on one process; None is batch_size / processes."""

    learning_rate: float = 4e-3
    """Peak learning rate."""

    weight_decay: float = 0.05
    """AdamW's decoupled decay."""

    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's moment decay."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Shape of the learning rate after warm-up."""

    warmup: float = 0.05
    """Share of all steps with a linearly rising learning rate."""

    clip_norm: float = 1.0
    """Gradient norm is clipped to this."""

    position_learning_rate: float | None = None
    """Own peak rate for temporal positions, gates and routers; None shares learning_rate."""

    evaluate_every: int | None = None
    """Optimizer steps between validations; None is once an epoch."""

    patience: int | None = None
    """Validations without improvement before training stops; None never stops early."""

    keep_best: bool = True
    """End with the adapter that was best on validation (needs validation data)."""

    save_every: int | None = None
    """Optimizer steps between resumable checkpoints; None is at each validation."""

    seed: int = 0
    """Seeds initialisation, order and dropout."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the training step; auto is bf16 autocast on a GPU that has it."""

    skip_bad: bool = False
    """Leave out clips that can't be read, counting and listing them, instead of stopping."""

    use_cache: bool = True
    """Compute frozen ViT features once and read them from the feature cache."""

    gradient_checkpointing: bool = False
    """Trade time for memory in the frozen LLM's backward pass."""

    workers: int = 0
    """Background processes that decode or read features."""


@dataclass(frozen=True)
class PromptSettings:
    """How a sample becomes text."""

    template: str = "auto"
    """Name of a prompt template; `auto` is the backbone's own."""

    list_choices: bool = False
    """Name the candidates in the prompt."""

    max_text_tokens: int = 128
    """Longest Q-Former text; older context is cut first."""


@dataclass(frozen=True)
class RunSettings:
    """All settings of a run."""

    preset: str = "mtrans"
    """Which preset the settings started from."""

    backbone: str = "tiny"
    """`tiny`, a folder, or the name of a published InstructBLIP or BLIP-2 checkpoint."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""

    dtype: str = "auto"
    """Dtype of the frozen weights: auto, fp32, bf16, fp16."""

    cache_dir: str | None = None
    """Folder of the feature cache; None is `mtrans` below the user's cache folder."""

    frames: FrameSettings = field(default_factory=FrameSettings)
    """Video to frames."""

    prompt: PromptSettings = field(default_factory=PromptSettings)
    """Sample to text."""

    model: ModelSettings = field(default_factory=ModelSettings)
    """The method's switches."""

    lora: LoraSettings = field(default_factory=LoraSettings)
    """Low-rank adapters."""

    train: TrainSettings = field(default_factory=TrainSettings)
    """Optimisation."""


# What each preset changes against the defaults above. `mtrans` is the defaults: the best we know.
PRESETS: dict[str, dict[str, Any]] = {
    "mtrans": {"lora.targets": ("query", "key", "value", "output")},
    "paper": {
        "model.temporal_gate": "none",
        "model.temporal_position": "absolute",
        "model.position_scale": 0.3,
        "model.routing": "both",
        "model.routing_form": "hadamard",
        "model.llm_text": "question",
        "train.learning_rate": 1e-4,
        "train.batch_size": 2,
        "train.epochs": 25.0,
    },
}

# Contenders that share everything with a preset but its temporal design.
BASELINES: dict[str, dict[str, Any]] = {
    "text": {"model.vision": False},
    "single": {"frames.count": 1},
    "mean": {"model.mqt": False, "model.routing": "off", "model.pool": "mean"},
    "concat": {"model.mqt": False, "model.routing": "off", "model.pool": "concat"},
}


def load_settings(
    *,
    preset: str = "mtrans",
    baseline: str | None = None,
    file: str | Path | None = None,
    overrides: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
) -> RunSettings:
    """Builds the settings of a run: preset, then baseline, then file, then values, then overrides.

    Args:
        preset: Name in :data:`PRESETS`.
        baseline: Name in :data:`BASELINES`, laid over the preset.
        file: YAML with nested or dotted keys.
        overrides: ``"key=value"`` texts as given to ``--set``; the value is read as YAML.
        values: Dotted keys with values already of the right type.

    Returns:
        The checked settings.

    Raises:
        SettingsError: Unknown preset or key, wrong type, or contradiction.
    """
    import yaml

    layers: dict[str, Any] = {}
    if file is not None:
        try:
            loaded = yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise SettingsError(
                f"settings file '{file}' can't be read: {error.strerror}"
            ) from error
        except yaml.YAMLError as error:
            raise SettingsError(
                f"settings file '{file}' is not YAML: {_one_line(error)}"
            ) from error
        if not isinstance(loaded, dict):
            raise SettingsError(f"settings file '{file}' must hold key: value pairs")
        layers.update(_flatten(loaded))
        preset = layers.pop("preset", preset)
    layers.update(values or {})
    for text in overrides:
        key, sign, value = text.partition("=")
        if not sign:
            raise SettingsError(
                f"--set {text}: wanted key=value, e.g. --set train.learning_rate=1e-3"
            )
        try:
            layers[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"--set {text}: {_one_line(error)}") from error
    if preset not in PRESETS:
        raise SettingsError(f"unknown preset '{preset}'{did_you_mean(preset, PRESETS)}")
    if baseline is not None and baseline not in BASELINES:
        raise SettingsError(f"unknown baseline '{baseline}'{did_you_mean(baseline, BASELINES)}")
    merged = {**PRESETS[preset], **(BASELINES[baseline] if baseline else {}), **layers}
    return settings_from_dict({"preset": preset, **merged})


def settings_to_dict(settings: RunSettings) -> dict[str, Any]:
    """Returns the settings as nested dictionaries of JSON types."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(settings)))


def settings_from_dict(data: Mapping[str, Any]) -> RunSettings:
    """Inverse of :func:`settings_to_dict`; also takes dotted keys; missing keys take defaults.

    Raises:
        SettingsError: Unknown key, wrong type, or contradiction.
    """
    return typing.cast(RunSettings, _build(RunSettings, _nest(_flatten(data)), ""))


def setting_fields(cls: type = RunSettings, prefix: str = "") -> dict[str, type]:
    """Returns every dotted setting name with its type, for help texts and error messages."""
    hints = typing.get_type_hints(cls)
    names: dict[str, type] = {}
    for f in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[f.name]):
            names.update(setting_fields(hints[f.name], f"{prefix}{f.name}."))
        else:
            names[prefix + f.name] = hints[f.name]
    return names


def _build(cls: type, data: Mapping[str, Any], prefix: str) -> Any:
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in data.items():
        if key not in hints:
            raise SettingsError(
                f"unknown setting '{prefix}{key}'{did_you_mean(prefix + key, setting_fields())}"
            )
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise SettingsError(f"setting '{prefix}{key}' is a group; set one of its fields")
            values[key] = _build(typing.cast(type, hints[key]), value, f"{prefix}{key}.")
        else:
            values[key] = _coerce(value, hints[key], prefix + key)
    return cls(**values)


def _coerce(value: Any, hint: Any, name: str) -> Any:
    """Checks a value against a field's type; ints pass for floats, lists for tuples."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in arguments:
            # YAML reads a bare off/on as a boolean; these words are values of some switches
            word = {False: "off", True: "on"}.get(value) if isinstance(value, bool) else None
            if word in arguments:
                return word
            hit = did_you_mean(str(value), [str(a) for a in arguments])
            raise SettingsError(f"{name}={value}: not one of {', '.join(map(str, arguments))}{hit}")
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = next(a for a in arguments if a is not type(None))
        return _coerce(value, inner, name)
    if origin is tuple:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if not isinstance(value, list | tuple):
            value = [value]
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise SettingsError(f"{name}={value}: wanted {len(arguments)} values")
        return tuple(_coerce(v, arguments[0], name) for v in value)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML 1.1 reads 1e-4 as text
        except ValueError:
            pass
    elif (hint is bool and isinstance(value, bool)) or (
        hint is int and isinstance(value, int) and not isinstance(value, bool)
    ):
        return value
    elif hint is str and isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"{name}={value!r}: wanted {getattr(hint, '__name__', hint)}")


def _flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise SettingsError(f"unknown setting '{key}': '{part}' has no fields")
        place[last] = value
    return nested


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
