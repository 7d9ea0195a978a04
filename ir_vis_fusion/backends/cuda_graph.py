"""
Networks on CUDA: half precision, channels last, and one recorded graph for each size of frame.

A small network on a large GPU takes longer to launch than to compute; a CUDA graph launches all of
it at once. It reads and writes the memory that it was recorded with, so frames are copied in, and
the next one's result takes the place of the last.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
import contextlib
import copy

from ir_vis_fusion.backends.interface import describe
from ir_vis_fusion.backends.restormer_cuda import exchange_blocks
from ir_vis_fusion.checkpoint import Checkpoint
import torch
from torch import nn, Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

Run = Callable[..., Tensor]
# Cameras that change their size keep to a few of them; a graph holds the memory of all its maps.
MOST_GRAPHS = 4
_WARM_UP = 3
_MULTIPLY = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class CudaBackend:
    """
    Run the network of a checkpoint on a GPU.

    Parameters
    ----------
    checkpoint
        What :func:`ir_vis_fusion.checkpoint.load_checkpoint` gave.
    device
        A CUDA device.
    exact
        float32 instead of float16.

    """

    images = torch.float32

    def __init__(self, checkpoint: Checkpoint, device: torch.device, exact: bool = False) -> None:
        self.network = describe(checkpoint)
        self.compute = prepare_network(checkpoint.model, device, exact)
        self._graphs = GraphCache(lambda *inputs: record(self.compute, inputs))

    @torch.inference_mode()
    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        return self._graphs(vis, ir, *features)


class GraphCache:
    """
    Keep one recording for each combination of inputs' forms; the least recently used goes first.

    Parameters
    ----------
    record
        Makes a recording from example inputs: what is called with others of their shapes.
    most
        How many are kept.

    """

    def __init__(self, record: Callable[..., Run], most: int = MOST_GRAPHS) -> None:
        self._record = record
        self._most = most
        self._kept: OrderedDict[Hashable, Run] = OrderedDict()

    def __call__(self, *inputs: Tensor | None) -> Tensor:
        """Run the recording for these inputs, made now if need be."""
        key = tuple(None if one is None else (one.shape, one.dtype) for one in inputs)
        if key not in self._kept:
            # First, for the memory of two at once may not be there.
            while len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            self._kept[key] = self._record(*inputs)
        self._kept.move_to_end(key)
        return self._kept[key](*inputs)


def prepare_network(model: nn.Module, device: torch.device, exact: bool) -> Run:
    """
    Return a network as a function on a device, in the types that are fast there.

    Layers that multiply keep their weights in float16 and channels last, those of normalisations
    by batch worked in; all else, sums over a frame among it, stays in float32, as autocast
    decides. On CUDA some blocks are exchanged for faster ones.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    model = model.to(device, memory_format=torch.channels_last)
    if exact:
        return model
    _fold_batch_norms(model)
    if device.type == 'cuda':
        exchange_blocks(model, device)
    for layer in model.modules():
        if type(layer) in _MULTIPLY:
            layer.half()

    def run(*inputs: Tensor | None) -> Tensor:
        # Weights are there in float16: nothing to cache, which recording could not do.
        with torch.autocast(device.type, torch.float16, cache_enabled=False):
            return model(*inputs).float()

    return run


def _fold_batch_norms(model: nn.Module) -> None:
    """Work each normalisation by batch into the convolution before it."""
    for parent in model.modules():
        if not isinstance(parent, nn.Sequential):
            continue
        for at in range(1, len(parent)):
            before, norm = parent[at - 1], parent[at]
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                parent[at - 1], parent[at] = fuse_conv_bn_eval(before, norm), nn.Identity()


def record(run: Run, examples: Sequence[Tensor | None]) -> Run:
    """
    Record a function on CUDA tensors as a graph; its result is valid until the next call.

    All inputs but the first may be in pinned host memory: the graph itself brings what is there
    when it runs, so each call gives the same tensor.
    """
    device = examples[0].device
    static = [None if one is None else one.to(device, copy=True) for one in examples]
    given = [at for at, one in enumerate(examples) if one is not None and one.is_cuda]
    places = [static[at] for at in given]
    planes = all(place.dtype == torch.float32 for place in places)

    def bring_and_run() -> Tensor:
        for place, one in zip(static, examples, strict=True):
            if one is not None and not one.is_cuda:
                place.copy_(one, non_blocking=True)
        return run(*static)

    # Recorded must be what runs later: libraries choose and allocate in the first calls.
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(stream.device))
    graph = torch.cuda.CUDAGraph()
    with _trying_all_convolutions():
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                bring_and_run()
        # Not of all threads: CLIP looks at the scene in another one meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode='thread_local'):
            result = bring_and_run()
    torch.cuda.current_stream(stream.device).wait_stream(stream)

    def replay(*inputs: Tensor | None) -> Tensor:
        copied = [inputs[at] for at in given]
        if planes:
            torch._foreach_copy_(places, copied)
        else:
            for place, one in zip(places, copied, strict=True):
                place.copy_(one, non_blocking=True)
        graph.replay()
        return result

    return replay


@contextlib.contextmanager
def _trying_all_convolutions() -> Iterator[None]:
    """Let cuDNN try for a new size which of its ways is the fastest: it remembers that."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
