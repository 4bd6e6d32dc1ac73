"""What is known of the connectors and the other contenders: rows for a table, the page in docs/.

python -m mtrans.app.connectors > docs/connectors.md
"""

from __future__ import annotations

from mtrans.core.markdown import table
from mtrans.core.settings import BASELINES, load_settings

HEADS = ("contender", "idea", "from", "tokens", "trained")

SWITCHES = {
    "text": ("no frames at all: the control", "every study needs it"),
    "single": ("the middle frame alone", "every study needs it"),
    "mean": ("the Q-Former frame by frame, the mean of its queries", "image LMMs on video"),
    "last": ("the Q-Former frame by frame, the last frame's queries", "control"),
    "concat": (
        "the Q-Former frame by frame, all frames' queries",
        "transformers' InstructBlipVideo",
    ),
}
"""Contenders that are switches of `mqt`: idea and source."""

HEAD = """\
# Connectors

Written by `python -m mtrans.app.connectors > docs/connectors.md`; a test holds it equal to the
program. `mtrans study contenders` prints the table for any backbone and number of frames.

A connector makes the frames of a clip into the visual tokens that the frozen LLM reads. All stand
on the same frozen image model, read the same question, and go through one training loop, one
scoring and one evaluation, so that only the temporal design differs:

```
mtrans adapt --data train.jsonl --out runs/a --set model.connector=video_qformer
mtrans study run plan.yaml --out runs/study  # contenders: {mqt: , concat: , video_qformer: }
```

Each is written anew from its publication; its file in `src/mtrans/models/connectors/` says what
was taken and what is ours. Two choices are common to all. Where a published design trains its
whole Q-Former, we train LoRA pairs on it. Where it can start as the image model (its new parts
begin at zero), it does: the originals had millions of clips to learn a start from, a few hundred
have to do here. `stc`, `slowfast_pool` and `mlp_concat` have no use for the Q-Former and its
projection and start from nothing, as published.

Tokens are for {frames} frames, trained parameters for backbone `tiny` under preset `mtrans`.
"""

TAIL = """\

- **trained by**: `lora` LoRA pairs on the Q-Former (`lora.*`); `whole` new modules, of inner width
  `model.width` where the design has one.
- `hcrn`, `fusion_mult` and `fusion_mag` are older than LLMs that see: a classifier over the answers
  and candidates of the training data answers, the LLM only lends its word embeddings (so it sees no
  visual tokens). The list of answers is kept with the adapter; a candidate that is not in it gets
  log-probability -20. Counted with two classes. A further floor, a linear SVM on the words alone,
  is `floors: [svm-text]` of a plan, a row of its tables (outside a study `python -m
  mtrans.study.svm_text train.jsonl test.jsonl predictions.jsonl`).
- `aim` and `st_adapter` work inside the ViT: its features can't be cached, a step costs many times
  as much, and the run says so.
- `memory_bank` remembers `model.memory` frames (4); it differs from a plain look back only where a
  clip has more.
- `vision`, `fusion`, `queries` and the text routes act on all that ask the Q-Former; `width`,
  `memory`, `max_frames` and `budget` where this page names them or a position needs them; the other
  switches of `model.*` on `mqt` alone, and say nothing elsewhere.
- Not all that is trained can learn: of `text` about half has no frame to learn from, of `single` a
  third nothing to compare in time. With up to four frames `hcrn` has one clip, so its second level
  has nothing to relate.

## Equal numbers of trained parameters

The designs train from thirty thousand to half a million parameters on `tiny`. `model.budget=150000`
turns the dial of each (`lora.rank`, or `model.width`) until its number comes closest; the run's
settings hold what was chosen, `run.json` and every study's table the number itself. In a plan:
`set: {model.budget: 150000}`, or `vary: {model.budget: [50000, 150000, 500000]}` for curves.

The nearest is not always near, and a run says so where it is off by more than a twentieth: width
goes in steps of eight where attention needs whole heads (whose number changes with it), a
classifier grows with the answers of the training data, and some parts no dial reaches. On
InstructBLIP with Vicuna 7B `stc` trains 17 million at least (a layer between the LLM's widths),
`mqt` 0.8. LoRA is scaled by `lora.alpha` / `lora.rank` with alpha as it is, as its authors do: a
larger rank also means smaller steps for each pair.

## Other systems

What another system answers to a study's test questions is a row of the same tables, with the same
intervals and paired differences. Its answers go where the study looks for them:

```
mtrans import-predictions LOG.jsonl --samples STUDY/data/talk/test.jsonl --out STUDY/outside/talk/x
mtrans study show STUDY
mtrans compare STUDY/talk/mtrans/rate-0.002-seed-0 STUDY/outside/talk/x
```

`mtrans eval hf:MODEL --data STUDY/data/talk/test.jsonl --out STUDY/outside/talk/NAME` (or `--model
hf:MODEL`) does it for models that transformers loads. `mtrans results` puts such a folder beside
published rows.

## A new one

A file with a subclass of `Connector` (`models/connectors/base.py` is the contract), a line in
`models/connectors/__init__.py`, its name in `ConnectorName` (`core/settings/fields.py`).
`tests/models/connectors/test_contract.py` finds it: gradients reach exactly what it trains,
padding changes nothing, a saved adapter gives the same logits elsewhere, the tokens are as many as
it says, eight clips can be learnt.
"""


def rows(backbone: str = "tiny", frames: int = 4) -> list[tuple[str, ...]]:
    """Returns name, idea, source, visual tokens and trained parameters of every contender.

    Args:
        backbone: What they are counted on; only its config is read.
        frames: Frames of a clip.

    Raises:
        CheckpointError: No such backbone.
    """
    from mtrans.models.budget import count_trained, without_weights
    from mtrans.models.connectors import CONNECTORS
    from mtrans.models.loading import read_config

    config = read_config(backbone)
    made: list[tuple[str, ...]] = []
    for name in BASELINES:
        settings = load_settings(baseline=name)
        seen = min(frames, settings.frames.count) if name == "single" else frames
        idea, source = SWITCHES.get(name) or (
            CONNECTORS.get(name).about,
            CONNECTORS.get(name).source,
        )
        tokens = without_weights(config, settings.model).visual_tokens(seen)
        trained = count_trained(config, settings.model, settings.lora)
        made.append((name, idea, source, str(tokens), f"{trained:,}"))
    return made


def page(frames: int = 4) -> str:
    """Returns docs/connectors.md."""
    from mtrans.models.connectors import CONNECTORS

    heads = [*HEADS, "trained by"]
    made = []
    for row in rows(frames=frames):
        if row[0] in CONNECTORS:
            by = "lora, whole" if CONNECTORS.get(row[0]).has_lora else "whole"
        else:
            by = "lora, whole" if load_settings(baseline=row[0]).model.mqt else "lora"
        made.append([f"`{row[0]}`", *row[1:], by])
    return "\n".join([HEAD.replace("{frames}", str(frames)), *table(heads, made), TAIL])


if __name__ == "__main__":
    print(page(), end="")
