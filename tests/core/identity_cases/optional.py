"""torch, xarray, networkx, sympy: described where they happen to be installed.

Each block stands for itself; a missing package only takes its own cases away.
"""

import importlib

from identity_cases.plain import _pairs

LOCKABLE, CHANGES, EQUAL, REFUSED = {}, {}, {}, {}


def _load(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch, xr, nx, sympy, np = (_load(n) for n in ("torch", "xarray", "networkx", "sympy", "numpy"))

if torch is not None:
    from torch import nn

    def _net(seed=0, hidden=3, drop=0.1):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(2, hidden), nn.ReLU(), nn.Dropout(drop), nn.Linear(hidden, 1)
        )

    def _lstm(seed=0):
        torch.manual_seed(seed)
        return nn.LSTM(2, 3)

    def _sgd(lr=0.1):
        return torch.optim.SGD(_net().parameters(), lr=lr)

    LOCKABLE |= {
        "tensor": lambda: torch.tensor([1.0, float("nan")]),
        "tensor-bf16": lambda: torch.tensor([1.0, 2.0], dtype=torch.bfloat16),
        "tensor-sparse": lambda: torch.eye(2).to_sparse(),
        "tensor-scalar": lambda: torch.tensor(3),
        "net": _net,
        "lstm": _lstm,
        "loss": nn.MSELoss,
        "optimizer": _sgd,
        "optimizer-class": lambda: torch.optim.SGD,
        "torch-dtype": lambda: torch.float32,
        "torch-device": lambda: torch.device("cpu"),
        "torch-generator": lambda: torch.Generator().manual_seed(3),
        "torch-size": lambda: torch.Size([2, 3]),
        "torch-function": lambda: torch.nn.functional.relu,
        "torch-builtin": lambda: torch.tanh,
    }
    CHANGES |= _pairs(
        ("tensor", lambda: (torch.tensor([1.0]), torch.tensor([2.0])), "[:]"),
        ("tensor-dtype", lambda: (torch.tensor([1.0]), torch.tensor([1.0]).double()), "."),
        ("tensor-grad", lambda: (torch.ones(1), torch.ones(1, requires_grad=True)), "."),
        ("tensor-to-array", lambda: (torch.ones(2), np.ones(2, "f4")), "."),
        ("net-weights", lambda: (_net(0), _net(1)), ".'0'.weight[:]"),
        ("net-shape", lambda: (_net(), _net(hidden=4)), ".'0'.out_features"),
        ("net-dropout", lambda: (_net(), _net(drop=0.2)), ".'2'.p"),
        ("net-mode", lambda: (_net(), _net().eval()), ".training"),
        ("lstm", lambda: (_lstm(0), _lstm(1)), ".weight_ih_l0[:]"),
        ("optimizer", lambda: (_sgd(0.1), _sgd(0.2)), ".param_groups[0]['lr']"),
        ("loss", lambda: (nn.MSELoss(), nn.L1Loss()), "."),
        ("torch-dtype", lambda: (torch.float32, torch.float64), "."),
        (
            "torch-generator",
            lambda: (torch.Generator().manual_seed(1), torch.Generator().manual_seed(2)),
            ".state[:]",
        ),
    )
    EQUAL |= {
        "tensor-strides": lambda: (torch.eye(3)[:, :2], torch.eye(3)[:, :2].contiguous()),
        "net-again": lambda: (_net(), _net()),
        "lstm-again": lambda: (_lstm(), _lstm()),
        "optimizer-again": lambda: (_sgd(), _sgd()),
    }

if xr is not None:

    def _array(value=1.0, unit="m"):
        return xr.DataArray(
            [[0.0, value]], dims=("t", "x"), coords={"x": [10, 20]}, name="u", attrs={"unit": unit}
        )

    LOCKABLE |= {
        "data-array": _array,
        "dataset": lambda: xr.Dataset({"u": _array(), "v": ("t", [2.0])}, attrs={"by": "lab"}),
        "data-array-text": lambda: xr.DataArray(["a", "b"], dims="k"),
    }
    CHANGES |= _pairs(
        ("data-array", lambda: (_array(), _array(2.0)), "[:]"),
        ("data-array-attrs", lambda: (_array(), _array(unit="km")), ".attrs['unit']"),
        (
            "data-array-coords",
            lambda: (_array(), _array().assign_coords(x=[1, 2])),
            ".coords['x'][:]",
        ),
        ("data-array-dims", lambda: (_array(), _array().rename(t="time")), "."),
        (
            "dataset",
            lambda: (xr.Dataset({"u": _array()}), xr.Dataset({"u": _array(3.0)})),
            "['u'][:]",
        ),
    )
    EQUAL["data-array-copy"] = lambda: (_array(), _array().copy(deep=True))

if nx is not None:

    def _graph(weight=1.0, seen=False):
        graph = nx.Graph([("a", "b", {"weight": weight}), ("b", "c")])
        assert not seen or (graph.adj and graph.nodes and graph.degree)
        return graph

    LOCKABLE["graph"] = _graph
    CHANGES |= _pairs(("graph", lambda: (_graph(), _graph(2.0)), "._adj['a']['b']['weight']"))
    EQUAL["graph-seen"] = lambda: (_graph(), _graph(seen=True))

if sympy is not None:

    def _formula(power=2, hashed=False):
        formula = sympy.Symbol("x", positive=True) ** power + sympy.Rational(1, 3)
        assert not hashed or hash(formula)
        return formula

    LOCKABLE["formula"] = _formula
    CHANGES |= _pairs(("formula", lambda: (_formula(), _formula(3)), "."))
    EQUAL["formula-hashed"] = lambda: (_formula(), _formula(hashed=True))
