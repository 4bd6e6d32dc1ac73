"""The axis glossary: one letter, one meaning, in every docstring and every `rearrange`.

========  =====================================================================================
``B``     clips in a batch
``T``     sampled frames of a clip
``H W``   pixels of a frame, height before width
``P``     patches of a frame as the ViT returns them, CLS included
``Q``     learned query tokens of the Q-Former (32 in InstructBLIP, 8 in ``tiny``)
``L``     text tokens given to the Q-Former
``N``     tokens of one frame in the Q-Former, ``N = Q + L``
``K``     visual tokens the LLM sees: ``K = Q`` for pooled clips, ``K = T * Q`` for ``concat``
``S``     text tokens given to the LLM, placeholders for the ``K`` visual tokens included
``Cv``    width of the ViT
``C``     width of the Q-Former
``D``     width of the LLM
``h``     attention heads
``M``     attention masks a router mixes
========  =====================================================================================

Shapes are written ``float[B, T, P, Cv]``; times are seconds, durations of work are milliseconds
where the name ends in ``_ms`` and seconds otherwise.
"""
