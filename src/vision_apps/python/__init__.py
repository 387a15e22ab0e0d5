"""The commands for a notebook or another program: a trained run that answers, and a run that is trained."""

import warnings

# tqdm misses ipywidgets in a notebook; what is told of a run is text and figures
warnings.filterwarnings("ignore", message="IProgress not found")
