# Every entry point of the course. `make course` sets up and makes everything; `make test` sets up and tests.
# PYTHON=python3.12 chooses another interpreter (3.11 to 3.13).

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: help course test test-long book pdf serve bench bench-grading gpu clean lint

help:
	@echo "make course   set up, generate notebooks, grade a sample class, build the book"
	@echo "make test     set up, lint and test"
	@echo "make test-long   what takes an hour: thousands of damaged hand-ins, killed graders at many moments"
	@echo "make book     build the book only        make serve   read it on http://localhost:8000"
	@echo "make pdf      the book as one PDF, for paper"
	@echo "make bench    measure on this machine    make gpu     run everything that needs a GPU"
	@echo "make bench-grading  measure grading: beside plain nbgrader, and 10,000 notebooks (hours; let nothing else run)"
	@echo "make clean    remove what is derived; hand-ins and grades in classroom/ stay"

$(READY): pyproject.toml constraints.txt autograder/system.py
	@$(PYTHON) autograder/system.py $(PYTHON)
	@echo "Installing the course's dependencies into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv
	@# torch first and by itself: asked for plainly, pip takes the build that fits this machine.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

course: $(READY)
	@$(BIN)/course build

test: $(READY) lint
	@$(BIN)/python -m pytest -n auto --dist loadgroup

test-long: $(READY)
	@COURSE_FUZZ_EXAMPLES=2000 COURSE_EVENT_ROUNDS=4 COURSE_EVENT_SEED=$$(date +%s) $(BIN)/python -m pytest -n auto \
		--dist loadgroup -m "" tests/autograder/grading/test_fuzz.py tests/autograder/grading/test_events.py \
		tests/test_packaging.py tests/test_readme.py

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

book: $(READY)
	@$(BIN)/course build --only book

pdf: book
	@$(BIN)/python -m book.print

serve: book
	@echo "The book is on http://localhost:8000 (Ctrl-C ends)"
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

bench: $(READY)
	@$(BIN)/course measure bench

bench-grading: $(READY)
	@$(BIN)/course measure grading

gpu: $(READY)
	@$(BIN)/course measure gpu

clean:
	rm -rf _build .cache notebooks/release book/*/figures dist
	find notebooks/instructor -name '*.ipynb' -delete
