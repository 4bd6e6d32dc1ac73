"""The embedded image model `tiny`: its weights, and the recipe that made them.

`architecture` says what it is, `pretrain` is the recipe as one command, in three stages:
`language` (text only), `vision` (stills, dense attributes), `bridge` (stills with captions and
questions through the Q-Former into the frozen LLM).
"""
