"""
Xavier and He in training
=========================

He et al. (2015) trained ReLU networks of 22 and of 30 layers on ImageNet from two initializations.
With 22 layers both learned, He's faster; with 30 layers Xavier's stalled and He's learned.

Here is the same comparison on the 1,797 handwritten digits of scikit-learn: networks with 96 units
per layer, without biases, trained by plain gradient descent with 64 samples per step.
:func:`fastinit.diagnostics.train` returns the loss of every step; we plot its mean over 20 steps.
The dotted line is ln 10, the loss of a network that has learned nothing about ten classes.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastinit import diagnostics

inputs, labels = load_digits(return_X_y=True)
inputs = (inputs - inputs.mean()) / inputs.std()
depths = [14, 22, 30]
initializers = ["xavier_normal", "he_normal"]

figure, panels = plt.subplots(3, 1, figsize=(6, 9), layout="constrained")
last = {}
for panel, depth in zip(panels, depths, strict=True):
    rows = diagnostics.train(initializers, inputs, labels, depth=depth, steps=1000)
    for initializer, colour in zip(initializers, ["C1", "C0"], strict=True):
        losses = [row["loss"] for row in rows if row["initializer"] == initializer]
        means = np.convolve(losses, np.full(20, 1 / 20), "valid")
        panel.plot(means, color=colour, label=initializer)
        last[depth, initializer] = means[-1]
    panel.axhline(math.log(10), color="0.5", ls=":", lw=0.8)
    panel.set(title=f"{depth} layers", ylabel="loss", ylim=(0, 2.6))
panels[-1].set_xlabel("step")
panels[0].legend(fontsize=8)
plt.show()

# %%
# * With **14 layers** both networks learn, He's much faster.
# * With **22 and 30 layers** Xavier's network does not leave the dotted line in 1,000 steps. He's
#   networks learn; the deeper one is noisier.
#
# So Xavier fails at fewer layers here than in He et al.'s convolutional networks, which had biases
# and other steps. Biases would shorten the plateau: they keep learning when the gradient
# of the weights has vanished.
#
# The mean loss of the last 20 steps:

for (depth, initializer), loss in last.items():
    print(f"{depth} layers, {initializer:13}  {loss:.2f}")
