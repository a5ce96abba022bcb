"""Small random programs of initialization code, run on real memory and from the meta device.

A program is a module whose constructor takes steps that a seeded generator chooses: each writes a
parameter, a part of one, or a buffer.  compare() runs a program both ways and says what differs.
In the run on real memory, draw number n has the stream that the record of the meta build gives it,
so that values can be compared.  test_torch_programs.py runs some programs; to run many:

    python tests/adapters/initialization_programs.py 20000

With the programs 0 to 19,999, each run both ways on torch 2.13, 39,589 runs were equal, none was
refused and none differed; in 411 the build failed, at a condition on a drawn value or at a bfloat16
array.  The same generator finds 102 differences, refusals and errors in 600 runs of the code of one
day before.
"""

from __future__ import annotations

import collections
import copy
import random
import sys
import warnings

import numpy as np
import torch
from torch import nn

import fastinit.torch as fit
from fastinit._core.stream import stream_id
from fastinit.torch import _defaults, _detours, _recipe
from fastinit.torch._draw import draw
from fastinit.torch._names import buffers, parameters
from fastinit.torch._prove import prove
from fastinit.torch._replay import Run, is_draw
from fastinit.torch._translate import TRANSLATIONS

SHAPES = [
    (4, 1),
    (1, 4),
    (4, 6),
    (6, 4),
    (4, 4),
    (3, 2, 2),
    (2, 3, 4),
    (5,),
    (1,),
    (),
    (12,),
    (2, 1, 3),
]


DTYPES = [torch.float32] * 5 + [torch.bfloat16, torch.float16, torch.float64]


class Program(nn.Module):
    """Runs one program in its constructor, or in reset_parameters that its constructor calls."""

    def __init__(self, seed, in_reset):
        super().__init__()
        chance = random.Random(seed)
        self.program = seed
        self.in_reset = in_reset
        self.names = []
        for number in range(chance.randint(1, 3)):
            self.names.append(f"p{number}")
            shape, dtype = chance.choice(SHAPES), chance.choice(DTYPES)
            if shape and chance.random() < 0.1 and not in_reset:
                tensor = torch.Tensor(*shape)  # real memory, whatever the device is
            else:
                tensor = torch.empty(shape, dtype=dtype)
            setattr(self, f"p{number}", nn.Parameter(tensor))
        self.chance_state = chance.getstate()
        self.reset_parameters()

    def reset_parameters(self):
        chance = random.Random()
        chance.setstate(self.chance_state)
        with torch.no_grad():
            for name in self.names:
                first(chance, getattr(self, name))
            for _ in range(chance.randint(0, 4)):
                tensor = getattr(self, chance.choice(self.names))
                step(chance, self, tensor)
        if not self.in_reset:
            after(chance, self)


def number(chance):
    return chance.choice([0.0, 1.0, -1.0, 0.5, 2.0, 0.02, 3.0])


def first(chance, tensor):
    """Write the whole."""
    kinds = [
        "normal",
        "uniform",
        "zeros",
        "constant",
        "kaiming",
        "randn",
        "arange",
        "trunc",
        "numpy",
    ]
    kind = chance.choice(kinds)
    if kind == "kaiming" and tensor.ndim < 2:
        kind = "normal"
    if kind == "normal":
        std = chance.choice([1.0, 0.02])
        chance.choice([nn.init.normal_, torch.Tensor.normal_])(tensor, 0.0, std)
    elif kind == "uniform":
        tensor.uniform_(-0.5, 1.0)
    elif kind == "zeros":
        nn.init.zeros_(tensor)
    elif kind == "constant":
        tensor.fill_(number(chance))
    elif kind == "kaiming":
        chance.choice([nn.init.kaiming_uniform_, nn.init.xavier_normal_, nn.init.orthogonal_])(
            tensor
        )
    elif kind == "randn":
        like = chance.choice([torch.randn(tensor.shape), torch.normal(0.0, 2.0, tensor.shape)])
        tensor.copy_(like * 0.5 + chance.choice([0.0, 1.0]))
    elif kind == "arange":
        tensor.copy_(torch.arange(float(tensor.numel())).view(tensor.shape))
    elif kind == "trunc":
        nn.init.trunc_normal_(tensor, std=0.5)
    elif kind == "numpy":
        table = np.sin(np.arange(tensor.numel(), dtype=np.float32)).reshape(tuple(tensor.shape))
        tensor.data.copy_(torch.from_numpy(table))


def part(chance, tensor):
    """A view of the tensor."""
    for _ in range(chance.randint(0, 2)):
        if not tensor.ndim:
            break
        axis = chance.randrange(tensor.ndim)
        size = tensor.shape[axis]
        kind = chance.choice(
            ["select", "slice", "stepped", "t", "chunk", "flatten", "unsqueeze", "permute"]
            + ["diagonal", "split", "strided", "bits", "data", "squeeze", "moved", "unbound"]
            + ["unfolded", "unflattened", "reshaped"]
        )
        if kind == "select":
            tensor = tensor.select(axis, chance.randrange(size))
        elif kind == "slice":
            start = chance.randrange(size)
            tensor = tensor.narrow(axis, start, chance.randint(1, size - start))
        elif kind == "stepped" and axis == 0:
            tensor = tensor[:: chance.randint(1, 3)]
        elif kind == "t":
            tensor = tensor.transpose(0, tensor.ndim - 1)
        elif kind == "chunk":
            tensor = chance.choice(tensor.chunk(2, axis))
        elif kind == "flatten" and tensor.is_contiguous():
            tensor = tensor.view(-1)
        elif kind == "unsqueeze":
            tensor = tensor.unsqueeze(axis)
        elif kind == "permute":
            order = list(range(tensor.ndim))
            chance.shuffle(order)
            tensor = tensor.permute(order)
        elif kind == "diagonal" and tensor.ndim >= 2:
            tensor = tensor.diagonal(chance.choice([0, 1]) if min(tensor.shape[:2]) > 1 else 0)
        elif kind == "split":
            tensor = chance.choice(tensor.split(chance.randint(1, size), axis))
        elif kind == "strided" and tensor.is_contiguous() and tensor.numel() >= 4:
            tensor = tensor.as_strided((2, tensor.numel() // 4), (tensor.numel() // 2, 1))
        elif kind == "bits" and tensor.dtype == torch.float32:
            tensor = tensor.view(torch.int32).view(torch.float32)
        elif kind == "data":
            tensor = tensor.data
        elif kind == "squeeze":
            tensor = tensor.squeeze()
        elif kind == "moved":
            tensor = tensor.movedim(axis, chance.randrange(tensor.ndim))
        elif kind == "unbound":
            tensor = chance.choice(tensor.unbind(axis))
        elif kind == "unfolded":
            tensor = tensor.unfold(axis, chance.randint(1, size), size)
        elif kind == "unflattened" and size % 2 == 0:
            tensor = tensor.unflatten(axis, (2, size // 2))
        elif kind == "reshaped" and tensor.is_contiguous():
            tensor = tensor.reshape(size, -1)
    return tensor


def values(chance, tensor, module):
    """A tensor that broadcasts to the tensor's shape."""
    kind = chance.choice(
        ["number", "arange", "expanded", "linspace", "eye", "parameter", "rand", "list", "one_hot"]
        + ["like", "sorted", "summed", "flipped", "chosen", "unbounded", "product"]
    )
    if kind == "arange":
        return (
            torch.arange(float(tensor.numel())).view(tensor.shape).flip(0)
            if tensor.ndim
            else torch.tensor(2.0)
        )
    if kind == "expanded" and tensor.ndim:
        return torch.linspace(0.0, 1.0, tensor.shape[-1]).expand(tensor.shape)
    if kind == "linspace" and tensor.ndim:
        return torch.linspace(-1.0, 1.0, tensor.shape[0]).view(-1, *[1] * (tensor.ndim - 1))
    if kind == "eye" and tensor.ndim == 2:
        return torch.eye(*tensor.shape)
    if kind == "parameter":
        other = getattr(module, chance.choice(module.names))
        return other.mean() if other.shape != tensor.shape else other.detach().clone().abs()
    if kind == "rand":
        return torch.rand(tensor.shape)
    if kind == "list" and tensor.ndim:
        return torch.tensor([float(n * n % 5) for n in range(tensor.shape[-1])])
    if kind == "one_hot" and tensor.ndim == 2:
        hot = torch.arange(tensor.shape[0]) % tensor.shape[1]
        return nn.functional.one_hot(hot, tensor.shape[1]).float()
    if kind == "like":
        return chance.choice([torch.randn_like, torch.rand_like, torch.ones_like])(tensor)
    if kind == "sorted" and tensor.ndim:
        return torch.randn(tensor.shape).sort(-1).values
    if kind == "summed" and tensor.ndim:
        return torch.full(tensor.shape, 0.1).cumsum(0)
    if kind == "flipped" and tensor.ndim:
        return tensor.detach().flip(0).roll(1, -1)
    if kind == "chosen" and tensor.ndim:
        return tensor.detach().index_select(0, torch.zeros(tensor.shape[0], dtype=torch.long))
    if kind == "unbounded":
        return torch.full((), chance.choice([float("inf"), float("nan"), -float("inf")]))
    if kind == "product" and tensor.ndim == 2:
        return torch.outer(torch.arange(float(tensor.shape[0])), torch.rand(tensor.shape[1]))
    return torch.full((), number(chance))


def step(chance, module, tensor):
    """Write a part, or change it."""
    view = part(chance, tensor)
    kind = chance.choice(
        [
            "fill",
            "normal",
            "uniform",
            "copy",
            "mul",
            "add",
            "clamp",
            "item",
            "mask",
            "index",
            "unary",
            "init",
            "scaled",
            "array",
            "data",
            "triangle",
            "chosen",
            "scattered",
            "put",
            "where",
            "many",
            "out",
            "chain",
            "truncated",
            "between",
            "added",
            "filled",
            "exchanged",
            "diagonal",
        ]
    )
    if kind == "fill":
        view.fill_(number(chance))
    elif kind == "normal":
        view.normal_(0.0, 0.5)
    elif kind == "uniform":
        nn.init.uniform_(view, -1.0, 1.0)
    elif kind == "copy":
        view.copy_(values(chance, view, module))
    elif kind == "mul":
        view.mul_(chance.choice([number(chance), values(chance, view, module)]))
    elif kind == "add":
        view += chance.choice([number(chance), values(chance, view, module)])
    elif kind == "clamp":
        view.clamp_(-0.25, 0.25)
    elif kind == "item" and tensor.ndim:
        tensor[chance.randrange(tensor.shape[0])] = number(chance)
    elif kind == "mask":
        view[view > 0] = number(chance)
    elif kind == "index" and view.ndim:
        view[torch.tensor([0, view.shape[0] - 1])] = number(chance)
    elif kind == "unary":
        chance.choice([view.exp_, view.abs_, view.neg_, view.tanh_])()
    elif kind == "init" and view.ndim >= 2:
        nn.init.xavier_uniform_(view)
    elif kind == "scaled":
        view.copy_(view.detach().clone() * 0.5)
    elif kind == "data":
        make = chance.choice([torch.zeros, torch.ones, torch.rand])
        tensor.data = make(tensor.shape, dtype=tensor.dtype)
    elif kind == "triangle" and view.ndim == 2:
        chance.choice([view.tril_, view.triu_])()
    elif kind == "scattered" and view.ndim == 2:
        places = torch.arange(view.shape[0]).view(-1, 1) % view.shape[1]
        view.scatter_(1, places, number(chance))
    elif kind == "put" and view.ndim:
        view.index_copy_(0, torch.tensor([view.shape[0] - 1]), values_of(chance, view[-1:]))
    elif kind == "where":
        view.copy_(torch.where(view > 0, view, torch.full((), number(chance))))
    elif kind == "many":
        torch._foreach_mul_([view], chance.choice([2.0, -1.0, 0.5]))
    elif kind == "out" and view.is_contiguous():
        torch.add(view, number(chance), out=view)
    elif kind == "chain":
        for _ in range(chance.randint(1, 4)):
            change(chance, view)
    elif kind == "truncated" and tensor.itemsize > 2:  # the code rounds twice, a draw once
        tensor.uniform_(-0.9, 0.9)
        chance.choice([tensor, view]).erfinv_()
    elif kind == "between":
        view.lerp_(torch.ones_like(view), 0.25)
        view.addcmul_(torch.ones_like(view), torch.full_like(view, 0.5), value=-1)
    elif kind == "added" and view.ndim:
        places = torch.tensor([0, view.shape[0] - 1])
        view.index_add_(0, places, torch.ones_like(view)[places])
        view.index_fill_(0, places[:1], number(chance))
    elif kind == "filled":
        view.masked_fill_(torch.arange(view.numel()).view(view.shape) % 2 == 0, number(chance))
    elif kind == "exchanged":
        other = getattr(module, chance.choice(module.names))
        before = tensor.detach().clone()
        tensor.copy_(other.detach().flatten()[:1].squeeze().clone())
        other.copy_(before.flatten()[:1].squeeze())
    elif kind == "diagonal" and view.ndim == 2:
        view.fill_diagonal_(number(chance))
    elif not module.in_reset:  # torch itself does not read values on the plain meta device
        known(chance, kind, tensor, view)


def change(chance, view):
    """Do arithmetic with a number, also with one that costs digits."""
    number = chance.choice([0.1, 3.0, -1.0, 1e6, -1e6, 1e-9, 7.0])
    chance.choice([view.mul_, view.add_, view.sub_, view.div_])(number)


def known(chance, kind, tensor, view):
    """Write by values that are known while the code is recorded."""
    if kind == "array":
        tensor.fill_(number(chance))
        array = tensor.detach().numpy()
        array[...] = np.arange(tensor.numel(), dtype=array.dtype).reshape(array.shape)
        tensor.mul_(2.0)
        if array.ndim:
            array[0] = number(chance)
    elif kind == "chosen" and view.ndim:
        places = torch.arange(view.shape[0]) > 0
        view[places] = number(chance)
        view[torch.nonzero(places == places.any()).squeeze(1)[:1]] = number(chance)


def values_of(chance, like):
    make = chance.choice([torch.rand, torch.ones])
    return make(like.shape, dtype=like.dtype)


def after(chance, module):
    """What constructors do beside filling: buffers, ties, new tensors in the places of old ones."""
    kind = chance.choice(
        ["buffer", "computed", "tie", "new", "log", "nothing", "late"]
        + ["real", "kept", "converted", "copied", "shared", "wrapped", "expanded"]
        + ["made", "made", "bits", "cloned", "written", "emptied", "loaded", "aliased"]
    )
    name = chance.choice(module.names)
    tensor = getattr(module, name)
    if kind == "buffer":
        module.register_buffer("b", torch.arange(6.0).view(2, 3).t().contiguous() / 3)
    elif kind == "computed":
        module.register_buffer(
            "b", torch.outer(torch.arange(3.0), 1 / torch.linspace(1, 2, 4)).cos()
        )
    elif kind == "tie" and len(module.names) > 1:
        module.p1 = module.p0
    elif kind == "new":
        setattr(module, name, nn.Parameter(torch.linspace(0, 1, 8).view(2, 4)[:, ::2].t()))
    elif kind == "log":
        setattr(
            module,
            name,
            nn.Parameter(torch.log(torch.arange(1, 5, dtype=torch.float32)).repeat(2, 1)),
        )
    elif kind == "late":
        with torch.no_grad():
            first(chance, tensor)
    elif kind == "real":
        module.register_buffer("b", torch.Tensor(6).uniform_())
        setattr(module, name, nn.Parameter(torch.FloatTensor(3, 2).normal_()))
    elif kind == "kept":
        module.register_buffer("b", tensor.detach().clone())
    elif kind == "converted":
        chance.choice([module.double, lambda: module.double().float()])()
    elif kind == "copied":
        module.other = copy.deepcopy(tensor)
        with torch.no_grad():
            step(chance, module, module.other)
    elif kind == "shared" and tensor.ndim and tensor.shape[0] > 1:
        module.view = nn.Parameter(tensor.detach()[:1])
        with torch.no_grad():
            module.view.fill_(number(chance))
    elif kind == "wrapped":
        module.lin = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
        nn.init.zeros_(module.lin.bias)
    elif kind == "expanded":
        setattr(module, name, nn.Parameter(torch.rand(3).expand(2, 3)))
    elif kind == "made":
        setattr(module, name, nn.Parameter(part(chance, made(chance)).detach()))
    elif kind == "bits":
        values = chance.choice([torch.ones(4), torch.rand(4) * 2, torch.arange(4.0)])
        places = chance.choice([torch.int32, torch.int16, torch.float64])
        module.b = nn.Parameter(values.view(places), requires_grad=False)
    elif kind in ("cloned", "written", "emptied", "loaded"):
        module.lin = nn.Linear(3, 2)
        other_layer(chance, module, kind)
    elif kind == "aliased":
        module.other = nn.Parameter(torch.empty_like(tensor))
        module.other.data = tensor.data


def made(chance):
    """A new tensor, drawn or constant, after an operation or two."""
    shape = chance.choice(SHAPES)
    tensor = chance.choice([torch.randn, torch.rand, torch.ones, torch.zeros])(shape)
    for _ in range(chance.randint(1, 2)):
        kind = chance.choice(["mul", "add", "clone", "half", "double", "bfloat16", "neg"])
        if kind in ("mul", "add"):
            tensor = getattr(tensor, kind)(chance.choice([0.5, 3.0]))
        else:
            tensor = getattr(tensor, kind)()
    return tensor


def other_layer(chance, module, kind):
    """What registers no parameter, or another than the one that stays."""
    if kind == "cloned":
        module.copies = nn.ModuleList([copy.deepcopy(module.lin) for _ in range(2)])
        nn.init.zeros_(module.copies[0].bias)
    elif kind == "written":
        module.lin._parameters["bias"] = nn.Parameter(torch.rand(2) + 1)
    elif kind == "emptied":
        module.lin.to_empty(device="cpu")
        for tensor in module.lin.parameters():
            chance.choice([nn.init.uniform_, nn.init.ones_])(tensor)
    elif kind == "loaded":
        module.other = nn.Linear(3, 2)
        module.other.load_state_dict(module.lin.state_dict(), assign=chance.random() < 0.5)


# ---------------------------------------------------------------------------------- the plain run


MAKING = {
    torch.randn: ("normal_", torch.empty),
    torch.rand: ("uniform_", torch.empty),
    torch.randn_like: ("normal_", torch.empty_like),
    torch.rand_like: ("uniform_", torch.empty_like),
    torch.normal: ("normal_", torch.empty),  # of two numbers and a size
}


class Named(_detours.Block):
    """Draw number n of the block has the stream streams[n]; everything else is torch's."""

    def __init__(self, seed, streams):
        super().__init__()
        self.seed, self.streams, self.count = seed, streams, 0

    def take(self, generator):
        self.count += 1
        key = self.streams[self.count - 1] if self.count <= len(self.streams) else "more"
        return self.seed, stream_id(key)

    def called(self, name, args, kwargs):
        return draw(TRANSLATIONS[name](*args, **kwargs), self.take)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.normal_:
            return self.called("normal_", args, kwargs)
        if func is torch.Tensor.uniform_:
            return self.called("uniform_", args, kwargs)
        if func in MAKING:
            name, empty = MAKING[func]
            kwargs.pop("generator", None)
            numbers = args[:2] if func is torch.normal else ()
            made = empty(*args[len(numbers) :], **kwargs)
            return self.called(name, (made, *numbers), {})
        return func(*args, **kwargs)


def streams_of(record, model):
    """The stream names of all draws of a record, in order."""
    items = {item.name: item for item in (*parameters(model), *buffers(model))}
    runs = {
        name: Run(record.log, ref)
        for name, ref in record.refs.items()
        if items[name].tensor.numel()
    }
    runs = {name: run for name, run in runs.items() if not run.untouched}
    keys = _recipe._keys(runs, {name: prove(run) for name, run in runs.items()})
    draws = [number for number, one in enumerate(record.log.operations) if is_draw(one)]
    return [keys.get(number, "dead") for number in draws]


def compare(seed, way):
    """'equal', 'refused: why' or 'plain fails: why'; an AssertionError where values differ."""
    in_reset = way == "reset"

    def build():
        return Program(seed, in_reset)

    made = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if in_reset:
                with torch.device("meta"):
                    model = build()
                record = _defaults.record(model)
            else:
                with fit.construction() as made:
                    model = build()
                record = made.record((*parameters(model), *buffers(model)))
    except (NotImplementedError, RuntimeError, TypeError) as error:  # TypeError: no array of meta
        return f"the build fails: {error}"[:100]
    with Named(seed, streams_of(record, model)):
        plain = build()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit.materialize_(model, made, seed=seed)
        except ValueError as error:
            return f"refused: {str(error)[-80:]}"
        assert fit.verify_(model, made, seed=seed), "verify_"
    theirs, ours = tensors(plain), tensors(model)
    assert theirs.keys() == ours.keys(), (seed, theirs.keys(), ours.keys())
    for name, tensor in theirs.items():
        assert alike(ours[name], tensor), (seed, way, name, tensor, ours[name])
    return "equal"


def tensors(model):
    """By all their names: two parameters of one memory become one parameter with two."""
    parameters = model.named_parameters(remove_duplicate=False)
    return dict(parameters) | dict(model.named_buffers())


def alike(ours, theirs):
    """Whether values are equal, but for the one rounding that a scaled draw saves.

    That rounding is relative to the largest value, since an addition may cancel.
    """
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), (ours, theirs)
    if not ours.is_floating_point() or ours.itemsize > 2:
        return torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6, equal_nan=True)
    one = 2 * torch.finfo(ours.dtype).eps
    largest = theirs.double().abs().nan_to_num(posinf=0.0).max().item() if theirs.numel() else 0
    return torch.allclose(
        ours.double(), theirs.double(), rtol=one, atol=one * largest, equal_nan=True
    )


def count(seeds):
    """How many programs ended in which way; an AssertionError where values differ."""
    ends = collections.Counter()
    for seed in seeds:
        for way in ("construction", "reset"):
            ends[compare(seed, way).split(":")[0]] += 1
    return ends


if __name__ == "__main__":
    print(count(range(int(sys.argv[1]))))
