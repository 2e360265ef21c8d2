# make train   sets up and trains BipedalWalker-v3; again: continues
# make test    sets up and tests
# make test-colab   the notebooks with the package versions of Colab's image, and what installing would change there
# make lint    ruff, mypy, spelling and style
# make reference   writes the pages of docs/reference that follow from the code
# make pictures    makes the pictures of the documents
# make notebooks REPO=owner/name   puts the repository's name, the version and the first cell into all notebooks
PYTHON ?= python3
RUN ?= walker
BIN := .venv/bin

IMAGE := .ci/colab-2026.08-py313.txt

.PHONY: train test test-colab lint reference pictures notebooks clean

train: .venv/ready
	$(BIN)/python -m colab_rl train $(RUN) $(ARGS)

test: .venv/ready-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

test-colab: .venv/ready-dev .venv-colab/ready
	$(BIN)/python tools/resolve.py
	COLAB_RL_KERNEL=$(CURDIR)/.venv-colab/bin/python \
	  $(BIN)/python -m pytest tests/colab/test_notebooks.py -k "suite or killed or example" $(ARGS)

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python tools/dialect.py

reference: .venv/ready-dev
	$(BIN)/python tools/reference.py

pictures: .venv/ready-dev
	$(BIN)/python tools/pictures.py

notebooks:
	$(PYTHON) tools/notebooks.py $(REPO)

# Where ensurepip is missing (Colab, Debian without python3-venv), the machine's own pip fills the environment.
.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; give it with make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv --clear .venv 2>/dev/null \
	  || { $(PYTHON) -m venv --clear --without-pip .venv && $(PYTHON) -m pip --python $(BIN)/python install -q pip; } \
	  || { rm -rf .venv; echo "no virtual environment could be made: apt-get install python3-venv"; exit 1; }

.venv/ready: requirements.txt constraints.txt setup.cfg pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@$(BIN)/python -m pip install -q -c constraints.txt --only-binary envpool -e '.[fast]' \
	  || echo "no EnvPool for this machine: training goes on gymnasium, several times slower"
	touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	$(BIN)/python -m pip install -q -c constraints.txt -r requirements-dev.txt
	touch $@

# Python as in the image, if it is here. Torch as in .venv: the image has it from a file of its own. Box2D, EnvPool and
# colab_rl are left to the notebooks.
.venv-colab/ready: requirements.txt constraints.txt $(IMAGE) | .venv/ready-dev
	$(or $(shell PYENV_VERSION=3.13 python3.13 -c 'import sys; print(sys.executable)' 2>/dev/null),$(BIN)/python) \
	  -m venv --clear .venv-colab
	.venv-colab/bin/python -m pip install -q "$$(grep ^torch== constraints.txt)"
	grep -v -e ^torch -e ^box2d requirements.txt \
	  | .venv-colab/bin/python -m pip install -q -c $(IMAGE) -r /dev/stdin ipykernel
	touch $@

clean:
	rm -rf .venv .venv-colab build *.egg-info .pytest_cache .ruff_cache .mypy_cache
