"""What of captioning can be exported."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from vision_apps.applications.captioning.region_inputs import NO_REGIONS, restored, sizes_of
from vision_apps.applications.captioning.types import CaptionAnswer, CaptionInputs
from vision_apps.core.errors import DataError
from vision_apps.core.exportable import Exportable
from vision_apps.data.resizing import resize_boxes, resize_picture

if TYPE_CHECKING:
    from vision_apps.applications.captioning.module import Captioning


class CaptionExport(Exportable[CaptionInputs, CaptionAnswer]):
    """The whole search, for pictures of the network's size: it takes as many steps as the longest caption may
    have. A detector of regions stays outside: they go in."""

    def __init__(self, module: "Captioning") -> None:
        notes = {
            "words": "numbers of words of each caption, 1 is its end, 0 past it; the best caption first",
            "log_probabilities": "natural logarithm, of each caption with its end",
            "maps": "where each word was looked for: rows and columns over the picture",
            "region_boxes": "the regions that were looked at: x1, y1, x2, y2 in pixels of the picture",
            "region_weights": "how much each word was looked for in each region; with its map they sum to 1",
        }
        super().__init__(module.forward, CaptionAnswer, notes, image_size=module.size)
        self.module = module

    def answer(self, graph: Callable[[CaptionInputs], CaptionAnswer], inputs: CaptionInputs) -> CaptionAnswer:
        size, mode = self.module.size, self.module.resize_mode
        images, _ = resize_picture(inputs.images, size, mode)
        if self.module.network.looked_at == "grid":
            return graph(CaptionInputs(images))
        if inputs.regions is None:
            raise DataError(NO_REGIONS)
        boxes = resize_boxes(inputs.regions, sizes_of(inputs.images), size, mode)
        answer = graph(CaptionInputs(images, boxes, inputs.region_features))
        return restored(answer, inputs.images, size, mode)
