"""Distillation: the student's image is the teacher's, its edges above all."""

from torch import Tensor
from training.losses.gradient import sobel


def distillation_loss(student: Tensor, teacher: Tensor) -> Tensor:
    r"""
    Mean absolute distance of the images and of their gradients.

    .. math::
        \frac{1}{HW} \left( \lVert F_s - F_t \rVert_1
        + \lVert \nabla F_s - \nabla F_t \rVert_1 \right)

    with signed Sobel gradients (a step of h counts h), both components summed. The two pixel
    terms are our choice; the features of AgentFuse, whose teacher is LDFusion, are compared by
    :func:`training.losses.perceptual.perceptual_loss`.

    Parameters
    ----------
    student, teacher
        Fused images of the same scene, (B, 1, H, W) in [0, 1], H and W at least 3.

    Returns
    -------
    A scalar.

    """
    pixels = (student.float() - teacher.float()).abs().mean()
    return pixels + (sobel(student) - sobel(teacher)).abs().sum(1).mean()
