"""Features of every frame of videos, from networks, principal components or keypoints."""
