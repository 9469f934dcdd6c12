"""``castalia pixels``: beam background in a pixel detector, learned from recorded or simulated events."""
