"""Adaptation: transformers' Trainer, run folders, exact resumption."""
