"""Videos: reading them, choosing their anchors, and storing the windows of frames around these."""
