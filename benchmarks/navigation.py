"""How fast demonstrations are made and agents walk, against what one would write first.

    python benchmarks/navigation.py [--rounds 5] [--episodes 64] [--level GoToLocalS6N4]

Demonstrations: ours, with all that is kept of them, against the bare loop of BabyAI's bot in Minigrid, of the
same seeds in one process. Goal: at least 0.8 of its demonstrations per second of processor time.

Steps: a batch of agents in rooms that are tensors, against one agent after the other in Minigrid's own
environments with ``RGBImgPartialObsWrapper``, the same network of random weights in both. Goal: at least 4
times the steps per second of processor time. Before that, both are held to the same actions.

Ways take turns and a ratio is taken within a round; of processor time, which other work on the machine hardly
moves.
"""

import argparse
import contextlib
import io
import platform
import statistics
from typing import Any

import torch
from omegaconf import OmegaConf

from timing.turns import Turns


def demonstrations(level: str, episodes: int, rounds: int) -> None:
    from vision_apps.data.episodes import experts, levels, rooms

    ours = levels.make(level)
    import gymnasium
    from minigrid.utils.baby_ai_bot import BabyAIBot

    bare: Any = gymnasium.make(f"BabyAI-{level}-v0", disable_env_checker=True).unwrapped
    seeds = range(episodes)
    most = 576  # steps that Minigrid allows in its largest maze

    def loop() -> list[int]:
        lengths = []
        for seed in seeds:
            with contextlib.redirect_stdout(io.StringIO()):
                bare.reset(seed=seed)
            bot, action, count = BabyAIBot(bare), None, 0
            while action != 6 and count < most:
                action = int(bot.replan(action))
                count += 1
                if action != 6:
                    bare.step(action)
            lengths.append(count)
        return lengths

    def kept() -> list[int]:
        return [len(experts.demonstration(ours, seed, most).actions) for seed in seeds]

    assert rooms.STOP == 4 and loop() == kept(), "both do the same"
    turns = Turns({"bare": loop, "ours": kept}, rounds)
    for name in ("bare", "ours"):
        rate = episodes / statistics.median(turns.processor[name])
        print(f"demonstrations of {level}, {name}: {rate:,.0f} per second of processor time")
    print(f"ours against the bare loop: {turns.ratio('bare', 'ours')} times")


def steps(level: str, episodes: int, rounds: int) -> None:
    from minigrid.wrappers import RGBImgPartialObsWrapper

    from vision_apps.applications.navigation.types import Observation
    from vision_apps.core import assembly
    from vision_apps.core.config.compose import compose
    from vision_apps.core.loader import BatchLoader
    from vision_apps.data.episodes import levels, reading

    few = ["data.train_images=8", "data.val_images=4", f"data.test_images={episodes}"]
    config: Any = OmegaConf.to_container(
        compose(["task=navigation", f"data.level={level}", *few]), resolve=True
    )
    torch.manual_seed(0)
    data = assembly.build_data(config)
    module: Any = assembly.build_module(config, data.facts, trainable=False).eval()
    data.batch_type = module.batch_type
    batch = next(iter(BatchLoader(data.samples("test"), data.batch_type, batch_size=episodes)))
    inputs, agent, world = module.inputs(batch), module.network, module.world
    environment = levels.make(level)
    seen_by = RGBImgPartialObsWrapper(environment, tile_size=8)

    @torch.no_grad()
    def one_by_one() -> list[list[int]]:
        found = []
        for seed, told in zip(batch.starts[:, 0].tolist(), batch.instructions, strict=True):
            with contextlib.redirect_stdout(io.StringIO()):
                environment.reset(seed=seed)
            memory, actions = torch.zeros(1, agent.memory), []
            while len(actions) < world.max_steps and (not actions or actions[-1] != world.stop):
                view = type(environment).gen_obs(environment)
                pixels = torch.from_numpy(seen_by.observation(view)["image"]).permute(2, 0, 1)[None]
                decision = agent(Observation(module.normalize(pixels)), told[None], memory)
                memory = decision.memory
                actions.append(int(decision.logits.argmax(1)))
                reading.act(environment, actions[-1])
            found.append(actions)
        return found

    def together() -> Any:
        return module(inputs)

    with torch.no_grad():
        walked = together().actions
        assert one_by_one() == [[a for a in row if a >= 0] for row in walked.tolist()], "both do the same"
        count = int((walked >= 0).sum())
        turns = Turns({"one by one": one_by_one, "together": together}, rounds)
    for name in ("one by one", "together"):
        rate = count / statistics.median(turns.processor[name])
        print(f"steps of {episodes} episodes of {level}, {name}: {rate:,.0f} per second of processor time")
    print(f"together against one by one: {turns.ratio('one by one', 'together')} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--level", default="GoToLocalS6N4")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{platform.processor() or platform.machine()}, 1 thread, torch {torch.__version__}")
    demonstrations(given.level, given.episodes, given.rounds)
    steps(given.level, given.episodes, given.rounds)


if __name__ == "__main__":
    main()
