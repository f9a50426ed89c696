"""Action segmentation: the behaviour of every frame, learned from a few scored videos.

`label_files` reads what people scored, `videos` opens the features of the frames, `training` fits
models and scores them on held-out frames, `prediction` applies them to other videos.
"""
