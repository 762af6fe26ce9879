"""A trained model as ONNX files, for programs without Python."""
