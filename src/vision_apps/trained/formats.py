"""The formats that a run is exported in; importing this costs nothing."""

SUFFIXES = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}
