"""An ONNX file becomes a torch network of modules: to prune, to train, and to export again."""
