# SPDX-License-Identifier: Apache-2.0
# The commands of this project. The first run sets up what they need; later runs reuse it.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOAK_ARGS ?=

IN_ROS := $(PYTHON) -m tools.pypi_ros run
DEMO_ARGS := $(if $(IMAGE),--image "$(IMAGE)") $(if $(VIDEO),--video "$(VIDEO)") \
             $(if $(CAMERA),--camera "$(CAMERA)") $(if $(SCENE),--scene "$(SCENE)") \
             $(if $(KEEP),--keep)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint docs bench soak clean

help:
	@echo "make demo    run a camera node, the segmentation node and a client; see demo_output/"
	@echo "             IMAGE=photo.jpg, VIDEO=clip.mp4 or CAMERA=0 for your own input"
	@echo "             SCENE=drive: three cameras, points, a map, and the mIoU against ground truth"
	@echo "             SCENE=map: the same drive as a map that is asked in words"
	@echo "             KEEP=1: keep running until Ctrl-C, with a page in the browser; not with SCENE"
	@echo "make test    run the tests; PYTEST_ARGS=test/test_labels.py selects some"
	@echo "             PYTEST_ARGS=\"-m 'not slow'\": the quick ones, in two minutes"
	@echo "make lint    check style and types with ruff and mypy"
	@echo "make docs    build the documentation: build/docs/html/index.html"
	@echo "make bench   measure time and memory on this machine; also bench_output/bench.json"
	@echo "             BENCH_ARGS=--quick takes a minute; BENCH_ARGS=--help lists the options"
	@echo "make soak    send random input for hours, and kill processes while labels change"
	@echo "             SOAK_ARGS=\"--scale 0.01\" for a hundredth; SOAK_ARGS=--help lists the options"
	@echo "             the table of figures is also written to soak_output/soak.txt"
	@echo "make setup   only prepare the above: ROS 2, Python packages, colcon build"
	@echo "make clean   remove build/ and what the other targets leave, but not .venv*"
	@echo
	@echo "A sourced ROS 2 is used if there is one, else Jazzy from PyPI wheels, or Kilted with"
	@echo "ROS_DISTRO=kilted. PYTHON=python3.12 selects the interpreter."

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

soak: setup
	@$(IN_ROS) python test/soak/run_soak.py $(SOAK_ARGS)

clean:
	rm -rf build demo_output bench_output soak_output .pytest_cache .mypy_cache .ruff_cache
