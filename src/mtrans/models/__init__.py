"""The model: an image LMM whose Q-Former also looks over time. Start in `video_lmm`."""
