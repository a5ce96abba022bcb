"""
Why the first weights matter
============================

Each layer of a deep network multiplies its input by a matrix. If the matrix shrinks the signal a
little, fifty layers shrink it to almost zero; if it amplifies the signal a little, fifty layers
make it explode. The same happens to the gradient in the backward pass. The initializers below were
invented one after the other to prevent this.

We send random inputs through 50 layers of 256 units, before any training, and measure the root mean
square of the activations after each layer. Dots are measurements; lines are the theory of wide
networks, which :func:`fastinit.diagnostics.compare` also computes.
"""

import matplotlib.pyplot as plt

from fastinit import diagnostics

initializers = ["normal:0.01", "xavier_normal", "he_normal", "orthogonal"]
found = diagnostics.compare(initializers, ["tanh", "relu", "linear"], depth=50, width=256)

figure, panels = plt.subplots(3, 1, figsize=(6, 9), layout="constrained")
for panel, activation in zip(panels, ["tanh", "relu", "linear"], strict=True):
    curves = [curve for curve in found.curves if curve.activation == activation]
    for curve, colour in zip(curves, ["C3", "C1", "C0", "C2"], strict=True):
        layers = range(1, len(curve.forward) + 1)
        panel.plot(layers, curve.forward, ".", color=colour, ms=4, label=curve.initializer)
        panel.plot(layers, curve.forward_theory, "-", color=colour, lw=0.8)
    panel.set(title=activation, yscale="log", ylim=(1e-12, 1e2), ylabel="rms of the activations")
panels[-1].set_xlabel("layer")
panels[0].legend(fontsize=8)
plt.show()

# %%
# * **N(0, 0.01²)**, the choice of AlexNet, is too small for 256 inputs: each layer multiplies the
#   signal by about 0.01·√256 = 0.16, and it vanishes.
# * **Xavier** (Glorot and Bengio 2010) gives each weight the variance 1/n. That preserves the
#   signal with linear units, and nearly with tanh. With ReLU, each layer loses half of the second
#   moment.
# * **He** (He et al. 2015) doubles the variance to 2/n and preserves the signal with ReLU. With
#   linear units the signal explodes.
# * **Orthogonal** matrices preserve every length exactly with linear units, at any width.

# %%
# The table gives the end points of the same curves: the root mean square of the signal after the
# last layer and of the gradient at the first layer.

print(found)
