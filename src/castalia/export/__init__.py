"""Trained models as ONNX files, for programs that know neither Python nor torch."""
