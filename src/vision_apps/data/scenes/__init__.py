"""The embedded world: pictures that are pure functions of (seed, split, index), with their exact truth."""
