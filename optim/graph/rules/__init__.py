"""Rewrite rules of ONNX graphs, each with a pattern, a check that gives its reason, a rewrite."""
