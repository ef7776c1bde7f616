# cuda.sh -- the checks of e2e/cuda.sh, all of them for both stages.
ALL=1
. "$(dirname "$0")/../e2e/cuda.sh"
