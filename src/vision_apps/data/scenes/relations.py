"""The generated world as a graph: objects, and how they lie to each other."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vision_apps.core.errors import require_no
from vision_apps.data.object_detector import DETECTOR_FACTS, WithDetector
from vision_apps.data.scenes.related import PREDICATES, RelatedWorld, relations_of
from vision_apps.data.scenes.render import Picture
from vision_apps.data.scenes.views import SceneBoxes, visible
from vision_apps.data.scenes.world import Scene

MOST_OBJECTS = 6  # more leave no place where it is clear how they lie to each other


class SceneRelations(WithDetector, SceneBoxes):
    """The world with boxes, and with a predicate for each ordered pair of objects that are near each other.

    Offers what `SceneBoxes` does and ``relations`` int64 [M (M - 1), 3]: the row of the subject, that of the
    object, and the predicate; -1 past the relations. Predicates are true of the whole objects, also of what
    is hidden of them (`related`). The largest object comes first.

    Training pictures have none of the triplets of kind, predicate and kind that `related.held_out` names;
    those of validation and test have: what recall of the unseen (zR@K) is about.

    Args:
        objects: the least and greatest number of objects, 1..6.
    """

    fields: ClassVar[tuple[str, ...]] = (*SceneBoxes.fields, "relations")
    fact_names: ClassVar[tuple[str, ...]] = (
        *SceneBoxes.fact_names,
        *("predicate_names", "num_predicates"),
        *DETECTOR_FACTS,
    )

    def __init__(self, *, objects: Sequence[int] = (3, 5), **world: Any) -> None:
        if len(objects) == 2 and not 1 <= objects[0] <= objects[1] <= MOST_OBJECTS:
            require_no([f"data.objects: {list(objects)}; expected [least, most] within 1..{MOST_OBJECTS}"])
        super().__init__(objects=objects, **world)
        drawn = self.world
        self.world = RelatedWorld(drawn.seed, drawn.objects, drawn.colors_by_kind)

    @property
    def facts(self) -> dict[str, Any]:
        return super().facts | {"predicate_names": list(PREDICATES), "num_predicates": len(PREDICATES)}

    def fields_of(self, scene: Scene, picture: Picture) -> dict[str, NDArray[np.generic]]:
        rows = {thing: row for row, thing in enumerate(visible(scene, picture))}
        most = self.world.objects[1]
        relations = np.full((max(1, most * (most - 1)), 3), -1, np.int64)
        told = [
            (rows[one], rows[other], said)
            for one, other, said in relations_of(scene.things)
            if one in rows and other in rows
        ]
        relations[: len(told)] = np.array(told, np.int64).reshape(-1, 3)
        return super().fields_of(scene, picture) | {"relations": relations}
