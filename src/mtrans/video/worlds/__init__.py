"""Worlds: seeded generators of clips and stills with exactly known truth. Synthetic test benches.

``canvas`` draws; ``shapes``, ``face`` and ``food`` are what is drawn; ``language`` is what is said
about it; ``stills`` and ``corpus`` are the still images and the text that the embedded ``tiny``
model was trained on; ``physics``, ``talk``, ``ego`` and ``kitchen`` are the video worlds, none of
whose clips it has seen.
"""
