# kills.sh -- the checks of e2e/checkpoints.sh with a hundred kills at any moment. About three minutes.
KILLS=100
. "$(dirname "$0")/../e2e/checkpoints.sh"
