# Settings of a kit (make gpu-kit packs them as its kit.mk): all cores, kernels for the card that is there (CARD; without one, for
# all), and what another version of a compiler warns of is no error.
MAKEFLAGS += -j$(shell nproc)
.DEFAULT_GOAL := test-gpu
# 8.9 -> 80: what is compiled for a family's first runs on all of it
CARD := $(addsuffix 0,$(firstword $(subst ., ,$(shell nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null))))
CFLAGS :=
CXXFLAGS :=
NVCC_WARN :=
