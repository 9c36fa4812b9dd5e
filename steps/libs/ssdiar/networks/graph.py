"""Published networks as ONNX graphs, built from their weights in memory and run by ONNX Runtime.

PyTorch is not imported: loading a network takes a fraction of a second, and ONNX Runtime runs convolutions and matrix
products of small batches faster on a CPU than PyTorch does (bench/speed.py). A network uses one thread; jobs run side
by side.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from glob import glob
from typing import Any

import numpy as np

from ssdiar.base.errors import InputError

# The execution provider of each device. CUDA must compute in float32 as the CPU does, not in TF32.
_PROVIDERS: dict[str, tuple[str, dict[str, int]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": 0}),
}
_OPSET, _IR_VERSION = 18, 9  # read by ONNX Runtime 1.18 and later


class Graph:
    """A graph under construction: every call adds a node and returns the name of its output.

    An input of a node is such a name, or an array, which becomes a constant.

    Args:
        inputs: Shape of every input of the graph by name, all float32; a letter stands for a length that varies.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int | str]]):
        from onnx import TensorProto, helper

        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]

    def __call__(self, operator: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; return the name of its output, or a list of names if there are more (``outputs``)."""
        from onnx import helper

        number = len(self._nodes)
        names = [f"{operator}_{number}_{index}" for index in range(outputs)]
        arguments = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        self._nodes.append(helper.make_node(operator, arguments, names, **attributes))
        return names[0] if outputs == 1 else names

    def _constant(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def content(self, *outputs: str) -> bytes:
        """Return the graph as the content of a file in ONNX; its outputs, by name, are all float32."""
        from onnx import TensorProto, helper

        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self._nodes, "network", self._inputs, results, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
        return model.SerializeToString()

    def load(self, *outputs: str, device: str = "cpu") -> Network:
        """Return the graph ready to run.

        Args:
            outputs: Names of its outputs.
            device: ``cpu``, ``cuda`` or ``cuda:N`` (:func:`device_of_job`).

        Raises:
            InputError: This onnxruntime has nothing for the device.
        """
        return Network(self.content(*outputs), device)


class Network:
    """A network that is ready to run; called with its inputs by name it returns its outputs as a list of arrays."""

    def __init__(self, model: bytes, device: str) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)  # errors only; warnings are about failed optimizations
        kind, _, number = device.partition(":")
        provider, settings = _PROVIDERS[kind]
        if kind == "cuda" and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # the libraries of the nvidia packages that pip installs
        if provider not in onnxruntime.get_available_providers():
            raise InputError(
                "this onnxruntime cannot use a GPU",
                expected=provider,
                got=" ".join(onnxruntime.get_available_providers()),
                hint="pip uninstall onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'; or use device=cpu.",
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        if number:
            settings = settings | {"device_id": int(number)}
        self._session = onnxruntime.InferenceSession(model, options, providers=[(provider, settings)])
        #: Name and shape of every input; None for a length that varies.
        self.inputs: list[tuple[str, list[int | None]]] = [
            (one.name, [size if isinstance(size, int) else None for size in one.shape])
            for one in self._session.get_inputs()
        ]

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run the network."""
        return self._session.run(None, inputs)


def device_of_job(device: str, job: int) -> str:
    """Return the device of a job (from 1): with several GPUs, ``cuda`` becomes ``cuda:N``, one after the other.

    A queue that gives a job a GPU of its own hides the others from it.
    """
    if device != "cuda":
        return device
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = len(glob("/dev/nvidia[0-9]*")) if visible is None else len(visible.split(","))
    return f"cuda:{(job - 1) % max(1, count)}"
