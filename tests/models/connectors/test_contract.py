"""What every connector must do; the registry is walked, so a new one is tested by itself."""

from __future__ import annotations

import typing

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_image_model, tiny_video_model
from mtrans.core.errors import SettingsError
from mtrans.core.settings import BASELINES, PRESETS, LoraSettings, ModelSettings, load_settings
from mtrans.core.settings.fields import ConnectorName
from mtrans.models.answering import LossForm
from mtrans.models.connectors import CONNECTORS
from mtrans.models.connectors.base import Connector
from mtrans.models.inputs import ModelInputs
from mtrans.models.lora import attach_adapter, load_adapter, save_adapter
from mtrans.models.trained import TrainedWhole
from mtrans.models.video_lmm import VideoInstructBlip

NAMES = list(CONNECTORS)
EVERY = pytest.mark.parametrize("name", NAMES)
FAMILIES = pytest.mark.parametrize("family", ["instructblip", "blip-2"])
LORA = LoraSettings(rank=4, targets=("query", "key", "value", "output"))


def settings(name: str, **more) -> ModelSettings:
    return ModelSettings(connector=name, memory=2, **more)


def wake(module, scale=0.3):
    """Moves what is trained off its start, so that nothing holds by a zero."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn_like(parameter))
    return module


ANSWERS = [[10], [11], [12], [13], [10, 11], [12, 13]]
"""What designs with a classifier know."""


def knowing(model):
    """The model, with its answers where the connector needs them."""
    if model.answers_itself:
        model.set_answers(ANSWERS)
    return model


def built(name: str, switches=None, **more):
    return knowing(tiny_video_model(switches or settings(name), **more))


def adapted(name: str, **more):
    return wake(attach_adapter(built(name, **more), LORA)).eval()


def labelled(model, **shape):
    """A batch whose answers are known ones."""
    batch = tiny_batch(model, answer=2, **shape)
    batch["input_ids"][:, -2:] = torch.tensor([[10, 11], [12, 13]])
    batch["labels"][:, -2:] = batch["input_ids"][:, -2:]
    return batch


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def exactly(name: str, **shape):
    """Model and batch in float64: whatever differs is no rounding."""
    model = adapted(name).double()
    batch = tiny_batch(model, **shape)
    return model, {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}


def equal(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_the_setting_knows_the_registry():
    assert list(typing.get_args(ConnectorName)) == NAMES
    with pytest.raises(SettingsError, match=r"model.memory=0: at least 1"):
        ModelSettings(memory=0)


@EVERY
def test_it_says_what_it_is(name):
    connector = CONNECTORS.get(name)
    assert issubclass(connector, Connector)
    assert connector.about
    assert any(year in connector.source for year in map(str, range(2017, 2026)))
    assert connector.has_lora == (connector.dial == "lora.rank")


@EVERY
@FAMILIES
@torch.no_grad()
def test_visual_tokens_are_as_many_as_it_says(name, family):
    model = built(name, family=family)
    for frames in (1, 2, 5):
        if model.answers_itself:
            assert model.visual_tokens(frames) == 0
            assert model(**tiny_batch(model, frames=frames)).logits.shape == (2, len(ANSWERS))
            continue
        pixels = torch.randn(2, frames, 3, 16, 16)
        tokens, _ = model.encode_video(ModelInputs(pixel_values=pixels))
        assert tokens.shape == (2, model.visual_tokens(frames), 32)


ALIKE = (".layers.0.temporal_position.", ".layers.0.temporal.query.", ".layers.0.temporal.key.")
"""Before the first cross-attention all frames of a clip are the same to `mqt`: no order to learn,
and nothing to choose between."""


@EVERY
@FAMILIES
def test_gradients_reach_exactly_what_it_trains(name, family):
    model = adapted(name, family=family).train()
    frames = 12 if name == "hcrn" else 4  # three clips of four for relations of clips
    model(**labelled(model, frames=frames)).loss.backward()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained
    whole = {n for n in trained if ".modules_to_save." in n}
    pairs = {n for n in trained if "lora_" in n}
    assert trained == whole | pairs
    assert bool(pairs) == CONNECTORS.get(name).has_lora
    dead = [n for n, p in model.named_parameters() if n in trained and not _alive(p)]
    assert not [n for n in dead if name != "mqt" or not any(part in n for part in ALIKE)]
    assert all(p.grad is None for n, p in model.named_parameters() if n not in trained)
    parts = [m for n, m in model.named_modules() if isinstance(m, TrainedWhole)]
    assert name == "mqt" or parts


def _alive(parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)


@EVERY
@torch.no_grad()
def test_padded_frames_change_nothing(name):
    model, batch = exactly(name, frames=3)
    plain = model(**batch).logits
    _, padded = exactly(name, frames=6)
    text = batch["input_ids"][:, model.visual_tokens(3) :]
    padded["input_ids"] = torch.cat([padded["input_ids"][:, : model.visual_tokens(6)], text], dim=1)
    padded["attention_mask"] = torch.ones_like(padded["input_ids"])
    padded["attention_mask"][:, model.visual_tokens(3) : model.visual_tokens(6)] = 0
    padded["qformer_input_ids"] = batch["qformer_input_ids"]
    padded["pixel_values"][:, :3] = batch["pixel_values"]
    padded["frame_times"][:, :3] = batch["frame_times"]
    padded["frame_mask"][:, 3:] = False
    n = text.shape[1]
    equal(model(**padded).logits[:, -n:], plain[:, -n:])
    del padded["attention_mask"]  # the connector says by itself which tokens are padding
    equal(model(**padded).logits[:, -n:], plain[:, -n:])
    padded["frame_mask"][:] = True
    assert not torch.allclose(model(**padded).logits[:, -1], plain[:, -1], atol=1e-4)


@EVERY
@torch.no_grad()
def test_a_batch_is_its_samples(name):
    model, batch = exactly(name, batch=3, frames=4)
    batch["qformer_attention_mask"][0, -2:] = 0
    batch["frame_mask"][2, -1] = False
    together = model(**batch).logits
    for i in range(3):
        alone = model(**{k: v[i : i + 1] for k, v in batch.items()}).logits
        equal(alone[0, -6:], together[i, -6:])


@EVERY
@torch.no_grad()
def test_order_of_frames_matters(name):
    model = adapted(name)
    batch = tiny_batch(model, frames=4)
    plain = model(**batch).logits
    batch["pixel_values"] = batch["pixel_values"].flip(1)
    assert (model(**batch).logits[:, -6:] - plain[:, -6:]).abs().max() > 1e-4


@EVERY
@torch.no_grad()
def test_without_vision_pixels_do_not_matter(name):
    model = built(name, settings(name, vision=False))
    batch = tiny_batch(model)
    other = {**batch, "pixel_values": torch.randn_like(batch["pixel_values"])}
    assert torch.equal(model(**other).logits, model(**batch).logits)


@EVERY
@torch.no_grad()
def test_cached_features_equal_live_frames_or_are_refused(name):
    model = adapted(name)
    batch = tiny_batch(model, frames=2)
    live = model(**batch).logits
    base = model.get_base_model()
    batch["patch_features"] = base.encode_frames(batch.pop("pixel_values"))
    if CONNECTORS.get(name).needs_pixels:
        with pytest.raises(SettingsError, match=r"train.use_cache=false"):
            model(**batch)
    else:
        close(model(**batch).logits, live)


@EVERY
def test_a_saved_adapter_gives_the_same_logits_elsewhere(name, tmp_path):
    tiny_image_model().save_pretrained(tmp_path / "base")
    model = VideoInstructBlip.from_pretrained(tmp_path / "base", settings=settings(name))
    model = wake(attach_adapter(knowing(model), LORA)).eval()
    save_adapter(model, tmp_path / "a", lora=LORA, backbone="x", weights="y")
    torch.manual_seed(99)
    fresh = VideoInstructBlip.from_pretrained(tmp_path / "base", settings=settings(name))
    again = load_adapter(fresh, tmp_path / "a").eval()
    batch = tiny_batch(model, frames=3)
    with torch.no_grad():
        there, here = again(**batch).logits, model(**batch).logits
        torch.testing.assert_close(there, here, rtol=0, atol=1e-5)  # memory layouts differ
        plain = VideoInstructBlip.from_pretrained(tmp_path / "base", settings=settings(name))
        assert not torch.allclose(knowing(plain).eval()(**batch).logits, here)


@EVERY
def test_bf16_backbone_and_autocast(name, tmp_path):
    tiny_image_model().save_pretrained(tmp_path)
    model = VideoInstructBlip.from_pretrained(
        tmp_path, settings=settings(name), dtype=torch.bfloat16
    )
    model = attach_adapter(knowing(model), LORA).train()
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {torch.float32}
    batch = labelled(model, frames=3)
    assert model(**batch).loss.isfinite()
    with torch.autocast("cpu", torch.bfloat16):
        model(**batch).loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


@EVERY
def test_resetting_starts_again_from_the_seed(name):
    """What the training loop does before a run: the start depends on the seed alone."""
    model = built(name)
    starts = []
    for _ in range(2):
        wake(model)
        torch.manual_seed(3)
        for module in model.modules():
            if isinstance(module, TrainedWhole):
                module.reset_parameters()
        starts.append({n: p.clone() for n, p in model.connecting.named_parameters()})
    first, second = starts
    assert all(torch.equal(first[n], second[n]) for n in first)


ZERO_START = ("video_qformer", "aim", "st_adapter")


@pytest.mark.parametrize("name", ZERO_START)
@torch.no_grad()
def test_these_start_as_the_mean_of_the_image_model(name):
    model = tiny_video_model(settings(name))
    if name == "aim":  # attention over time is new, but its adapter is still at zero
        assert all(not a.up.weight.any() for a in model.connecting.temporal)
    plain = tiny_video_model(ModelSettings(mqt=False, routing="off", pool="mean"))
    batch = tiny_batch(model, frames=3)
    close(model(**batch).logits, plain(**batch).logits)


@torch.no_grad()
@EVERY
def test_parts_start_as_they_are_made_when_the_rest_is_loaded(name, tmp_path):
    settings = ModelSettings(connector=name, routing="off", patch_mixing=4)
    made = tiny_video_model(settings)
    tiny_image_model().save_pretrained(tmp_path)
    loaded = type(made).from_pretrained(tmp_path, settings=settings)
    found, wanted = (
        {
            f"{place}.{key}": value
            for place, part in model.connecting.named_modules()
            if isinstance(part, TrainedWhole)
            for key, value in part.named_parameters()
        }
        for model in (loaded, made)
    )
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if value.numel() > 64:
            # drawn anew: the same spread, and zero where it starts at zero
            spread = float(value.detach().std())
            assert float(found[key].detach().std()) == pytest.approx(spread, rel=0.4), key
        if not value.any():
            assert not found[key].any(), key


def test_a_loaded_part_is_left_alone(tmp_path):
    settings = ModelSettings(connector="vchat", routing="off")
    model = tiny_video_model(settings)
    for parameter in model.connecting.parameters():
        torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    for (name, found), wanted in zip(
        again.connecting.named_parameters(), model.connecting.parameters(), strict=True
    ):
        assert torch.equal(found, wanted), name


def test_a_memory_as_long_as_the_clip_merges_nothing_and_a_shorter_one_keeps_its_size():
    from mtrans.models.connectors.memory_bank import Memory

    frames = torch.randn(5, 2, 3, 4)
    whole, short = Memory(5), Memory(2)
    for frame in frames:
        whole.add(frame)
        short.add(frame)
    assert torch.equal(torch.stack(whole.tokens), frames)
    assert len(short.tokens) == 2
    counts = torch.stack(short.counts)
    assert torch.equal(counts.sum(dim=0), torch.full((2, 3, 1), 5.0))
    mean = (torch.stack(short.tokens) * counts).sum(dim=0) / 5
    close(mean, frames.mean(dim=0))  # averages weighted by counts lose nothing in sum


@torch.no_grad()
def test_the_most_alike_neighbours_merge():
    from mtrans.models.connectors.memory_bank import Memory

    memory = Memory(2)
    one, two = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
    for frame in (one, two, 3 * two):
        memory.add(frame)
    close(memory.tokens[0], one)
    close(memory.tokens[1], 2 * two)


def test_more_frames_than_positions_are_an_error():
    model = tiny_video_model(settings("video_qformer", max_frames=2))
    with pytest.raises(SettingsError, match=r"model.max_frames"):
        model(**tiny_batch(model, frames=3))
    with pytest.raises(SettingsError, match=r"model.width=12: wanted a multiple of 8"):
        tiny_video_model(settings("video_qformer", width=12))


def share_learnt(model, frames: int = 3) -> float:
    """Trains on eight clips until all are right, at most 60 steps; the share of right answers."""
    base = model.get_base_model()
    batch = tiny_batch(model, batch=8, frames=frames, answer=1)
    # the same question for all: only the clips tell the answers apart
    for key in ("qformer_input_ids", "input_ids"):
        batch[key][:] = batch[key][:1]
    answers = torch.arange(8) % 4 + 10
    batch["input_ids"][:, -1] = answers
    batch["labels"][:, -1] = answers
    if not base.needs_pixels:
        batch["patch_features"] = base.encode_frames(batch.pop("pixel_values"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    right = 0.0
    for _ in range(60):
        model.train()(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        model.eval()
        prompts = {k: v for k, v in batch.items() if k != "labels"}
        prompts["input_ids"] = batch["input_ids"][:, :-1]
        prompts["attention_mask"] = batch["attention_mask"][:, :-1]
        choices = [[[10], [11], [12], [13]]] * 8
        scores = torch.stack(base.score_choices(choices, **prompts))
        right = float((scores.argmax(dim=1) + 10 == answers).float().mean())
        if right == 1:
            break
    return right


@EVERY
def test_eight_clips_are_learnt_by_heart(name):
    torch.manual_seed(0)
    assert share_learnt(attach_adapter(built(name), LORA)) == 1


SWITCHES = [name for name in BASELINES if name not in NAMES]

TEMPORAL = (".temporal.", ".temporal_position.", ".temporal_router.")
UNMOVED = {
    "text": (*TEMPORAL, ".crossattention.", ".cross."),
    "single": TEMPORAL,
}
"""Of what a control trains, the parts that may have nothing to learn from."""


@pytest.mark.parametrize("name", [*SWITCHES, *PRESETS])
def test_contenders_that_are_switches_keep_the_contract(name, tmp_path):
    named = {"preset": name} if name in PRESETS else {"baseline": name}
    switches = load_settings(**named).model
    frames = 1 if name == "single" else 3
    tiny_image_model().save_pretrained(tmp_path / "base")

    def fresh():
        return VideoInstructBlip.from_pretrained(tmp_path / "base", settings=switches)

    torch.manual_seed(0)
    model = attach_adapter(fresh(), LORA)
    batch = labelled(model, frames=frames)
    wake(model, scale=0.1).train()(**batch).loss.backward()
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert all(".modules_to_save." in n or "lora_" in n for n in trained)
    dead = {n for n, p in trained.items() if not _alive(p)}
    stray = {n for n in dead if not any(part in n for part in (*UNMOVED.get(name, ()), *ALIKE))}
    assert not stray
    assert dead or name not in UNMOVED
    model = attach_adapter(fresh(), LORA)
    learnt = share_learnt(model, frames)
    if name == "text":  # the control: no clip, and the same question for all
        assert learnt < 1
    else:
        assert learnt == 1
    save_adapter(model.eval(), tmp_path / "a", lora=LORA, backbone="x", weights="y")
    again = load_adapter(fresh(), tmp_path / "a").eval()
    with torch.no_grad():
        there, here = again(**batch).logits, model(**batch).logits
    torch.testing.assert_close(there, here, rtol=0, atol=1e-5)


HEADS = [name for name in NAMES if CONNECTORS.get(name).answers_itself]


@pytest.mark.parametrize("name", HEADS)
def test_a_classifier_is_trained_with_the_loss_a_run_wants(name):
    model = knowing(tiny_video_model(settings(name)))
    batch = labelled(model, frames=4)
    scores = model(**batch).logits  # of the prompt: labels say where the answer starts
    right = torch.tensor([ANSWERS.index(a.tolist()) for a in batch["labels"][:, -2:]])
    plain = model.train()(**batch).loss * 4  # two answers of two tokens
    close(plain, torch.nn.functional.cross_entropy(scores, right, reduction="sum"))
    model.loss_form = LossForm(label_smoothing=0.3)
    smooth = {"reduction": "sum", "label_smoothing": 0.3}
    close(model(**batch).loss * 4, torch.nn.functional.cross_entropy(scores, right, **smooth))
    model.loss_form = LossForm(focal_gamma=2.0)
    p = scores.gather(1, right[:, None]).exp()
    close(model(**batch).loss * 4, (-p.log() * (1 - p) ** 2).sum())
    close(model.eval()(**batch).loss * 4, plain)


@pytest.mark.parametrize("llm", ["llama", "t5"])
@pytest.mark.parametrize("name", HEADS)
@torch.no_grad()
def test_designs_with_a_classifier_answer_with_what_they_know(name, llm):
    family = "instructblip" if llm == "llama" else "blip-2"
    model = built(name, family=family, llm=llm)
    batch = tiny_batch(model, frames=3)
    scores = model(**batch).logits
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(2))
    first, unknown = model.score_choices([[[11], [12, 13]], [[50], [10]]], **batch)
    assert torch.equal(first, scores[0, [1, 5]])
    assert unknown[0] == -20.0
    before = batch["input_ids"].shape[1] if llm == "llama" else 1
    written = model.generate(**batch, max_new_tokens=3, pad_token_id=0)[:, before:]
    for row, best in zip(written.tolist(), scores.argmax(dim=1).tolist(), strict=True):
        assert [i for i in row if i] == ANSWERS[best]
    # padding before the prompt, as for generation, changes nothing
    padded = {k: torch.nn.functional.pad(batch[k], (3, 0)) for k in ("input_ids", "attention_mask")}
    close(model(**{**batch, **padded}).logits, scores)


@pytest.mark.parametrize("name", HEADS)
def test_the_answer_behind_the_prompt_is_not_read(name):
    model = built(name)
    batch = labelled(model, frames=3)
    plain = model(**batch).logits
    batch["input_ids"][:, -2:] = 50
    close(model(**batch).logits, plain)
    with pytest.raises(SettingsError, match=r"knows no answers yet"):
        tiny_video_model(settings(name))(**batch)
