#!/usr/bin/env bash
# What tests/gpu/run and its programs say where there is no GPU, and of results that are of other kernels.
set -u
. "$(dirname "$0")/library.sh"
run=tests/gpu/run programs=$BUILD_FOLDER/gpu

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
if command -v nvidia-smi > /dev/null; then skip 'a GPU is here: make test-gpu runs these'
else
    refuses 'no GPU' 77 'no GPU to run on' $run test "$programs" build/libcantus_cuda.so
    for p in test_ops test_steps test_decoder; do
        [ -x "$programs/$p" ] || { skip "no nvcc: $p is not built"; continue; }
        check "$p without a GPU" sh -c 'CANTUS_CUDA_LIBRARY=build/libcantus_cuda.so "$1"; [ $? = 77 ]' - "$programs/$p"
    done
fi
finish
