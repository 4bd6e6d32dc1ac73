"""Data: manifests to samples, samples to prompts, frames and batches."""
