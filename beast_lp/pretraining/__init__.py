"""The pretraining stage: pairs of frames in, a backbone out."""
