"""Restormer blocks on CUDA compute what their modules do, within half precision."""

from interpreted import assert_equal_by_triton

CHECK = """
from ir_vis_fusion.backends.restormer_cuda import exchange_blocks, RestormerOnCuda, SobelOnCuda
from ir_vis_fusion.models.blocks import RestormerBlock, SobelMagnitude
import torch
from torch import nn

device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
torch.manual_seed(0)


def compare(module, channels, height, width):
    x = torch.randn(1, channels, height, width)
    with torch.inference_mode():
        expected = module(x)
        faster = nn.Sequential(module.to(device))
        exchange_blocks(faster, device)
        assert isinstance(faster[0], (RestormerOnCuda, SobelOnCuda))
        found = faster(x.to(device))
    assert found.dtype == torch.float16 and found.shape == expected.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    off = (found.cpu().float() - expected).abs().max() / expected.abs().max()
    assert 0 < off < 2e-3, off
    assert (expected - x).abs().max() > 0.5


for channels, heads in ((32, 4), (16, 1)):
    block = RestormerBlock(channels, heads).eval()
    for weights in block.parameters():
        weights.data *= 1.5
    block.attention[1].temperature.data = 1 + 2 * torch.rand(heads, 1, 1)
    compare(block, channels, 9, 37)
compare(SobelMagnitude(), 24, 7, 35)
# 24 channels are not multiplied at once: such a block stays.
others = nn.Sequential(RestormerBlock(24, 2))
exchange_blocks(others, device)
assert isinstance(others[0], RestormerBlock)
print('equal')
"""


def test_they_compute_what_the_modules_do() -> None:
    assert_equal_by_triton(CHECK)
