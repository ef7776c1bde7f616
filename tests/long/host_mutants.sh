# host_mutants.sh -- mistakes in the host's code for the GPU (tests/mutants/host) are all caught by its tests: half an hour on two cores.
. "$(dirname "$0")/../e2e/library.sh"
if [ -x "$BUILD_FOLDER/tests/test_training_fast" ] && [ "$BUILD_FOLDER" = build/release ]; then
    check 'all are caught' make mutants ONLY=host
else skip 'mutants of the host: no CUDA toolkit, whose headers the doubles need'; fi
finish
