"""How well features of video predict neural activity."""
