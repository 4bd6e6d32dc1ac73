"""Connectors: what makes a clip's frames into the visual tokens that the LLM reads.

    frames -> frozen ViT -> patches -> [connector: Q-Former, what it trains] -> tokens -> LLM

One file each, behind the contract in :mod:`mtrans.models.connectors.base`; `model.connector` names
one. Listing them imports nothing heavy. A new one is a file, a line here and its name in the type
of `ModelSettings.connector`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtrans.core.registry import Registry

if TYPE_CHECKING:
    from mtrans.models.connectors.base import Connector

CONNECTORS: Registry[type[Connector]] = Registry("connector")

_HERE = "mtrans.models.connectors"

CONNECTORS.add("mqt", "mtrans.models.st_qformer:SpatialTemporalQFormer")
CONNECTORS.add("video_qformer", f"{_HERE}.video_qformer:VideoQFormer")
CONNECTORS.add("vchat", f"{_HERE}.vchat:VideoChat")
CONNECTORS.add("memory_bank", f"{_HERE}.memory_bank:MemoryBank")
CONNECTORS.add("stc", f"{_HERE}.stc:SpatialTemporalConvolution")
CONNECTORS.add("slowfast_pool", f"{_HERE}.slowfast_pool:SlowFastPool")
CONNECTORS.add("mlp_concat", f"{_HERE}.mlp_concat:PatchMlp")
CONNECTORS.add("aim", f"{_HERE}.aim:Aim")
CONNECTORS.add("st_adapter", f"{_HERE}.st_adapter:SpatialTemporalAdapter")
CONNECTORS.add("hcrn", f"{_HERE}.hcrn:Hcrn")
CONNECTORS.add("fusion_mult", f"{_HERE}.fusion_mult:FusionMult")
CONNECTORS.add("fusion_mag", f"{_HERE}.fusion_mag:FusionMag")
