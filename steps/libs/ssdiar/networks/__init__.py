"""Published networks, rebuilt as graphs of ONNX Runtime from their weights."""
