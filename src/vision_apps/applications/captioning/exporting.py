"""What of captioning can be exported."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from vision_apps.applications.captioning.types import CaptionAnswer, CaptionInputs
from vision_apps.core.exportable import Exportable
from vision_apps.data.resizing import resize_picture

if TYPE_CHECKING:
    from vision_apps.applications.captioning.module import Captioning


class CaptionExport(Exportable[CaptionInputs, CaptionAnswer]):
    """The whole search, for pictures of the network's size: it takes as many steps as the longest caption may
    have."""

    def __init__(self, module: "Captioning") -> None:
        notes = {
            "words": "numbers of words of each caption, 1 is its end, 0 past it; the best caption first",
            "log_probabilities": "natural logarithm, of each caption with its end",
            "maps": "where each word was looked for: rows and columns over the picture",
        }
        super().__init__(module.forward, CaptionAnswer, notes, image_size=module.size)
        self.module = module

    def refusal(self) -> str | None:
        looked_at = self.module.network.looked_at
        if looked_at == "grid":
            return None
        return (
            f"with model.features={looked_at} what is computed depends on how many boxes pictures have "
            "(model.features=grid does not)"
        )

    def answer(self, graph: Callable[[CaptionInputs], CaptionAnswer], inputs: CaptionInputs) -> CaptionAnswer:
        images, _ = resize_picture(inputs.images, self.module.size, self.module.resize_mode)
        return graph(CaptionInputs(images))
