"""Finding and opening a trained run, a checkpoint or an exported file."""
