# faults.sh -- the checks of e2e/faults.sh at every place.
ALL=1
. "$(dirname "$0")/../e2e/faults.sh"
