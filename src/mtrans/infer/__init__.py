"""From a model and samples to predictions.jsonl."""
