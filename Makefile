# SPDX-License-Identifier: Apache-2.0
# The commands of this project. Each sets up what it needs first; later runs re-use it.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=

IN_ROS := $(PYTHON) -m tools.pypi_ros run
DEMO_ARGS := $(if $(IMAGE),--image "$(IMAGE)") $(if $(VIDEO),--video "$(VIDEO)") \
             $(if $(CAMERA),--camera "$(CAMERA)") $(if $(SCENE),--scene "$(SCENE)") \
             $(if $(KEEP),--keep)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs bench clean

help:
	@echo "make demo    camera node, segmentation node and a client; results in demo_output/"
	@echo "             IMAGE=photo.jpg, VIDEO=clip.mp4 or CAMERA=0: your own input"
	@echo "             SCENE=drive: three cameras, points, mIoU against the truth, a map"
	@echo "             KEEP=1: leave it running until Ctrl-C"
	@echo "make test    the tests; PYTEST_ARGS=test/test_labels.py chooses among them"
	@echo "make lint    ruff and mypy"
	@echo "make docs    the documentation, as HTML in build/docs/html"
	@echo "make bench   time and memory on this machine, in one table and bench_output/bench.json"
	@echo "             BENCH_ARGS=--quick: a minute; BENCH_ARGS=--help: what else there is"
	@echo "make setup   only what the others need: ROS 2, Python packages, colcon build"
	@echo "make clean   remove build/, demo_output/ and bench_output/ (the environments in .venv* stay)"
	@echo
	@echo "A sourced ROS 2 is used when there is one, else Kilted wheels from PyPI,"
	@echo "or those of Jazzy with ROS_DISTRO=jazzy. PYTHON=python3.12 chooses an interpreter."

setup:
	@$(PYTHON) -m tools.pypi_ros setup

demo: setup
	@$(IN_ROS) python demo/run_demo.py $(DEMO_ARGS)

test: setup
	@$(IN_ROS) python -m pytest $(PYTEST_ARGS)

lint: setup
	@$(IN_ROS) ruff check .
	@$(IN_ROS) ruff format --check .
	@$(IN_ROS) mypy

docs: setup
	@$(IN_ROS) sphinx-build -W --keep-going -b html docs build/docs/html

bench: setup
	@$(IN_ROS) python benchmark/run_benchmark.py $(BENCH_ARGS)

clean:
	rm -rf build demo_output bench_output .pytest_cache .mypy_cache .ruff_cache
