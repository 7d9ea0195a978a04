"""
Networks as ONNX files: one file, no custom operators, any frame size.

Inputs are ``vis`` and ``ir`` and the features that the network takes, the output is ``fused``;
all are float32, heights and widths are free. A row of zeros stands for features that are not
there. Metadata are those of :mod:`ir_vis_fusion.backends.description`.
"""

from collections.abc import Iterable
import contextlib
import io
import logging
from pathlib import Path
from typing import Any
import warnings

from ir_vis_fusion.backends.description import to_metadata
from ir_vis_fusion.backends.interface import describe
from ir_vis_fusion.backends.onnx_backend import OUTPUT, require_onnxruntime
from ir_vis_fusion.checkpoint import load_checkpoint
from ir_vis_fusion.errors import BackendError
import torch
from torch import nn

OPSET = 20
# Of no factor of a network a multiple: what happens at the border must be in the file.
_HEIGHT, _WIDTH = 101, 131

# Sums over a frame, and what is divided by them, leave the range of float16: a network is
# converted but for these, and the plain arithmetic that leads to them.
_SENSITIVE = {
    'Div',
    'InstanceNormalization',
    'Reciprocal',
    'ReduceL2',
    'ReduceMean',
    'ReduceProd',
    'ReduceSum',
    'Softmax',
    'Sqrt',
}
_PLAIN = {'Add', 'Cast', 'Clip', 'Expand', 'Mul', 'Reshape', 'Sub', 'Unsqueeze'}


def export_onnx(checkpoint_path: Path, path: Path, precision: str = 'fp32') -> None:
    """
    Write the network of a checkpoint.

    Parameters
    ----------
    checkpoint_path
        A checkpoint of this package.
    path
        File to write; an existing one is replaced as a whole or not at all.
    precision
        ``fp32``, or ``fp16``: convolutions and products in half precision, inputs and output in
        float32 as before.

    Raises
    ------
    CheckpointError
        Where the checkpoint cannot be read.
    BackendError
        Where a library is missing.

    """
    content, _ = to_onnx(checkpoint_path, precision)
    partial = path.with_name(f'{path.name}.partial')
    partial.write_bytes(content)
    partial.replace(path)


def to_onnx(checkpoint_path: Path, precision: str) -> tuple[bytes, dict[str, str]]:
    """Return what :func:`export_onnx` writes, and the metadata in it."""
    onnx = _require_onnx()
    checkpoint = load_checkpoint(checkpoint_path)
    network = describe(checkpoint)
    model = _trace(checkpoint.model, network.guidance)
    if precision == 'fp16':
        model = halve(model)
    metadata = to_metadata(network, checkpoint, precision)
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(), metadata


def _trace(network: nn.Module, guidance: Iterable[str]) -> Any:
    """Return the network as an ``onnx.ModelProto``."""
    if hasattr(network, 'as_2d'):
        network = network.as_2d()
    inputs = network.example_inputs(_HEIGHT, _WIDTH)
    free = {2: 'height', 3: 'width'}
    shapes = tuple(free if tensor.dim() == 4 else None for tensor in inputs)
    with _quiet():
        program = torch.onnx.export(
            network.eval(),
            # Zeros would be as good, if the trace did not depend on their values.
            tuple(torch.rand_like(tensor) for tensor in inputs),
            dynamo=True,
            input_names=('vis', 'ir', *guidance),
            output_names=(OUTPUT,),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    model = program.model_proto
    # Said by formulas otherwise where a network pads and crops.
    for axis, name in free.items():
        model.graph.output[0].type.tensor_type.shape.dim[axis].dim_param = name
    # Sizes between the nodes, said by formulas, and where in our sources each node comes from.
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.ClearField('metadata_props')
        node.ClearField('doc_string')
    return model


def halve(model: Any) -> Any:
    """Convert an ``onnx.ModelProto`` to float16 wherever that is safe."""
    require_onnxruntime()
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    maker = {name: node for node in model.graph.node for name in node.output}
    waiting = [node for node in model.graph.node if node.op_type in _SENSITIVE]
    exact = set()
    while waiting:
        node = waiting.pop()
        if node.name in exact:
            continue
        exact.add(node.name)
        before = [maker[name] for name in node.input if name in maker]
        waiting += [one for one in before if one.op_type in _PLAIN | _SENSITIVE]
    model = convert_float_to_float16(model, keep_io_types=True, node_block_list=sorted(exact))
    _keep_single(model.graph)
    # It leaves its casts of the inputs at the end.
    OnnxModel.graph_topological_sort(model.graph)
    return model


def _keep_single(graph: Any) -> None:
    """Hand float32 over from exact node to exact node: the converter goes by float16 between."""
    single = {
        node.output[0]: node.input[0]
        for node in graph.node
        if node.name.endswith('_cast_to_fp16_node')
    }
    back = {
        node.output[0]: single[node.input[0]]
        for node in graph.node
        if node.name.endswith('_cast_to_fp32_node') and node.input[0] in single
    }
    for node in graph.node:
        node.input[:] = [back.get(name, name) for name in node.input]


def _require_onnx() -> Any:
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{error.name} is missing: pip install 'ir_vis_fusion[export]'"
        ) from None
    return onnx


@contextlib.contextmanager
def _quiet() -> Any:
    """Keep torch's exporter from telling about itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)
