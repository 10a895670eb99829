"""torch: tensors, modules, optimizers, generators and the small types around them.

torch is imported inside functions only: it is loaded already when such an object exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pytest_mitosis.identity.arrays import write_data
from pytest_mitosis.identity.objects import write_fields, write_type
from pytest_mitosis.identity.state import state_of
from pytest_mitosis.identity.walk import Walk, attribute, item

if TYPE_CHECKING:
    from pytest_mitosis.identity.walk import Reader


def read_tensor(walk: Walk, value: Any, path: str) -> None:
    """Write a tensor: dtype, shape, whether it wants gradients, numbers; the device is a note."""
    kind = type(value).__name__
    dtype = str(value.dtype).removeprefix("torch.")
    grad = " grad" if value.requires_grad else ""
    walk.leaf(path, f"{kind} dtype={dtype} shape={tuple(value.shape)}{grad}")
    walk.note(path, f"device {value.device}")
    _write_numbers(walk, value.detach(), path)


def _write_numbers(walk: Walk, tensor: Any, path: str) -> None:
    import torch

    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce()
        walk.leaf(attribute(path, "layout"), "sparse_coo")
        _write_numbers(walk, tensor.indices(), attribute(path, "indices"))
        _write_numbers(walk, tensor.values(), path)
        return
    if tensor.layout is not torch.strided:
        walk.leaf(attribute(path, "layout"), str(tensor.layout))
        tensor = tensor.to_dense()
    if tensor.is_quantized:
        walk.leaf(attribute(path, "scheme"), f"{tensor.qscheme()}")
        tensor = tensor.dequantize()
    tensor = tensor.cpu().resolve_conj().resolve_neg()
    if tensor.dtype.is_floating_point and tensor.dtype not in (
        torch.float16,
        torch.float32,
        torch.float64,
    ):
        tensor = tensor.float()  # bfloat16 and the 8-bit floats fit in exactly
    write_data(walk, tensor.contiguous().numpy(), path)


def read_module(walk: Walk, value: Any, path: str) -> None:
    """Write a module by class, options, parameters, buffers and children in order."""
    import torch

    write_type(walk, type(value), path, "module")
    state = state_of(value)
    base = vars(torch.nn.Module()).keys()
    parts: dict[str, object] = {}
    for store in ("_parameters", "_buffers", "_modules"):
        parts.update(state.get(store, {}))  # type: ignore[call-overload]
    children = list(state.get("_modules", {}))  # type: ignore[call-overload]
    if children:
        walk.leaf(attribute(path, "_modules"), f"order {children!a}")
    own = {
        name: part
        for name, part in state.items()
        # Recurrent layers keep a second list of their weights, with weak references.
        if name not in base and not name.startswith("_flat_weight")
    }
    hooks = {
        name: list(part.values())
        for name, part in state.items()
        if name in base and name.endswith("_hooks") and isinstance(part, dict) and part
    }
    write_fields(walk, {**own, "training": value.training, **hooks}, {}, path)
    write_fields(walk, parts, {}, path)


def read_optimizer(walk: Walk, value: Any, path: str) -> None:
    """Write an optimizer by class, groups and state."""
    write_type(walk, type(value), path, "optimizer")
    walk.visit(value.param_groups, attribute(path, "param_groups"))
    walk.visit(value.state_dict()["state"], attribute(path, "state"))


def read_generator(walk: Walk, value: Any, path: str) -> None:
    """Write a generator by state."""
    walk.leaf(path, f"torch Generator {value.device.type}")
    walk.visit(value.get_state(), attribute(path, "state"))


def read_name(walk: Walk, value: Any, path: str) -> None:
    """Write a dtype, device, layout or memory format by name."""
    walk.leaf(path, f"torch {type(value).__name__} {ascii(str(value))[1:-1]}")


def read_size(walk: Walk, value: Any, path: str) -> None:
    """Write a size."""
    walk.leaf(path, "torch Size")
    for index, part in enumerate(value):
        walk.visit(int(part), item(path, str(index)))


_NAMES: Final = ("dtype", "device", "layout", "memory_format", "finfo", "iinfo")
NEURAL: Final[dict[str, Reader]] = {
    "torch:Tensor": read_tensor,
    "torch:Module": read_module,
    "torch:Optimizer": read_optimizer,
    "torch:Generator": read_generator,
    "torch:Size": read_size,
    **{f"torch:{name}": read_name for name in _NAMES},
}
