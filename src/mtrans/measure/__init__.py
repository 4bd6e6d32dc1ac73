"""predictions.jsonl -> numbers with intervals; needs no torch."""
