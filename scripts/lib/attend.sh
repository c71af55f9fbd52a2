# shellcheck shell=bash
# Sourced by the scripts that wait for mpirun or srun.

# shellcheck source=scripts/lib/printable.sh
. "${BASH_SOURCE[0]%/*}/printable.sh"

# attend COMMAND ...: runs COMMAND, passes on what it and all its ranks print as a terminal may show it, and returns its status. SIGUSR1,
# SIGTERM and SIGINT to this shell become the one signal that ends a job after its step (mpirun and srun pass SIGUSR1 on to the server),
# and set stop_asked.
# shellcheck disable=SC2034 # read by those who source this
stop_asked=0
attend() {
    local child status=0 interrupted=1 filter to
    # No rank shall end the job by a line without end.
    # shellcheck disable=SC2119
    exec {to}> >(trap '' USR1 TERM INT HUP && stdbuf -oL fold -b -w 65536 | printable)
    filter=$!
    "$@" >&"$to" 2>&1 {to}>&- &
    child=$!
    exec {to}>&-
    trap 'interrupted=1 stop_asked=1; kill -USR1 "$child" 2>/dev/null || true' USR1 TERM INT
    while ((interrupted)); do
        interrupted=0
        wait "$child" && status=0 || status=$?
    done
    # It ends with its input; what the command has left behind may hold that open.
    timeout 5 tail --pid="$filter" --sleep-interval=0.1 --follow /dev/null 2>/dev/null || true
    return "$status"
}
