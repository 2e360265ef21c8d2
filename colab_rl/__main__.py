"""`python -m colab_rl`."""

from colab_rl.cli import program

if __name__ == "__main__":
    raise SystemExit(program())
