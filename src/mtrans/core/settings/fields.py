"""The settings of a run: dataclasses with a line of prose under each field.

A contradiction between fields fails at once and names the flags.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mtrans.core.errors import SettingsError, did_you_mean
from mtrans.core.settings.ranges import check_ranges

TextRoute = Literal["question", "context", "both"]

ConnectorName = Literal[
    "mqt",
    "video_qformer",
    "vchat",
    "memory_bank",
    "stc",
    "slowfast_pool",
    "mlp_concat",
    "aim",
    "st_adapter",
    "hcrn",
    "fusion_mult",
    "fusion_mag",
]

CacheDtype = Literal["same", "float16", "int8"]


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
        check_ranges("frames", self)
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
    parameters as the full model (those that only frames can move stay as they start)."""

    connector: ConnectorName = "mqt"
    """What makes frames into visual tokens (docs/connectors.md). `mqt` is the method with all its
    switches below; the other designs share `vision`, `fusion` and the two text routes with it."""

    width: int | None = None
    """Inner width of what a connector other than `mqt` trains whole; None is the design's own."""

    queries: int | None = None
    """How many of the Q-Former's learned queries look at each frame, the first ones; None is all.
    The LLM reads a visual token for each, so fewer cost less everywhere behind the ViT."""

    memory: int = 4
    """Frames that connector `memory_bank` remembers; of more, the most similar are merged."""

    budget: int | None = None
    """Trained parameters wanted: the setting that a connector names (lora.rank or model.width) is
    chosen so that their number comes closest; None leaves both alone."""

    mqt: bool = True
    """Reuse the pretrained spatial attention over time (MQT)."""

    temporal_tokens: Literal["queries", "all"] = "queries"
    """Which tokens attend over their own history; paper: queries."""

    temporal_gate: Literal["learned", "none"] = "learned"
    """`learned`: x + g * (Block_t(x) - x), one g a layer; paper: none (g = 1 throughout)."""

    gate_init: float = 0.5
    """Where the learned gate starts: 0 is exactly the image model, 1 exactly the paper's form. In
    between was measured to learn motion soonest (docs/LOG.md)."""

    temporal_position: Literal["relative", "absolute", "none"] = "relative"
    """`relative`: signed bias per head from time differences in seconds inside temporal attention;
    paper: absolute (learned embeddings per frame and per query, added once before layer 1)."""

    position_scale: float = 1.5
    """Standard deviation with which learned positions start; 0.3 for `absolute` in preset paper."""

    position_order: float = 2.5
    """With `relative`: how strongly half of the heads start to prefer earlier frames and the other
    half later ones, in logits; 0 leaves it to chance, and then which frame came first is learned
    late or not at all (docs/LOG.md)."""

    max_frames: int = 64
    """Rows of a learned embedding of frames: of `temporal_position=absolute`, and of the connectors
    that have one (video_qformer, vchat, memory_bank, aim, fusion_*). More frames are an error."""

    patch_mixing: int = 0
    """Channels in which each patch is mixed with its neighbours in picture and time before the
    Q-Former looks at it, so that small motion is seen; training starts next to the image model.
    0 is off (paper); preset `mtrans` has 32."""

    patch_mixing_step: int = 0
    """Frames from a patch to the neighbours in time that it is mixed with. 0 is a quarter of the
    clip's frames, at least 1: the next of many frames shows the same again, and what moves is then
    learned late or not at all (docs/LOG.md)."""

    fusion: Literal["early", "none"] = "early"
    """UniFusion: text takes part in the Q-Former from the first layer; paper: early."""

    qformer_text: TextRoute = "both"
    """Which text the Q-Former reads; paper: context. Where a question has none, the question."""

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

    pool: Literal["mean", "last", "attention", "spread", "moments", "concat"] = "moments"
    """How `(B, T, Q, C)` becomes the LLM's visual tokens: Q tokens, or T*Q for `concat`. `moments`:
    each query weighs the frames by a learned bell over the clip's time; half of the queries start
    at the mean over the clip, half at moments from its start to its end. `spread`: by a learned
    slope; half start at the mean, half near the end. Paper: `mean`."""

    def __post_init__(self) -> None:
        check_ranges("model", self)
        if not self.masks_per_layer or min(self.masks_per_layer) < 1:
            raise SettingsError(
                f"model.masks_per_layer={self.masks_per_layer}: each layer needs >= 1 mask"
            )
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
        known = ("query", "key", "value", "output")
        if not self.targets or len(set(self.targets)) < len(self.targets):
            raise SettingsError(
                f"lora.targets={','.join(self.targets)}: wanted one or more of {', '.join(known)},"
                " each once"
            )
        for target in self.targets:
            if target not in known:
                raise SettingsError(
                    f"lora.targets: unknown '{target}'{did_you_mean(target, known)}"
                )
        check_ranges("lora", self)


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

    order: Literal["random", "length", "clip"] = "random"
    """In which order a pass goes over the samples. `length`: texts of similar length in one batch,
    batches in random order. `clip`: clips in random order, a clip's questions in a row; without
    the feature cache the ViT then runs once per clip and batch."""

    learning_rate: float = 2e-3
    """Peak learning rate. 4e-3 was measured to be too noisy for `tiny` on physics."""

    weight_decay: float = 0.05
    """AdamW's decoupled decay."""

    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's moment decay."""

    schedule: Literal["cosine", "linear", "constant", "trapezoid"] = "trapezoid"
    """Shape of the learning rate after warm-up; `trapezoid` is constant and falls to zero over the
    last quarter, so that what is learned late still has a rate to be learned with."""

    warmup: float = 0.05
    """Share of all steps with a linearly rising learning rate."""

    clip_norm: float = 1.0
    """Gradient norm is clipped to this."""

    label_smoothing: float = 0.0
    """Share of an answer token's target that is spread over the vocabulary, against
    overconfidence; 0 is plain cross-entropy."""

    focal_gamma: float = 0.0
    """Weigh an answer token's loss by (1 - p) ** focal_gamma, p the right token's probability,
    so that what is already known counts less; 0 is plain cross-entropy."""

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
    """Arithmetic of the training step; auto is bf16 autocast where the device is fast at it: GPUs,
    and processors with AVX-512 BF16 or AMX."""

    skip_bad: bool = False
    """Leave out clips that can't be read, counting and listing them, instead of stopping."""

    use_cache: bool = True
    """Compute frozen ViT features once and read them from the feature cache."""

    gradient_checkpointing: bool = False
    """Trade time for memory in the frozen LLM's backward pass."""

    compile: bool = False
    """Let torch.compile build the training step's layers (needs a C++ compiler on a CPU); pays
    off in long runs only (`mtrans bench limit --compile`)."""

    workers: int = 0
    """Background processes that decode or read features."""

    def __post_init__(self) -> None:
        check_ranges("train", self)


@dataclass(frozen=True)
class PromptSettings:
    """How a sample becomes text."""

    template: str = "auto"
    """Name of a prompt template; `auto` is the backbone's own."""

    list_choices: bool = False
    """Name the candidates in the prompt."""

    max_text_tokens: int = 128
    """Longest Q-Former text; older context is cut first."""

    def __post_init__(self) -> None:
        check_ranges("prompt", self)


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
    """How the frozen weights are kept: `fp32`, `bf16`, `fp16`, or `mixed`: matrices in bf16, the
    rest in fp32, computed under bf16 autocast where the device is fast at it (else fp32). `auto` is
    bf16 on a GPU, mixed elsewhere, fp32 where train.precision=fp32."""

    quantize: Literal["none", "8bit", "4bit"] = "none"
    """Keep the frozen LLM's linear layers in 8 or 4 bit; needs the extra `quant`."""

    offload: Literal["none", "llm"] = "none"
    """`llm` keeps the frozen LLM in the machine's memory and brings each layer to the device when
    it is used: slow, and for an LLM that does not fit. Training so needs
    train.gradient_checkpointing."""

    cache_dir: str | None = None
    """Folder of the feature cache; None is `mtrans` below the user's cache folder."""

    cache_dtype: CacheDtype = "same"
    """How the cache keeps features: `same` as the ViT gives them, in 2 bytes a number where the
    model computes in bf16; float16; `int8`, 8 bit with a scale for every token. Each has its own
    entries in the cache."""

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
