# kills.sh -- the checks of e2e/kills.sh with a hundred kills for each stage.
KILLS=100
. "$(dirname "$0")/../e2e/kills.sh"
