"""The README's first snippet: make four candidates, measure them, draw them."""

import optim

table = optim.sweep("fashion-resnet", pruning_ratios=[0, 0.5], precisions=["fp32", "int8"])
print(table[["recipe", "accuracy", "latency_ms", "speedup", "size_bytes"]])

figure = optim.pareto_figure(table)
figure.write_html("pareto.html")  # in a notebook, `figure` alone shows it
