"""The plugin inside Lightning Pose; the one room that knows the host."""
