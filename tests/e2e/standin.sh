#!/usr/bin/env bash
# The doubles of NVIDIA's libraries (tests/standin): a device that they don't know. Says so where they are not built.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/library.sh"
runtime=$BUILD_FOLDER/tests/test_runtime_fast

if [ -x "$runtime" ]; then
    refuses 'a capability that is not there' 2 'CANTUS_STANDIN_CAPABILITY is 8.0' env CANTUS_STANDIN_CAPABILITY=7.5 "$runtime"
    refuses 'too many devices' 2 'CANTUS_STANDIN_DEVICES -1, 0, 1 ... 8' env CANTUS_STANDIN_DEVICES=9 "$runtime"
    refuses 'a program that leaves memory' 99 'stand-in: 2 reports' env CANTUS_STANDIN_CHECK=1 "$runtime" leaks
    check 'one that is not checked' "$runtime" leaks
else skip 'no CUDA toolkit: the doubles of its libraries are not built'; fi
finish
