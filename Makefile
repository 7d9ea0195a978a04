# make demo   install and run the main job: thermal and visible topics in, fused images out
# make test   install and run the tests
# make bench  time the path on this machine and put the tables into README.md
# make quality  measure all models on the pairs of PAIRS= (ir/, vi/) and put the table into README.md;
#             CLIP= takes the weights of CLIP's image tower, BANK= an embedding bank, DETECTOR= an
#             .onnx that looks for the boxes of PAIRS/labels
# make lint   check style
# make fuzz   mutated messages through the decoder for FUZZ_SECONDS=600, of SEED=0 or another
# make soak   the node at 30 Hz for MINUTES=10, told as a table and in soak/soak.json
# make audit  look the installed packages up in a database of vulnerabilities (needs a network)
# make clean  remove what the others made
#
# demo takes THERMAL= and VISIBLE= (two videos or two folders of images, FPS= for folders), or
# BAG= with THERMAL_TOPIC= and VISIBLE_TOPIC= where they cannot be guessed, and MODEL=, DEVICE=.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# A sourced ROS 2 brings rclpy and messages; elsewhere they come as wheels. Its cv_bridge and
# other modules are compiled against NumPy 1, which is why a newer one must not hide it.
ifneq ($(ROS_DISTRO),)
  ifeq ($(shell $(PYTHON) -c 'import rclpy' 2>/dev/null && echo found),found)
    SYSTEM_ROS := yes
  endif
endif
ifeq ($(SYSTEM_ROS),yes)
  VENV_FLAGS := --system-site-packages
  PIP_FLAGS := 'numpy<2'
  EXTRAS_DEMO := bags
  EXTRAS_TEST := dev
else
  EXTRAS_DEMO := ros,bags
  EXTRAS_TEST := ros,dev
endif

given = $(if $(2),$(1) '$(2)')
DEMO_FLAGS = $(call given,--thermal,$(THERMAL)) $(call given,--visible,$(VISIBLE)) \
  $(call given,--fps,$(FPS)) $(call given,--bag,$(BAG)) \
  $(call given,--thermal-topic,$(THERMAL_TOPIC)) \
  $(call given,--visible-topic,$(VISIBLE_TOPIC)) \
  $(call given,--model,$(MODEL)) $(call given,--device,$(DEVICE))

.PHONY: demo test bench quality lint fuzz soak audit clean

demo: $(VENV)/.installed-demo
	$(BIN)/ivf demo --out demo $(DEMO_FLAGS)

test: $(VENV)/.installed-test
	$(BIN)/python test/support/run_tests.py $(PYTEST_FLAGS)

# The node is measured at the first size.
bench: $(VENV)/.installed-test
	$(BIN)/ivf bench --model $(or $(MODEL),student) --backend torch onnxruntime \
	  --size 640x480 320x240 1280x1024 1920x1080 --node \
	  --json resource/bench.json --plot resource/bench.png --markdown README.md

MODELS = student student_guided mgfusion clipfusion textfusion ldfusion
quality: $(VENV)/.installed-test
	@test -d '$(PAIRS)' || { echo 'PAIRS= must be a folder with ir/ and vi/' >&2; exit 1; }
	$(BIN)/ivf evaluate --thermal '$(PAIRS)/ir' --visible '$(PAIRS)/vi' --model $(MODELS) \
	  $(call given,--clip-file,$(CLIP)) $(call given,--bank,$(BANK)) \
	  --out quality --overwrite --json quality/figures.json --markdown README.md
ifneq ($(DETECTOR),)
	$(BIN)/ivf detect-eval --detector '$(DETECTOR)' --labels '$(PAIRS)/labels' \
	  --thermal '$(PAIRS)/ir' --visible '$(PAIRS)/vi' --model student --copies 8 \
	  --out quality/detection --overwrite --json quality/detection.json --markdown README.md
endif

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fuzz: $(VENV)/.installed-test
	$(BIN)/python test/fuzz/fuzz_messages.py --seconds $(or $(FUZZ_SECONDS),600) \
	  --seed $(or $(SEED),0) --progress .fuzz-progress

soak: $(VENV)/.installed-test
	$(BIN)/python test/soak/soak.py --minutes $(or $(MINUTES),10) --out soak

audit: $(VENV)/.installed-test
	$(BIN)/python -m pip install pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > .audit-packages
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement .audit-packages

clean:
	rm -rf $(VENV) demo quality build install log soak .fuzz-progress .audit-packages

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)

$(VENV)/.installed-%: $(VENV)/bin/python setup.py
	$(BIN)/python -m pip install -e '.[$(EXTRAS_$(if $(filter demo,$*),DEMO,TEST))]' $(PIP_FLAGS)
	touch $@
