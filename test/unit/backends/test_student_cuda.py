"""The student's own way on CUDA computes what its module does, within half precision."""

from interpreted import assert_equal_by_triton

CHECK = """
from dataclasses import replace

from ir_vis_fusion.backends.student_cuda import StudentOnCuda
from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.models.student import Student
import torch

device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
generator = torch.Generator().manual_seed(3)


def compare(checkpoint, size, *features):
    model = checkpoint.model.eval()
    images = torch.rand(2, 1, 1, *size, generator=generator)
    backend = StudentOnCuda(checkpoint, device)
    for guidance in (*features, None):
        given = () if guidance is None else (guidance,)
        with torch.inference_mode():
            expected = model(*images, *given)
        found = backend(*images.to(device), *(one.to(device) for one in given)).cpu()
        assert found.shape == expected.shape and found.dtype == torch.float32
        difference = (found - expected).abs().max().item()
        # Of pure noise, of which float16 changes a pixel by two levels.
        assert 0 < difference < 2.5 / 255, (size, difference)


shipped = load_checkpoint(resolve('student'))
compare(shipped, (64, 96))
# No multiples of the factor: the last row and column are repeated.
compare(shipped, (51, 66))
vectors = torch.randn(2, 1, 512, generator=generator)
compare(load_checkpoint(resolve('student_guided')), (40, 48), *vectors)
other = Student(width=8, factor=2, depth=2)
# Another form of a layer is taken from the layer.
other.body[2].dilation = other.body[2].padding = (2, 2)
compare(replace(shipped, model=other), (35, 47))
print('equal')
"""


def test_it_computes_what_the_module_does() -> None:
    assert_equal_by_triton(CHECK)
