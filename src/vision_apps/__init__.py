"""Computer-vision applications on PyTorch Lightning, composed with Hydra."""

__version__ = "0.1.0"
