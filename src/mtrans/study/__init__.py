"""Studies: many adaptations and measurements from one description, resumable."""
