"""Several questions about one clip: its frames are in the batch once, the ViT sees them once."""

from __future__ import annotations

import pytest
import torch

from models.tiny_random import tiny_batch, tiny_video_model
from mtrans.core.settings import LoraSettings, ModelSettings
from mtrans.models.lora import attach_adapter

FRAMES = ("pixel_values", "patch_features", "frame_times", "frame_mask")


def shared_and_whole(model, name):
    """A batch of four questions about two clips, and the same with each question's own frames."""
    whole = tiny_batch(model, batch=4, frames=3, answer=2)
    if name == "patch_features":
        whole[name] = model.encode_frames(whole.pop("pixel_values"))
    rows = torch.tensor([0, 1, 1, 0])
    few = {k: v[:2] if k in FRAMES else v for k, v in whole.items()}
    whole = {k: v[rows] if k in FRAMES else v for k, v in whole.items()}
    return few | {"clip_rows": rows}, whole


@pytest.mark.parametrize("name", ["pixel_values", "patch_features"])
def test_shared_frames_change_nothing(name):
    model = tiny_video_model(ModelSettings(routing="both")).eval()
    few, whole = shared_and_whole(model, name)
    seen = []
    hook = model.vision_model.register_forward_hook(
        lambda module, args, kwargs, out: seen.append(len(kwargs["pixel_values"])), with_kwargs=True
    )
    with torch.no_grad():
        torch.testing.assert_close(model(**few).loss, model(**whole).loss)
    hook.remove()
    assert seen == ([6, 12] if name == "pixel_values" else [])


@pytest.mark.parametrize("connector", ["aim", "st_adapter"])
def test_a_design_inside_the_vit_runs_it_once_a_clip(connector):
    model = tiny_video_model(ModelSettings(connector=connector)).eval()
    few, whole = shared_and_whole(model, "pixel_values")
    few["frame_mask"][0, -1] = False
    whole["frame_mask"][[0, 3], -1] = False
    seen = []
    hook = model.vision_model.embeddings.register_forward_hook(
        lambda module, args, out: seen.append(len(out))
    )
    with torch.no_grad():
        torch.testing.assert_close(model(**few).loss, model(**whole).loss)
    hook.remove()
    assert seen[0] == 6
    assert seen[-1] == 12


def saved_bytes(model, batch):
    """Memory that the forward pass keeps for the backward pass, each storage once."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**batch).loss
    loss.backward()
    return sum(kept.values())


def test_a_step_keeps_nothing_of_the_vit_and_no_logits_of_the_prompt():
    model = attach_adapter(tiny_video_model(ModelSettings()), LoraSettings()).train()
    base = model.get_base_model()
    pixels = tiny_batch(base, batch=4, frames=3, answer=2)
    features = {k: v for k, v in pixels.items() if k != "pixel_values"}
    features["patch_features"] = base.encode_frames(pixels["pixel_values"])
    assert saved_bytes(model, pixels) <= saved_bytes(model, features)
    heads = []
    hook = base.get_output_embeddings().register_forward_hook(
        lambda module, args, out: heads.append(len(args[0]))
    )
    model(**features)
    hook.remove()
    assert heads == [int((features["labels"] != -100).sum())]
    assert not any(p.grad is not None for p in model.parameters() if not p.requires_grad)
