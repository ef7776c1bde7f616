#!/usr/bin/env bash
# What tests/gpu/run and its programs say where there is no GPU, and of results that are of other kernels; the kit of
# make gpu-kit, built in a folder of its own where no library but CUDA's can be found (kernels are not compiled again).
set -u
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
run=tests/gpu/run programs=$BUILD_FOLDER/gpu
unset MAKEFLAGS MAKELEVEL MFLAGS

refuses 'no word' 2 "test, bench or status, not ''" $run
refuses 'another word' 2 "test, bench or status, not 'tset'" $run tset
check 'a status' $run status
tree=$TMP/tree # of its own, where results and kernels can change
mkdir -p "$tree/kernels" "$tree/tests/gpu"
cp -r kernels/cuda "$tree/kernels"; cp $run "$tree/tests/gpu"
says() { grep -qF -- "$1" <("$tree/$run" status); }
check 'nothing has run' says 'test: Not run on a GPU'
mkdir "$tree/tests/gpu/results"
(cd "$tree" && export LC_ALL=C && printf 'kernels/cuda %s\na card\n' "$(cat kernels/cuda/*.[ch] kernels/cuda/*.cu | sha256sum | cut -c1-16)") > "$tree/tests/gpu/results/test"
check 'run with these kernels' says 'test: run with these kernels: a card'
echo '/* changed */' >> "$tree/kernels/cuda/gelu.cu"
check 'run with others' says 'test: Not run with these kernels'

# the kit, among headers and programs that are as good as none
kit=$TMP/cantus-gpu-kit none=$TMP/none
mkdir -p "$none/include/oneapi/dnnl" "$none/bin"
for header in cmocka glib jansson mpi oneapi/dnnl/dnnl smf yaml; do echo '#error not here' > "$none/include/$header.h"; done
for program in pkg-config python3 git; do printf '#!/bin/sh\nexit 127\n' > "$none/bin/$program"; chmod +x "$none/bin/$program"; done
in_kit() { (cd "$kit" && CPATH=$none/include PATH=$none/bin:$PATH "$@"); }
packed() { make -s gpu-kit && tar -xzf build/cantus-gpu-kit.tar.gz -C "$TMP" && [ -s "$kit/kit.mk" ] && [ ! -e "$kit/tests/gpu/results" ]; }
check 'a kit is packed' packed
refuses 'a kit without nvcc' 2 'make test-gpu: nvcc is needed: switched off by CUDA=0' in_kit make -s CUDA=0
alone() { # PROGRAM: it is linked with what a system and a toolkit have
    readelf -d "$1" > "$TMP/needs" && grep -q 'NEEDED.*libc\.so' "$TMP/needs" && ! grep -E 'NEEDED.*(smf|yaml|jansson|dnnl|cmocka|glib|mpi)' "$TMP/needs"
}
says_why() { # COMMAND...: one sentence and exit code 77
    "$@" > "$TMP/why" 2>&1; [ $? = 77 ] && [ "$(grep -c '' "$TMP/why")" = 1 ] && grep -q '^skipped: device cuda: .*(hint: ' "$TMP/why"
}
built() { # the kernels are this tree's
    in_kit make -s config > /dev/null || return
    for folder in kernels/cuda tests/gpu/instructions; do
        mkdir -p "$kit/$BUILD_FOLDER/$folder" && cp "$BUILD_FOLDER/$folder"/*.nvcc.o "$kit/$BUILD_FOLDER/$folder" || return
    done
    in_kit make -s OPT_release=-O0 gpu-build
}
if [ ! -x "$programs/test_ops" ]; then skip 'no nvcc: programs for a GPU are not built'
else
    check 'a kit builds with a compiler and a toolkit' built
    for folder in . "$kit"; do
        check "$folder: judge needs no other library" alone "$folder/$programs/judge"
        for p in test_ops test_steps test_decoder test_sdpa 'test_instructions answers' 'bench steps'; do
            check "$folder: $p needs no other library" alone "$folder/$programs/${p% *}"
            if command -v nvidia-smi > /dev/null; then skip 'a GPU is here: make test-gpu runs these'
            else check "$folder: $p without a GPU" says_why env CANTUS_CUDA_LIBRARY="$folder/build/libcantus_cuda.so" "$folder/$programs/"$p; fi
        done
    done
    command -v nvidia-smi > /dev/null || refuses 'a kit without a GPU' 2 'no GPU to run on' in_kit make -s OPT_release=-O0
    printf '#!/bin/sh\necho "$1 begins"; sleep 0.2; echo "$1 ends"\n' > "$kit/$run"
    in_turn() { [ "$(in_kit make -s -j4 OPT_release=-O0 bench-gpu test-gpu | paste -sd,)" = 'test begins,test ends,bench begins,bench ends' ]; }
    check 'a card is measured after its test' in_turn
fi
command -v nvidia-smi > /dev/null || refuses 'no GPU' 77 'no GPU to run on' $run test "$programs" build/libcantus_cuda.so
finish
