"""Staged actions, the embedded benchmark: a figure that acts in front of a scene, rendered into video files."""
