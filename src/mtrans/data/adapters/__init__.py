"""One short file for each named data set; what they share is in `shared/`.

Every module of this folder is a data set and ends with ``ADAPTER = ...``; nothing has to be
registered elsewhere. Listing the names imports none of them. Needs no torch.
"""

from __future__ import annotations

import pkgutil

from mtrans.core.registry import Registry
from mtrans.data.adapters.shared.base import Adapter

ADAPTERS: Registry[Adapter] = Registry("data set")
for _module in pkgutil.iter_modules(__path__):
    if not _module.ispkg:
        ADAPTERS.add(_module.name, f"{__name__}.{_module.name}:ADAPTER")
