"""Where a run's frames come from: the feature cache, filled first, or the files themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from einops import rearrange

from mtrans.core import screen
from mtrans.core.errors import VideoError
from mtrans.core.records import Sample
from mtrans.core.settings import RunSettings
from mtrans.data.cache import FeatureCache
from mtrans.data.clips import BadClip, Source, find_bad, without_bad
from mtrans.data.collate import Collator
from mtrans.data.dataset import VideoSource
from mtrans.models.loading import Backbone
from mtrans.train.together import ALONE, Team
from mtrans.video.preprocess import PreprocessSettings


def preprocess_settings(backbone: Backbone) -> PreprocessSettings:
    """Returns how a backbone wants its pixels."""
    image = backbone.image
    return PreprocessSettings(
        height=image.height,
        width=image.width,
        mean=image.mean,
        std=image.std,
        rescale=image.rescale,
        resample=image.resample,
    )


def video_source(backbone: Backbone, settings: RunSettings) -> VideoSource:
    """Returns the source that decodes files as they are asked for."""
    return VideoSource(settings.frames, preprocess_settings(backbone))


def feature_cache(backbone: Backbone, settings: RunSettings) -> FeatureCache:
    """Returns the cache of a backbone's features under the run's sampling; not filled."""
    vision = backbone.base.vision_model.embeddings
    return FeatureCache(
        settings.cache_dir,
        frames=settings.frames,
        preprocess=preprocess_settings(backbone),
        backbone=backbone.identity,
        dtype=settings.cache_dtype,
        feature_shape=(int(vision.num_positions), int(vision.embed_dim)),
    )


class Encoder:
    """The frozen ViT as the cache calls it.

    Args:
        backbone: The backbone.
        device: Where it is.
    """

    def __init__(self, backbone: Backbone, device: torch.device):
        self.model = backbone.base
        self.device = device

    def __call__(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Encodes frames.

        Args:
            pixels: float32[n, 3, H, W].

        Returns:
            float32[n, P, Cv].
        """
        frames = rearrange(torch.from_numpy(pixels).to(self.device), "n c h w -> 1 n c h w")
        features = self.model.encode_frames(frames)
        return np.asarray(rearrange(features, "1 n p c -> n p c").float().cpu().numpy())


def open_source(
    backbone: Backbone,
    settings: RunSettings,
    samples: Sequence[Sample],
    *,
    device: torch.device,
    progress: bool,
    team: Team = ALONE,
) -> tuple[Source, list[BadClip]]:
    """Opens the run's source of frames and finds the clips that it can't give.

    Args:
        backbone: The backbone.
        settings: The run's settings.
        samples: All samples of the run.
        device: Where the backbone is.
        progress: Show progress.
        team: The processes that read the clips together, each its share.

    Returns:
        The source, filled where it is the cache; and with `train.skip_bad` the bad clips.

    Raises:
        VideoError: A clip can't be read, and `train.skip_bad` is off.
    """
    seen = list(samples) if settings.model.vision else []  # the text-only control reads no video
    if settings.train.use_cache and not backbone.base.needs_pixels:
        cache = feature_cache(backbone, settings)
        encode = Encoder(backbone, device)
        with screen.progress("reading clips", progress) as step:
            reports = team.together(
                lambda: cache.fill(
                    team.by_clip(seen), encode, step, skip_bad=settings.train.skip_bad
                )
            )
        return cache, [clip for report in reports for clip in report.bad]
    source = video_source(backbone, settings)
    if not settings.train.skip_bad:
        return source, []
    with screen.progress("checking clips", progress) as step:
        found = team.together(lambda: find_bad(team.by_clip(seen), source, step))
    return source, [clip for bad in found for clip in bad]


def usable(samples: Sequence[Sample], bad: Sequence[BadClip], split: str) -> list[Sample]:
    """Returns the samples whose clips can be read.

    Raises:
        VideoError: None is left.
    """
    left = without_bad(samples, bad)
    if samples and not left:
        raise VideoError(
            f"no clip of the {split} data can be read ({len(bad)} bad ones), the first:"
            f" {bad[0].reason}"
        )
    return left


def make_collator(backbone: Backbone, settings: RunSettings, *, share: bool = False) -> Collator:
    """Returns the batch maker of a backbone under the run's settings; `share` as `Collator`'s."""
    return Collator(
        backbone.tokenizer,
        backbone.qformer_tokenizer,
        settings,
        backbone.base.config.image_token_id,
        backbone.base.visual_tokens,
        backbone.prompt_style,
        encoder_decoder=not backbone.base.config.use_decoder_only_language_model,
        share=share,
    )


def one_line(error: VideoError) -> VideoError:
    """Returns an error of a data loader's worker as its own one line, without the traceback."""
    lines = str(error).strip().splitlines()
    return VideoError(lines[-1].rpartition("VideoError: ")[2] if lines else "")
