"""File -> frames: decoding, sampling, preprocessing, writing, and the worlds that make clips."""
