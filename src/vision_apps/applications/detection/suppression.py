"""From scored boxes to detections: the threshold, non-maximum suppression within each class, the best few."""

from torch import Tensor
from torchvision.ops import batched_nms

from vision_apps.applications.detection.types import Detections

CANDIDATES = 5000  # suppression is quadratic; an untrained network scores everything


def suppress(
    boxes: Tensor, scores: Tensor, score_threshold: float, iou_threshold: float, max_detections: int
) -> Detections:
    """The detections of one picture, best first.

    Args:
        boxes: float [n, 4] for all classes or [n, K, 4] for each; those without area are dropped.
        scores: float [n, K], the higher the better.
        iou_threshold: of two boxes of a class that overlap more, the worse one goes.
    """
    boxes, scores = boxes.float(), scores.float()
    if boxes.ndim == 2:
        boxes = boxes[:, None].expand(-1, scores.shape[1], -1)
    solid = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)
    rows, labels = ((scores > score_threshold) & solid).nonzero(as_tuple=True)
    boxes, scores = boxes[rows, labels], scores[rows, labels]
    if len(scores) > CANDIDATES:
        scores, best = scores.topk(CANDIDATES)
        boxes, labels = boxes[best], labels[best]
    kept = batched_nms(boxes, scores, labels, iou_threshold)[:max_detections]
    return Detections(boxes[kept], scores[kept], labels[kept])
