"""The embedded world: every picture is a pure function of (seed, split, index), and its truth is known exactly."""
