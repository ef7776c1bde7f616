# Cantus: one non-recursive Makefile. `make help` lists the targets, `make config` what was found.
#
# Variables: PROFILE=release|debug|asan|tsan|fuzz  CC=gcc|clang  CUDA=0|1  MPI=0  V=1 (show commands)  PREFIX=/usr/local

PROFILE ?= release
PREFIX  ?= /usr/local
V       ?= 0
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(PROFILE)),clang,gcc)
endif
VERSION := 0.1.0

B   := build/$(PROFILE)
BIN := $(if $(filter release,$(PROFILE)),build/cantus,$(B)/cantus)
Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(filter 1,$(V)),@:,@printf '  %-5s %s\n' $(1) $(2))

comma := ,
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
# beside this file in what `make gpu-kit` packs
-include kit.mk
GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))

# ---------------------------------------------------------------- what this machine has (probed by compiling and linking)
# build/config.mk says, for each feature, 1 or nothing, its flags, and why not. Made anew when the prober or CC changes.
CONFIG := build/config-$(notdir $(firstword $(CC)))$(if $(CUDA),-cuda$(CUDA))$(if $(MPI),-mpi$(MPI)).mk
NEEDS_CONFIG := $(filter-out help fuzz clean format config-help deps reference,$(GOALS))
ifneq ($(NEEDS_CONFIG),)
$(CONFIG): third_party/probe Makefile
	@mkdir -p build
	@CC='$(CC)' CUDA='$(CUDA)' MPI='$(MPI)' third_party/probe > $@
-include $(CONFIG)
endif
# Programs for a GPU ask for none of the libraries.
GPU_GOALS := gpu-build gpu-kit test-gpu bench-gpu
REQUIRE := $(if $(filter-out $(GPU_GOALS),$(GOALS)),require)

# ---------------------------------------------------------------- flags
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wvla
# messages are cut to their buffers on purpose; gcc alone warns of it
WARN += $(if $(findstring clang,$(CC)),,-Wno-format-truncation)
STD  := -std=c11 -D_GNU_SOURCE -I. -Ibuild/gen -fno-strict-aliasing -ffp-contract=off
OPT_release := -O3 -g
OPT_debug   := -O0 -g
OPT_asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
LD_asan     := -fsanitize=address,undefined
# Threads of our own, in the tests that have some; without OpenMP, whose libraries this sanitizer does not understand.
OPT_tsan    := -O1 -g -fno-omit-frame-pointer -fsanitize=thread -Wno-unknown-pragmas $(if $(findstring clang,$(CC)),,-Wno-maybe-uninitialized)
LD_tsan     := -fsanitize=thread
TSAN_TESTS  := core data prepare checkpoint train infer
ifeq ($(PROFILE),tsan)
OPENMP_CFLAGS :=
OPENMP_LIBS :=
endif
# the fuzzers' own build: sanitizers and coverage, one thread
OPT_fuzz    := $(OPT_asan) -fsanitize=fuzzer-no-link
LD_fuzz     := $(LD_asan)
ifeq ($(PROFILE),fuzz)
OPENMP_CFLAGS := -Wno-unknown-pragmas
OPENMP_LIBS :=
endif
CFLAGS  ?= -Werror
ALL_CFLAGS := $(STD) $(WARN) $(OPT_$(PROFILE)) $(CFLAGS) $(OPENMP_CFLAGS) $(DEP_CFLAGS)
LIBS    := $(LD_$(PROFILE)) $(OPENMP_LIBS) $(DEP_LIBS) -lpthread -ldl -lm

# ---------------------------------------------------------------- sources
SRC := $(filter-out core/main.c kernels/comm_mpi.c,$(wildcard core/*.c core/music/*.c core/data/*.c kernels/*.c models/*.c train/*.c infer/*.c))
# (kernels/comm_mpi.c goes into a library of its own, below)
# kernels/cpu is compiled once for each instruction set; kernels/reference once for each precision.
CPU_SRC := $(wildcard kernels/cpu/*.c)
REF_SRC := $(wildcard kernels/reference/*.c)
ISA_math   := -fno-math-errno -fno-trapping-math
ISA_base   := $(ISA_math)
ISA_avx2   := $(ISA_math) -mavx2 -mfma -mf16c -ffp-contract=fast
ISA_avx512 := $(ISA_math) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512 -ffp-contract=fast
ISAS := base $(if $(filter x86_64,$(shell uname -m)),avx2 avx512)
REALS := float double mixed

OBJ := $(SRC:%.c=$(B)/%.o) \
       $(foreach i,$(ISAS),$(CPU_SRC:%.c=$(B)/%.$(i).o)) \
       $(foreach r,$(REALS),$(REF_SRC:%.c=$(B)/%.$(r).o))
LIB := $(B)/libcantus.a
UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
# programs that several processes are started of (tests/mpi.sh)
RANKS_SRC := $(wildcard tests/mpi/*.c)
RANKS := $(RANKS_SRC:tests/mpi/%.c=$(B)/mpi/%)
TOOL_SRC := $(wildcard tests/tools/*.c)
TOOLS := $(TOOL_SRC:tests/tools/%.c=$(B)/tools/%)
ACCURACY_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/accuracy/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZERS := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(B)/fuzz/%)
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(B)/%.o) $(B)/tests/fuzz/driver.o
.SECONDARY: $(FUZZ_OBJ)
FUZZ_MAIN := $(if $(filter fuzz,$(PROFILE)),-fsanitize=fuzzer,$(B)/tests/fuzz/driver.o)

# ---------------------------------------------------------------- the CUDA machine on the CPU (tests/emulator)
# The kernels compiled as C++ in two flavours: fast, and checked, where the compiler puts a call of ours before each load
# and store (its sanitizers' libraries are not linked). Not under sanitizers: they don't know the emulator's stacks.
WARN_CXX := $(filter-out -Wstrict-prototypes -Wno-format-truncation,$(WARN))
CXXFLAGS ?= -Werror
ALL_CXXFLAGS := -std=c++17 -D_GNU_SOURCE -I. -Itests -fno-strict-aliasing -ffp-contract=off $(WARN_CXX) -O2 -g $(CXXFLAGS)
CU_SRC := $(wildcard kernels/cuda/*.cu)
EMULATED_CU := $(CU_SRC) $(wildcard tests/emulator/*.cu tests/gpu/instructions/*.cu)
# nvcc's own pragmas (unroll)
PRAGMAS := -Wno-unknown-pragmas -Wno-pass-failed
FLAVOURS := fast checked
FLAVOUR_fast    := $(OPT_$(PROFILE)) -fno-exceptions $(PRAGMAS)
FLAVOUR_checked := -O1 -g -fno-exceptions -fno-builtin-memset $(PRAGMAS) -fsanitize=thread,alignment,bounds
EMULATOR_TESTS := $(wildcard tests/emulator/test_*)
PTX_FRONT_END := $(B)/tests/emulator/ptx/front_end.o
EMULATOR_SRC := $(filter-out $(EMULATOR_TESTS) $(PTX_FRONT_END:$(B)/%.o=%.cpp),$(wildcard tests/emulator/*.cpp tests/emulator/ptx/*.cpp))
EMULATOR_OBJ := $(EMULATOR_SRC:%.cpp=$(B)/%.o) $(B)/kernels/cuda/backend.o $(addprefix $(B)/,$(addsuffix .o,$(basename $(EMULATOR_TESTS))))
EMULATED_OBJ := $(foreach f,$(FLAVOURS),$(EMULATED_CU:%.cu=$(B)/%.$(f).o))
.SECONDARY: $(EMULATOR_OBJ) $(EMULATED_OBJ) $(PTX_FRONT_END)
# A third flavour where nvcc is: the PTX that it makes of them, interpreted (tests/emulator/ptx).
$(B)/tests/emulator/ptx/arithmetic.o: ALL_CXXFLAGS += -frounding-math
ARCHITECTURES := $(or $(filter 80 90 100 120,$(CARD)),80 90 100 120)
NVCC_WARN ?= -Werror all-warnings
NVCC_FLAGS := -std=c++17 -I. -O3 -lineinfo $(NVCC_WARN)
# what nvcc makes of the kernels for each architecture that we ship, and PTX for later ones
NVCC_HOST := -Xcompiler -Wall,-Wextra,-fPIC
OLDEST := compute_$(firstword $(ARCHITECTURES))
GENCODE := $(foreach a,$(ARCHITECTURES),-gencode arch=compute_$(a),code=sm_$(a)) -gencode arch=$(OLDEST),code=$(OLDEST)
PTX_ARCHITECTURES := $(if $(filter all,$(CANTUS_PTX)),$(ARCHITECTURES),$(patsubst sm_%,%,$(or $(CANTUS_PTX),sm_90)))
ifneq ($(filter-out $(ARCHITECTURES),$(PTX_ARCHITECTURES)),)
$(error CANTUS_PTX=$(CANTUS_PTX): no such architecture (all, or one of $(ARCHITECTURES:%=sm_%)))
endif
PTX := $(if $(NVCC),$(if $(filter release,$(PROFILE)),$(foreach a,$(PTX_ARCHITECTURES),$(patsubst %.cu,$(B)/tests/ptx/sm_$(a)/%.ptx,$(notdir $(EMULATED_CU))))))
# That of a file that is no more would be run beside it.
$(shell rm -f $(filter-out $(patsubst %.cu,\%/%.ptx,$(notdir $(EMULATED_CU))),$(wildcard $(B)/tests/ptx/sm_*/*.ptx)))
# Tests of kernels (.c) run in every flavour (what requests cost only PTX can tell); those that look inside the machine
# (.cpp) need no kernel.
EMULATED := $(if $(CT_CXX),$(if $(filter release debug,$(PROFILE)),$(addprefix $(B)/tests/,test_fibers_ucontext \
	$(patsubst %.cpp,%,$(notdir $(filter %.cpp,$(EMULATOR_TESTS)))) \
	$(filter-out test_traffic_fast test_traffic_checked,$(foreach f,$(FLAVOURS) $(if $(PTX),ptx),$(patsubst %.c,%_$(f),$(notdir $(filter %.c,$(EMULATOR_TESTS)))))))))

# ---------------------------------------------------------------- the host's half of kernels/cuda
# What calls NVIDIA's libraries needs their headers; what calls that does not.
CUDA_CFLAGS := $(if $(NVCC),-isystem $(dir $(NVCC))../include)
CUDA_OBJ := $(addprefix $(B)/kernels/cuda/,$(if $(NVCC),gemm.o device.o) $(if $(CUDNN_HEADER),cudnn.o sdpa.o,cudnn_none.o) \
	$(if $(NCCL_HEADER),nccl.o,nccl_none.o) algorithms.o gemm_file.o linear.o peer.o ranks.o backend.products.o)
$(CUDA_OBJ): ALL_CFLAGS += -fPIC
# the table of ops with those that are products of matrices
$(B)/kernels/cuda/backend.products.o: kernels/cuda/backend.c $(STAMP) | $(CONFIG) $(REQUIRE)
	$(call say,CC,"$< (products)")
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DCT_HAVE_CUBLASLT -MMD -MP -c $< -o $@
$(addprefix $(B)/kernels/cuda/,gemm.o device.o cudnn.o sdpa.o nccl.o): ALL_CFLAGS += $(CUDA_CFLAGS)

# ---------------------------------------------------------------- doubles of NVIDIA's libraries (tests/standin)
# Behind NVIDIA's headers, so only where a toolkit is. Host code of kernels/cuda is linked with them instead of the libraries.
# Without cuDNN's headers its double and its tests are left out.
OF_CUDNN := $(if $(CUDNN_HEADER),,tests/standin/cudnn.cpp $(wildcard tests/standin/test_cudnn*) tests/standin/test_second_opinion.c)
# So without NCCL's.
OF_NCCL := $(if $(NCCL_HEADER),,tests/standin/nccl.cpp tests/standin/hall.cpp $(wildcard tests/standin/test_nccl*))
STANDIN_TESTS := $(filter-out $(OF_CUDNN) $(OF_NCCL),$(wildcard tests/standin/test_*))
# what is looked up when a program runs
STANDIN_ENTRIES := -Wl,-u,ct_cuda_device_open$(if $(CUDNN_HEADER),$(comma)-u$(comma)cudnnGetVersion)$(if $(NCCL_HEADER),$(comma)-u$(comma)ncclGetVersion)
STANDIN_OBJ := $(patsubst %.cpp,$(B)/%.o,$(filter-out $(STANDIN_TESTS) $(OF_CUDNN) $(OF_NCCL),$(wildcard tests/standin/*.cpp)))
STANDIN_TEST_OBJ := $(addprefix $(B)/,$(addsuffix .o,$(basename $(STANDIN_TESTS))))
STANDIN_CU := $(wildcard tests/standin/*.cu)
STANDINS := $(if $(CUDA_CFLAGS),$(if $(EMULATED),$(foreach f,$(FLAVOURS),$(patsubst tests/standin/%,$(B)/tests/%_$(f),$(basename $(STANDIN_TESTS))))))
$(STANDIN_OBJ) $(STANDIN_TEST_OBJ): ALL_CXXFLAGS += $(CUDA_CFLAGS)
$(STANDIN_TEST_OBJ): ALL_CFLAGS += -Itests $(CUDA_CFLAGS)
# The same descriptors by the library itself, where it is installed: they need no GPU.
CUBLASLT := $(if $(NVCC),$(firstword $(wildcard $(dir $(NVCC))../lib64/libcublasLt.so $(dir $(NVCC))../lib/libcublasLt.so)))
STANDINS += $(if $(STANDINS),$(if $(CUBLASLT),$(B)/tests/test_gemm_descriptors_real))
CUDNN := $(if $(CUDNN_HEADER),$(firstword $(wildcard $(dir $(NVCC))../lib64/libcudnn.so.9 $(dir $(NVCC))../lib/libcudnn.so.9)))
STANDINS += $(if $(STANDINS),$(if $(CUDNN),$(B)/tests/test_cudnn_descriptors_real))
# Sanitizers don't know the emulator's stacks, on which only kernels run: kernels and emulator are those of the release build then,
# the host's C and the tests' are instrumented.
E := $(if $(filter asan,$(PROFILE)),build/release,$(B))
ifeq ($(PROFILE),asan)
STANDINS := $(if $(CUDA_CFLAGS),$(if $(CT_CXX),$(patsubst tests/standin/%.c,$(B)/tests/%_fast,$(filter %.c,$(STANDIN_TESTS)))))
build/release/%: release ; @$(MAKE) -s --no-print-directory PROFILE=release $@
release: ;
.PHONY: release
endif
.SECONDARY: $(STANDIN_OBJ) $(STANDIN_TEST_OBJ) $(CUDA_OBJ) $(foreach f,$(FLAVOURS),$(STANDIN_CU:%.cu=$(B)/%.$(f).o))

# A change of a compiler or its flags rebuilds what is made with them: $(call remember,NAME,TEXT) writes build/<profile>/NAME
# when the text is another than before. Targets that build nothing don't know the flags.
remember = $(if $(NEEDS_CONFIG),$(shell mkdir -p $(B) build/gen; printf '%s\n' '$(2)' | cmp -s - $(B)/$(1) || printf '%s\n' '$(2)' > $(B)/$(1)))
STAMP := $(B)/flags
$(call remember,flags,$(CC) $(ALL_CFLAGS) $(VERSION))
$(call remember,flags.c++,$(CT_CXX) $(ALL_CXXFLAGS))
$(call remember,flags.nvcc,$(NVCC) $(NVCC_FLAGS) $(NVCC_HOST) $(GENCODE))
$(call remember,flags.ptx,$(NVCC) $(NVCC_FLAGS))
$(foreach i,$(ISAS),$(call remember,flags.$(i),$(ISA_$(i))))
$(foreach f,$(FLAVOURS),$(call remember,flags.$(f),$(FLAVOUR_$(f))))

# So does a new commit, but only the file that names it.
REVISION := $(or $(KIT),$(shell git describe --always --dirty 2>/dev/null || echo unknown))
$(call remember,revision,$(REVISION))

all: $(BIN) ## build the program (never installs anything)

$(B)/%.o: %.c $(STAMP) | $(CONFIG) $(REQUIRE)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@
NAMES = -DCT_VERSION='"$(VERSION)"' -DCT_COMPILER='"$(CC)"' -DCT_PROFILE='"$(PROFILE)"' \
	-DCT_FEATURES='"$(FEATURES)"' -DCT_REVISION='"$(REVISION)"'
$(B)/core/version.o: ALL_CFLAGS += $(NAMES)
$(B)/core/version.o: $(B)/revision

define isa_rule
$(B)/%.$(1).o: %.c $(STAMP) $(STAMP).$(1) | $(CONFIG) $(REQUIRE)
	$$(call say,CC,"$$< ($(1))")
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(ISA_$(1)) -DCT_ISA=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))
define real_rule
$(B)/%.$(1).o: %.c $(STAMP) | $(CONFIG) $(REQUIRE)
	$$(call say,CC,"$$< ($(1))")
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) -DCT_REAL=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach r,$(REALS),$(eval $(call real_rule,$(r))))

$(B)/%.o: %.cpp $(STAMP).c++ | $(CONFIG) $(REQUIRE)
	$(call say,C++,$<)
	@mkdir -p $(@D)
	$(Q)$(CT_CXX) $(ALL_CXXFLAGS) -MMD -MP -c $< -o $@
NVCC_OBJ := $(if $(NVCC),$(if $(filter release,$(PROFILE)),$(CU_SRC:%.cu=$(B)/%.nvcc.o)))
# The GPU's half, which the program loads when a config asks for it: beside the program, it finds it there.
CUDA_LIBRARY := $(if $(NVCC_OBJ),$(dir $(BIN))libcantus_cuda.so)
CUDA_LIB_DIR := $(if $(NVCC),$(firstword $(wildcard $(dir $(NVCC))../lib64 $(dir $(NVCC))../lib)))
all: $(CUDA_LIBRARY)
$(CUDA_LIBRARY): $(CUDA_OBJ) $(NVCC_OBJ)
	$(call say,LD,$@)
	$(Q)$(CT_CXX) -shared $^ -L$(CUDA_LIB_DIR) -Wl,-rpath,$(CUDA_LIB_DIR) -lcublasLt -lcudart -o $@
$(B)/%.nvcc.o: %.cu $(STAMP).nvcc | $(CONFIG) $(REQUIRE)
	$(call say,NVCC,$<)
	@mkdir -p $(@D)
	$(Q)$(NVCC) $(NVCC_FLAGS) $(NVCC_HOST) $(GENCODE) -MMD -MP -c $< -o $@
# What needs MPI, which the program loads when it was started as one of several.
MPI_LIBRARY := $(if $(MPI_LIBS),$(dir $(BIN))libcantus_mpi.so)
MPI_OBJ := $(B)/kernels/comm_mpi.o
$(MPI_OBJ): ALL_CFLAGS += -fPIC $(MPI_CFLAGS)
all: $(MPI_LIBRARY)
$(MPI_LIBRARY): $(MPI_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $^ $(LD_$(PROFILE)) $(MPI_LIBS) -o $@
define ptx_rule
$(B)/tests/ptx/sm_$(1)/$(basename $(notdir $(2))).ptx: $(2) $(STAMP).ptx | $(CONFIG) $(REQUIRE)
	$$(call say,PTX,"$$< (sm_$(1))")
	@mkdir -p $$(@D)
	$$(Q)$$(NVCC) $$(NVCC_FLAGS) -arch=compute_$(1) -ptx -MMD -MP $$< -o $$@
endef
$(foreach a,$(ARCHITECTURES),$(foreach f,$(EMULATED_CU),$(eval $(call ptx_rule,$(a),$(f)))))
$(B)/tests/%_ptx: $(B)/tests/emulator/%.o $(PTX_FRONT_END) $(B)/libemulator_fast.a $(LIB) $(PTX)
	$(call say,TEST,$@)
	$(Q)$(CT_CXX) $(filter-out %.ptx,$^) $(LIBS) $(CMOCKA_LIBS) -o $@
# What ptxas says of them, and the report that puts it beside what the emulator counts.
PTXAS := $(foreach a,$(ARCHITECTURES),$(CU_SRC:kernels/cuda/%.cu=$(B)/tests/ptxas/sm_$(a)/%.txt))
define ptxas_rule
$(B)/tests/ptxas/sm_$(1)/%.txt: kernels/cuda/%.cu $(STAMP).ptx | $(CONFIG) $(REQUIRE)
	$$(call say,PTXAS,"$$< (sm_$(1))")
	@mkdir -p $$(@D)
	$$(Q)$$(NVCC) $$(NVCC_FLAGS) -arch=sm_$(1) -cubin -Xptxas -v -MMD -MP -MT $$@ $$< -o $$(@:.txt=.cubin) > $$@ 2>&1 || { cat $$@ >&2; rm -f $$@; exit 1; }
endef
$(foreach a,$(ARCHITECTURES),$(eval $(call ptxas_rule,$(a))))
REPORT_OBJ := $(addprefix $(B)/tests/emulator/,kernels_report.o attention_report.o cards.o)
$(REPORT_OBJ): ALL_CFLAGS += -Itests $(CUDA_CFLAGS)
$(B)/tests/kernels_report: $(REPORT_OBJ) $(PTX_FRONT_END) $(B)/libemulator_fast.a $(LIB) $(PTX)
	$(call say,TOOL,$@)
	$(Q)$(CT_CXX) $(filter-out %.ptx,$^) $(LIBS) -o $@
define flavour_rule
$(B)/%.$(1).o: %.cu $(STAMP).c++ $(STAMP).$(1) | $(CONFIG) $(REQUIRE)
	$$(call say,C++,"$$< ($(1))")
	@mkdir -p $$(@D)
	$$(Q)$$(CT_CXX) $$(ALL_CXXFLAGS) $$(FLAVOUR_$(1)) -MMD -MP -x c++ -c $$< -o $$@
$(B)/libemulator_$(1).a: $(filter-out $(B)/tests/emulator/test_%,$(EMULATOR_OBJ)) $(EMULATED_CU:%.cu=$(B)/%.$(1).o)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
$(B)/tests/%_$(1): $(B)/tests/emulator/%.o $(B)/libemulator_$(1).a $(LIB)
	$$(call say,TEST,$$@)
	$$(Q)$$(CT_CXX) $$^ $$(LIBS) $$(CMOCKA_LIBS) -o $$@
$(B)/tests/%_$(1): $(B)/tests/standin/%.o $(STANDIN_CU:%.cu=$(E)/%.$(1).o) $(B)/libcuda_host.a $(B)/libstandin.a $(E)/libemulator_$(1).a $(LIB)
	$$(call say,TEST,$$@)
	$$(Q)$$(CT_CXX) -rdynamic $$(STANDIN_ENTRIES) $$^ $$(LIBS) $$(CMOCKA_LIBS) -o $$@
endef
$(foreach f,$(FLAVOURS),$(eval $(call flavour_rule,$(f))))
$(B)/tests/test_gemm_descriptors_real: $(B)/tests/standin/test_gemm_descriptors.o $(B)/libcuda_host.a $(LIB)
	$(call say,TEST,$@)
	$(Q)$(CC) $^ $(CUBLASLT) -Wl,-rpath,$(dir $(CUBLASLT)) $(LIBS) $(CMOCKA_LIBS) -o $@
$(B)/tests/test_cudnn_descriptors_real: $(B)/tests/standin/test_cudnn_descriptors.o $(B)/libcuda_host.a $(LIB)
	$(call say,TEST,$@)
	$(Q)$(CC) $^ -Wl,-rpath,$(dir $(CUDNN))stubs:$(dir $(CUDNN)) $(LIBS) $(CMOCKA_LIBS) -o $@
# The whole program with the doubles in the libraries' place: device: cuda on the emulator.
STANDIN_BIN := $(if $(STANDINS),$(B)/cantus_standin)
$(B)/cantus_standin: $(B)/core/main.o $(B)/libcuda_host.a $(B)/libstandin.a $(E)/libemulator_fast.a $(LIB)
	$(call say,LD,$@)
	$(Q)$(CT_CXX) -rdynamic $(STANDIN_ENTRIES) $^ $(LIBS) -o $@
$(B)/libcuda_host.a: $(CUDA_OBJ)
$(B)/libstandin.a: $(STANDIN_OBJ)
$(B)/libcuda_host.a $(B)/libstandin.a $(B)/libalone.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^
$(B)/tests/%: $(B)/tests/emulator/%.o $(B)/libemulator_fast.a $(LIB)
	$(call say,TEST,$@)
	$(Q)$(CT_CXX) $^ $(LIBS) $(CMOCKA_LIBS) -o $@
$(B)/tests/test_fibers_ucontext: tests/emulator/test_fibers.cpp tests/emulator/fiber.cpp tests/emulator/fiber.h $(STAMP).c++
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CT_CXX) $(ALL_CXXFLAGS) -DEMULATOR_UCONTEXT $(filter %.cpp,$^) $(CMOCKA_LIBS) -o $@

# ---------------------------------------------------------------- programs that need a GPU (tests/gpu)
# They are built with a compiler and a CUDA toolkit alone: what needs another library is not there, or tests/gpu/alone stands in
# for it. Each takes from the archive what it calls, and what the GPU's library will ask of it.
GPU_SRC := $(wildcard tests/gpu/*.c)
GPU_PROGRAMS := $(if $(NVCC_OBJ),$(GPU_SRC:tests/gpu/%.c=$(B)/gpu/%) $(B)/gpu/judge)
OF_LIBRARIES := core/json core/yaml core/music/midi kernels/gemm
ALONE_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/gpu/alone/*.c)) $(B)/kernels/gemm.own.o
$(B)/libalone.a: $(filter-out $(OF_LIBRARIES:%=$(B)/%.o),$(OBJ)) $(ALONE_OBJ)
$(B)/kernels/gemm.own.o: kernels/gemm.c $(STAMP) | $(CONFIG) $(REQUIRE)
	$(call say,CC,"$< (own loops)")
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -UCT_HAVE_DNNL -MMD -MP -c $< -o $@
$(GPU_SRC:%.c=$(B)/%.o): ALL_CFLAGS += -Itests
$(B)/gpu/%: $(CUDA_LIBRARY) $(B)/tests/gpu/%.o $(B)/libalone.a
	$(call say,GPU,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -rdynamic $(filter %.o,$^) $$(nm -D -u $(CUDA_LIBRARY) | sed -n 's/.* U \(ct_[a-z0-9_]*\)$$/-Wl,-u,\1/p') $(B)/libalone.a \
		$(GPU_LIBS) $(OPENMP_LIBS) -lpthread -ldl -lm -o $@
# It calls what device.h has not, so the library is linked with it and not loaded when it runs.
$(B)/gpu/test_instructions: GPU_LIBS := -L$(dir $(CUDA_LIBRARY)) -l:$(notdir $(CUDA_LIBRARY)) -Wl,-rpath,'$$ORIGIN/../..' \
	-Wl,-rpath-link,$(CUDA_LIB_DIR)
$(B)/gpu/test_instructions: GPU_LIBS += -L$(CUDA_LIB_DIR) -Wl,-rpath,$(CUDA_LIB_DIR) -lcudart -lstdc++
# Instructions, on the card by one program and on the emulator by another (tests/gpu/instructions): gpu/judge, and for `make test`
# tests/judge_ptx, which runs nvcc's PTX and is the card.
ON_CARD := $(B)/tests/gpu/instructions/instructions.nvcc.o
INSTRUCTIONS := $(addprefix $(B)/tests/gpu/instructions/,operands.o answers.o)
JUDGE := $(INSTRUCTIONS) $(patsubst %,$(B)/tests/gpu/instructions/%.o,judge judge_main instructions.fast) \
	$(patsubst %.cpp,$(B)/%.o,$(filter-out $(EMULATOR_TESTS),$(wildcard tests/emulator/*.cpp)))
$(B)/gpu/test_instructions: $(ON_CARD) $(INSTRUCTIONS)
$(B)/gpu/judge: $(JUDGE) $(B)/libalone.a
$(B)/tests/judge_ptx: $(JUDGE) $(PTX_FRONT_END) $(patsubst %.cpp,$(B)/%.o,$(filter tests/emulator/ptx/%,$(EMULATOR_SRC))) $(B)/libalone.a $(PTX)
$(B)/gpu/judge $(B)/tests/judge_ptx:
	$(call say,GPU,$@)
	@mkdir -p $(@D)
	$(Q)$(CT_CXX) $(filter-out %.ptx,$^) $(OPENMP_LIBS) -lpthread -ldl -lm -o $@
.SECONDARY: $(GPU_SRC:%.c=$(B)/%.o) $(ALONE_OBJ) $(ON_CARD) $(JUDGE)

$(LIB): $(OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $(OBJ)
$(BIN): $(B)/core/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) -rdynamic $(B)/core/main.o $(LIB) $(LIBS) -o $@
$(B)/tests/%: tests/unit/%.c $(LIB) $(STAMP)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $< $(LIB) $(LIBS) $(CMOCKA_LIBS) -o $@
# -rdynamic: for the library that they load
$(B)/mpi/%: tests/mpi/%.c $(LIB) $(STAMP)
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -rdynamic $(ALL_CFLAGS) -Itests -MMD -MP $< $(LIB) $(LIBS) $(CMOCKA_LIBS) -o $@
$(B)/tools/%: tests/tools/%.c $(LIB) $(STAMP)
	$(call say,TOOL,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests -MMD -MP $< $(filter %.o,$^) $(LIB) $(LIBS) -o $@
$(B)/tools/accuracy: $(ACCURACY_OBJ)
$(B)/tools/agreement: $(B)/tests/accuracy/mir.o
$(B)/fuzz/%: $(B)/tests/fuzz/fuzz_%.o $(filter %.o,$(FUZZ_MAIN)) $(LIB)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $< $(FUZZ_MAIN) $(LIB) $(LIBS) -o $@

-include $(OBJ:.o=.d) $(B)/core/main.d $(MPI_OBJ:.o=.d) $(UNIT:=.d) $(RANKS:=.d) $(TOOLS:=.d) $(ACCURACY_OBJ:.o=.d) $(FUZZ_OBJ:.o=.d)
-include $(patsubst %.o,%.d,$(EMULATOR_OBJ) $(EMULATED_OBJ) $(PTX_FRONT_END) $(NVCC_OBJ) $(STANDIN_OBJ) $(STANDIN_TEST_OBJ) $(CUDA_OBJ)) $(PTX:.ptx=.d) $(PTXAS:.txt=.d)
-include $(patsubst %.o,%.d,$(GPU_SRC:%.c=$(B)/%.o) $(ALONE_OBJ) $(ON_CARD) $(JUDGE))

# ---------------------------------------------------------------- targets
require: # what can't be built without; said once, before the compiler says it a hundred times
	@[ -z "$(strip $(REQUIRED_MISSING))" ] || { echo "missing:$(REQUIRED_MISSING) -- make deps installs it, make config says more" >&2; exit 1; }
deps: ## install what is missing (Debian or Ubuntu; prints the command first); OPTIONAL=1: MPI, FluidSynth too
	@third_party/install $(if $(OPTIONAL),--optional)
ready:
	@third_party/install $(or $(INSTALL),--if-missing)
	@$(MAKE) --no-print-directory $(if $(filter-out 0,$(MISSING_N)),-B) $(CONFIG) >/dev/null

demo: ready ## from nothing to new music in out/demo (installs what is missing)
	@$(MAKE) --no-print-directory $(BIN)
	@tests/demo.sh $(BIN)

test test-all test-cuda test-faults test-kernels mutants: INSTALL := --tests
test: ready ## unit and end-to-end tests (installs what is missing)
	@$(MAKE) --no-print-directory test-run
tools: $(TOOLS) ## measuring tools under build/<profile>/tools
test-build: all $(UNIT) $(RANKS) $(EMULATED) $(GPU_PROGRAMS) $(STANDINS) $(STANDIN_BIN) $(if $(PTX),$(B)/tests/kernels_report $(B)/tests/judge_ptx) $(NVCC_OBJ) $(CUDA_OBJ) $(TOOLS) $(FUZZERS)
test-run: test-build
	@tests/run $(BIN) $(B)
test-all: ready ## also what takes long: accuracy on real music, sanitizers, training against the count model
	@$(MAKE) --no-print-directory test-build
	@$(MAKE) --no-print-directory test-build PROFILE=asan
	@$(MAKE) --no-print-directory all $(TSAN_TESTS:%=build/tsan/tests/test_%) PROFILE=tsan $(if $(shell command -v clang),CC=clang)
	@tests/run --all $(BIN) $(B)

test-faults: ready ## every place where a run can fail or be killed, and a hundred kills of each stage (an hour)
	@$(MAKE) --no-print-directory all
	@tests/run --all --only 'long/(faults|kills)' $(BIN) $(B)

test-kernels: ready ## the kernels in every order of threads, also as PTX of each architecture
	@CANTUS_PTX=all $(MAKE) --no-print-directory test-build
	@CANTUS_PTX=all tests/run --only 'test_(bias|bugs|cuda|instructions|machine|ptx|traffic)' $(BIN) $(B)

accuracy: ready ## what the analysis reaches on music it was not fitted on; writes the table in core/music/README.md
	@$(MAKE) --no-print-directory $(B)/tools/accuracy
	@tests/accuracy/run $(B)/tools/accuracy write

# What is fitted: FIT_<table> makes core/music/<table>_weights.c.
FIT_barline := fit_metre ../shared/data/pop909
FIT_chord   := fit_chords ../shared/data/pop909 ../shared/data/nottingham
FIT_key     := fit_key ../shared/data/pop909
FIT_phase   := fit_phase ../shared/data/pop909
FIT_phrase  := fit_phrase ../shared/data/pop909
FIT := $(addprefix fit-,phase barline chord key phrase)
fit: $(FIT) fit-melody ## the analysis's weights anew from ../shared/data, one after the other (minutes each); fit-chord: these alone
$(FIT): fit-%:
	@$(MAKE) --no-print-directory $(B)/tools/$(firstword $(FIT_$*))
	$(Q)$(B)/tools/$(FIT_$*) > $(B)/$*_weights.c
	$(Q)$(if $(shell command -v clang-format),clang-format -i $(B)/$*_weights.c)
	$(Q)mv $(B)/$*_weights.c core/music/$*_weights.c
fit-melody: # a file for each of its networks
	@$(MAKE) --no-print-directory $(B)/tools/fit_melody
	$(Q)$(B)/tools/fit_melody ../shared/data write core/music
	$(Q)$(if $(shell command -v clang-format),clang-format -i core/music/melody_weights_*.c)

test-cuda: ready ## device: cuda without a GPU: the host's code on doubles of NVIDIA's libraries, kernels on the emulator
	@$(MAKE) --no-print-directory all $(STANDINS) $(STANDIN_BIN)
	@tests/run --only 'test_(gemm|cudnn|nccl|second_opinion|runtime|training)|e2e/(cuda|nccl|standin)' $(BIN) $(B)

gpu-build: $(GPU_PROGRAMS)
	@[ -n "$(GPU_PROGRAMS)" ] || { echo "make test-gpu: nvcc is needed:$$(sed -n 's/^#: no  CUDA  */ /p' $(CONFIG))" >&2; exit 1; }
GPU_RUN = PATH="$$PATH:$(dir $(NVCC))" tests/gpu/run
test-gpu: gpu-build ## on a machine with a GPU: ops, whole steps, decoder and attention against the reference
	@$(GPU_RUN) test $(B)/gpu $(CUDA_LIBRARY)
bench-gpu: gpu-build | $(filter test-gpu,$(MAKECMDGOALS)) ## on a machine with a GPU: what ops and steps take, beside cuDNN and PyTorch
	@$(GPU_RUN) bench $(B)/gpu $(CUDA_LIBRARY)
KIT_FILES := Makefile LICENSE third_party/probe core kernels models train tests/gpu $(wildcard tests/*.h) \
	$(filter-out $(EMULATOR_TESTS),$(wildcard tests/emulator/*.h tests/emulator/*.cpp))
gpu-kit: ## build/cantus-gpu-kit.tar.gz, for a machine with a GPU: unpack it there, make test-gpu bench-gpu
	@{ echo 'KIT := $(REVISION)'; cat tests/gpu/kit.mk; } > build/gen/kit.mk
	@tar -czf build/cantus-gpu-kit.tar.gz --exclude=tests/gpu/results \
		--transform='s,^build/gen/,,;s,^,cantus-gpu-kit/,' build/gen/kit.mk $(KIT_FILES)
	@ls -sh build/cantus-gpu-kit.tar.gz

# what tests/mutants/trial.py builds and runs with
PARITY := $(foreach f,$(FLAVOURS),$(B)/tests/test_cuda_parity_$(f))
mutants: export CXX := $(CT_CXX)
$(foreach f,$(FLAVOURS),$(eval mutants: export FLAGS_$(f) = $$(ALL_CXXFLAGS) $$(FLAVOUR_$(f))))
$(foreach f,$(FLAVOURS),$(eval mutants: export LINK_$(f) = $(B)/tests/emulator/test_cuda_parity.o $(B)/libemulator_$(f).a $(LIB) $$(LIBS) $$(CMOCKA_LIBS)))
$(foreach f,$(FLAVOURS),$(eval mutants: export TEST_$(f) = $(B)/tests/test_cuda_parity_$(f)))
# and tests/mutants/host.py
HOST_JUDGES := $(if $(STANDINS),all $(B)/libcuda_host.a $(B)/libstandin.a $(UNIT) $(RANKS) $(filter-out %_real,$(STANDINS)))
ifneq ($(HOST_JUDGES),)
mutants: export HOST_BUILD = $(B)
mutants: export CANTUS_MPI_LIBRARY = $(CURDIR)/build/libcantus_mpi.so
mutants: export HOST_CC = $(CC) $(ALL_CFLAGS) $(CUDA_CFLAGS) -fPIC
mutants: export HOST_LINK_unit = $(LIB) $(LIBS) $(CMOCKA_LIBS)
$(foreach f,$(FLAVOURS),$(eval mutants: export HOST_LINK_$(f) = $$(STANDIN_ENTRIES) $(B)/libcuda_host.a $(B)/libstandin.a $(B)/libemulator_$(f).a $$(HOST_LINK_unit)))
endif
mutants: ready ## are mistakes in the kernels and their host's code caught (hours)? N=50 SEED=1: so many; ONLY='gelu.cu:3', ONLY=host: these
	@[ -n "$(CT_CXX)" ] || { echo "make mutants: a C++ compiler is needed (make config says what was found)" >&2; exit 1; }
	@$(MAKE) -s --no-print-directory $(PARITY) $(HOST_JUDGES)
	@tests/mutants/run --only '$(ONLY)' $(if $(N),--number $(N)) $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS))

kernels-report: ## the table of kernels in kernels/README.md anew (needs nvcc)
	@[ -n "$(PTX)" ] || { echo "make kernels-report: nvcc is needed (make config says what was found)" >&2; exit 1; }
	@$(MAKE) --no-print-directory $(B)/tests/kernels_report $(PTXAS)
	@third_party/kernels-report $(B)/tests/kernels_report $(B)/tests/ptxas
TIME ?= 60
fuzz: ## fuzz every reader of outside files with clang's libFuzzer, TIME=60 seconds each; findings: build/fuzz/findings
	@tests/fuzz/run $(TIME)
fuzz-build: $(FUZZERS)

VENV := build/reference-venv
reference: $(VENV)/ready ## what PyTorch computes, anew, against tests/data/reference (loads 3 GB once)
	@$(VENV)/bin/python -B tests/reference/reference.py
$(VENV)/ready: tests/reference/requirements.txt
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 is missing, or has no venv (hint: apt-get install python3-venv)" >&2; exit 1; }
	@echo "PyTorch goes to $(VENV): 3 GB to load, 5 GB on disk"
	@python3 -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

lint: ## house rules, formatting
	@third_party/lint
tidy: $(CONFIG) ## clang-tidy and cppcheck (some minutes); FILES='a.c b.cu': only these
	@CXX='$(ALL_CXXFLAGS)' CU='$(PRAGMAS)' CUDA='$(CUDA_CFLAGS)' MPI='$(MPI_CFLAGS)' CPU='$(ISA_$(TIDY_ISA)) -DCT_ISA=$(TIDY_ISA)' REFERENCE='-DCT_REAL=double' \
		FILES='$(FILES)' third_party/tidy $(ALL_CFLAGS) $(NAMES)
TIDY_ISA := $(or $(filter avx2,$(ISAS)),base)
format: ## rewrite the sources as .clang-format says
	@clang-format -i $$(git ls-files '*.c' '*.h' '*.cpp' '*.cu')
readme: $(BIN) ## rewrite the table of config keys in README.md from the program
	@third_party/readme $(BIN)

install: $(BIN) $(CUDA_LIBRARY) $(MPI_LIBRARY) ## install the program and its configs below PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/cantus/configs
	install -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/cantus
	install -m 644 configs/*.yaml $(DESTDIR)$(PREFIX)/share/cantus/configs
	$(if $(CUDA_LIBRARY),install -D -m 755 $(CUDA_LIBRARY) $(DESTDIR)$(PREFIX)/lib/cantus/libcantus_cuda.so)
	$(if $(MPI_LIBRARY),install -D -m 755 $(MPI_LIBRARY) $(DESTDIR)$(PREFIX)/lib/cantus/libcantus_mpi.so)
config: $(CONFIG) ## what was found on this machine, and why not
	@sed -n 's/^#: //p' $(CONFIG)
clean: ## remove everything built
	rm -rf build
help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: all require deps ready demo test test-build test-run test-all test-faults test-kernels mutants kernels-report tools fuzz fuzz-build reference lint tidy format readme install config clean help
.PHONY: accuracy fit fit-melody $(FIT) test-cuda gpu-build gpu-kit test-gpu bench-gpu
