# shellcheck shell=bash
# Sourced by the scripts that start, follow and end the training job of this folder: one at a time, recorded in .job/.
#   .job/leader  process id and start time of the leader of the job's session (a process id alone may be somebody else's by now)
#   .job/log     a link to the log, runs/job-TIME.log
#   .job/status  the exit status, once the job has ended

# shellcheck source=scripts/lib/request.sh
. "${BASH_SOURCE[0]%/*}/request.sh"

JOB=.job
# shellcheck disable=SC2034 # read by stop.sh, too
GRACE=60 # seconds that a job has for its last step

# start_time PID: when that process started, in clock ticks since boot; nothing if there is none.
start_time() {
    local stat
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
    # Behind the command's name, which stands in parentheses and may contain anything.
    awk '{ print $20 }' <<<"${stat##*) }"
}

# job_leader: prints the leader's process id while the job runs; fails if none does.
job_leader() {
    local pid started
    { read -r pid started <"$JOB/leader"; } 2>/dev/null || return 1
    [[ -n $started && $(start_time "$pid") == "$started" ]] || return 1
    echo "$pid"
}

# start_job COMMAND ...: runs COMMAND as this folder's job, in a session of its own that outlives the terminal.
start_job() {
    local log
    mkdir -p "$JOB" runs
    exec 9>"$JOB/lock"
    if ! flock --nonblock 9 || job_leader >/dev/null; then
        echo "$program: a job of this folder is running; bash scripts/logs.sh follows it, bash scripts/stop.sh ends it" >&2
        exit 2
    fi
    log=runs/job-$(date +%Y%m%d-%H%M%S).log
    : >"$log"
    ln -sfn "../$log" "$JOB/log"
    rm -f "$JOB/leader" "$JOB/status"
    setsid --fork bash scripts/node/supervise.sh "$@" </dev/null >>"$log" 2>&1 9>&-
    until job_leader >/dev/null || [[ -e $JOB/status ]]; do
        sleep 0.05
    done
    exec 9>&-
}

# no_job: ends, as there is no log.
no_job() {
    echo "$program: no job was ever started in $PWD; bash scripts/train_local.sh starts one" >&2
    exit 2
}

# follow_job BYTE: prints the log from that byte on, counted from 0, until the job has ended; returns the job's status.
follow_job() {
    local leader
    if leader=$(job_leader); then
        tail --pid="$leader" --sleep-interval=0.3 --bytes="+$(($1 + 1))" --follow "$JOB/log"
    elif [[ -e $JOB/log ]]; then
        tail --bytes="+$(($1 + 1))" "$JOB/log"
    else
        no_job
    fi
    if [[ ! -e $JOB/status ]]; then
        echo "$program: the job was killed and has left no exit status; start it again with --resume" >&2
        return 1
    fi
    return "$(<"$JOB/status")"
}

# stop_job SECONDS: asks the job to end after its step, with a checkpoint; kills what is left of it after so long.
stop_job() {
    local leader deadline=$((SECONDS + $1))
    leader=$(job_leader) || {
        echo "no job is running in $PWD"
        return
    }
    echo "the job ends after its step ..."
    kill -USR1 "$leader"
    while job_leader >/dev/null; do
        if ((SECONDS >= deadline)); then
            echo "it has not ended within $1 s, and is killed; its newest checkpoint stays" >&2
            end_session "$leader"
            return
        fi
        sleep 0.2
    done
    echo "the job has ended with status $(cat "$JOB/status" 2>/dev/null || echo unknown)"
}

# end_session LEADER: ends every process of the session that LEADER leads, by SIGTERM and at last by SIGKILL.
end_session() {
    local signal pids
    for signal in TERM TERM TERM KILL; do
        mapfile -t pids < <(ps -o pid= --sid "$1" | tr -d ' ')
        ((${#pids[@]})) || return 0
        kill -"$signal" "${pids[@]}" 2>/dev/null || true
        sleep 1
    done
}

# limit_time MINUTES: makes time_limit, the words in front of a job's command that end it after its step once its time is up (and kill
# it ten minutes later if it has not ended); none if MINUTES is empty or 0. It signals the command alone, which knows whom to tell.
# shellcheck disable=SC2034 # read by those who source this
time_limit=()
limit_time() {
    [[ -n $1 ]] || return 0
    [[ $1 =~ ^[0-9]{1,7}(\.[0-9]{1,3})?$ ]] || refuse "--time-limit needs a number of minutes; got $1"
    # shellcheck disable=SC2034
    time_limit=(timeout --foreground --preserve-status --signal USR1 --kill-after 10m "$1m")
}

# run_job DETACH COMMAND ...: starts the job; unless DETACH is 1, shows its log, and Ctrl-C ends it.
run_job() {
    local detach=$1 status=0
    shift
    start_job "$@"
    if ((detach)); then
        echo "job started; bash scripts/logs.sh follows it, bash scripts/stop.sh ends it"
        return
    fi
    trap 'trap - INT TERM; stop_job "$GRACE"; exit 130' INT TERM
    follow_job 0 &
    wait $! || status=$?
    trap - INT TERM
    return "$status"
}
