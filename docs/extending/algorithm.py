"""An algorithm of your own, in one folder: docs/extending/td3. `python docs/extending/algorithm.py`"""

from td3.td3 import TD3

from colab_rl import train


def main(run="td3-pendulum", **options):
    """Starts the run, or continues it."""
    return train(run, env="Pendulum-v1", algo=TD3, **options)


if __name__ == "__main__":
    print(main().state_sha256)
