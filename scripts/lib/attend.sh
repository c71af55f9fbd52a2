# shellcheck shell=bash
# Sourced by the scripts that wait for mpirun or srun.

# attend COMMAND ...: runs COMMAND and returns its status. SIGUSR1, SIGTERM and SIGINT to this shell become the one signal that ends a
# job after its step (mpirun and srun pass SIGUSR1 on to the server), and set stop_asked.
# shellcheck disable=SC2034 # read by those who source this
stop_asked=0
attend() {
    local child status=0 interrupted=1
    "$@" &
    child=$!
    trap 'interrupted=1 stop_asked=1; kill -USR1 "$child" 2>/dev/null || true' USR1 TERM INT
    while ((interrupted)); do
        interrupted=0
        wait "$child" && status=0 || status=$?
    done
    return "$status"
}
