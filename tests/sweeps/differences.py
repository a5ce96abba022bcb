"""Whether tensors follow the same law: three plain constructions are compared with one of ours.

An element that has the same value in all three is a constant and must be equal bit for bit; the
other elements are a sample.  Each threshold is exceeded by chance about once in 10^10 tests; a
sweep makes 10^6.
"""

import math

import numpy as np

SIGMAS = 6.8  # of a mean or a standard deviation: 1e-11 in both tails of a normal
KOLMOGOROV = 3.6  # D √(nm/(n+m)): 2 exp(-2 · 3.6²) = 1e-11
BEYOND = 17  # values of ours above all of 3n others: 4^-17 = 6e-11
SHORT = 81  # values of theirs above all n of ours: 0.75^81 = 8e-11
MOST, MOST_OF_PART = 10_000, 2_500  # values that are compared


def differences(plain, ours):
    """What tells `ours` from the arrays of `plain`; an empty list where nothing does."""
    # Large tensors stay in their own dtype; what samples() compares is float64.
    plain, ours = [number(one) for one in plain], number(ours)
    if any(one.shape != ours.shape for one in plain):
        return [f"shape {ours.shape}, plain {plain[0].shape}"]
    if not ours.size:
        return []
    unwritten = np.logical_and.reduce([np.isnan(one) for one in plain])
    if unwritten.all():
        return []  # torch.empty that nothing fills: no law
    fixed = np.logical_and.reduce([plain[0] == one for one in plain[1:]])
    wrong = fixed & (ours != plain[0])
    if wrong.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
        return [
            f"{wrong.sum()} of {fixed.sum()} constants differ: {ours[place]!r} at {place}, "
            f"plain {plain[0][place]!r}"
        ]
    drawn = ~(fixed | unwritten)
    if not drawn.any():
        return []
    if not np.isfinite(ours[drawn]).all():
        return [f"{(~np.isfinite(ours[drawn])).sum()} values are not finite"]
    found, every = [], drawn.all()
    for where, part in parts(ours.shape):
        *sample, mine = [
            one[part].ravel() if every else one[part][drawn[part]] for one in (*plain, ours)
        ]
        most = MOST_OF_PART if where else MOST
        found += [f"{where}{text}" for text in samples(sample, mine, most)]
        if found:
            return found
    return [text for text in [spectrum(plain, ours)] if text]


def number(array):
    array = np.asarray(array)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def parts(shape):
    """The whole, and quarters along the first and the last axis."""
    yield "", (slice(None),) * len(shape)
    for axis in {0, len(shape) - 1} if shape else ():
        size = shape[axis]
        for quarter in range(4 if size >= 4 and math.prod(shape) >= 64 else 0):
            cut = slice(quarter * size // 4, (quarter + 1) * size // 4)
            index = [slice(None)] * len(shape)
            index[axis] = cut
            yield f"[{cut.start}:{cut.stop}] of axis {axis}: ", tuple(index)


def samples(plain, ours, most):
    """Compare mean, deviation, distribution and extremes of `ours` with those of three samples."""
    if ours.size > most:
        step = -(-ours.size // most) | 1
        plain, ours = [one[::step] for one in plain], ours[::step]
    ours = np.sort(ours.astype(np.float64))
    theirs = np.sort(np.concatenate(plain, dtype=np.float64))
    n, m = ours.size, theirs.size
    if n == 0:
        return []
    spread = theirs.std()
    if n < 8:
        far = 60 * (np.ptp(theirs) + spread)
        return [f"values {ours}, plain {plain}"] if (abs(ours - theirs.mean()) > far).any() else []
    if ours[0] == ours[-1]:
        return [f"all {n} values are {ours[0]}, plain has std {spread:.4g}"]
    # Values that are repeated, such as a tiled row, count once.
    share = min((1 + np.count_nonzero(np.diff(one))) / one.size for one in (ours, theirs))
    scale = math.sqrt(n * m / (n + m) * share)
    found = []
    off = (ours.mean() - theirs.mean()) / spread * scale
    if abs(off) > SIGMAS:
        found.append(f"mean {ours.mean():.4g}, plain {theirs.mean():.4g} ({off:+.0f} sigmas)")
    kurtosis = ((theirs - theirs.mean()) ** 4).mean() / spread**4
    off = (ours.std() / spread - 1) * 2 / math.sqrt(max(kurtosis - 1, 0.05)) * scale
    # The deviation of a heavy tail is not normal in small samples.
    if abs(off) > SIGMAS * (1 if kurtosis < 4 else kurtosis):
        found.append(f"std {ours.std():.4g}, plain {spread:.4g} ({off:+.0f} sigmas)")
    # The steps of two staircases, at the steps of the second.
    above = np.searchsorted(ours, theirs, side="right") / n - np.arange(1, m + 1) / m
    below = np.searchsorted(ours, theirs, side="left") / n - np.arange(m) / m
    distance = max(abs(above).max(), abs(below).max())
    if distance * scale > KOLMOGOROV and not found:
        found.append(f"another distribution: Kolmogorov's distance {distance:.3f} at n = {n}")
    for side, mine, other in (
        ("above", ours, theirs),
        ("below", -ours[::-1], -theirs[::-1]),
    ):
        beyond = (n - np.searchsorted(mine, other[-1], side="right")) * share
        short = (m - np.searchsorted(other, mine[-1], side="right")) * share
        if beyond > BEYOND or short > SHORT:
            found.append(f"{side}: ours ends at {abs(mine[-1]):.5g}, plain at {abs(other[-1]):.5g}")
    return found


def spectrum(plain, ours):
    """Orthogonality: (min · tr G² / tr² G - 1) · max/min of the Gram matrix G is 0 for orthogonal
    rows and 1 for independent normals.
    """
    rows, columns = ours.shape[0] if ours.ndim else 1, ours.size
    columns //= rows
    if ours.ndim < 2 or min(rows, columns) < 32 or ours.size > 150_000:
        return ""
    theirs = np.median([excess(one.reshape(rows, columns)) for one in plain])
    mine = excess(ours.reshape(rows, columns))
    if abs(mine - theirs) > 0.5 * max(1.0, abs(theirs)):
        return f"spectrum: excess {mine:.2f}, plain {theirs:.2f} (0 orthogonal, 1 independent)"
    return ""


def excess(matrix):
    matrix = matrix.astype(np.float64)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    gram = matrix @ matrix.T
    few, many = matrix.shape
    return (few * (gram**2).sum() / np.trace(gram) ** 2 - 1) * many / few
