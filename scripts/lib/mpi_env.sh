# shellcheck shell=bash
# Sourced by the scripts, and by users before mpirun: what Open MPI and the numerical libraries need to run many ranks on few cores.
# Works as root and as a user; settings that the caller has made already win.

export OMPI_ALLOW_RUN_AS_ROOT="${OMPI_ALLOW_RUN_AS_ROOT:-1}"
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="${OMPI_ALLOW_RUN_AS_ROOT_CONFIRM:-1}"
# More ranks than cores: share them, bind nobody. Host after host by its slots: without "slot", sharing puts all ranks on the first.
export PRTE_MCA_rmaps_default_mapping_policy="${PRTE_MCA_rmaps_default_mapping_policy:-slot:oversubscribe}"
export PRTE_MCA_hwloc_default_binding_policy="${PRTE_MCA_hwloc_default_binding_policy:-none}"
# One thread a rank: results depend on it, and 16 ranks with many threads each would compete for the cores.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export MKL_NUM_THREADS="${MKL_NUM_THREADS:-1}"
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"
# Open MPI's one-sided transport over libfabric sleeps for a second at each start, and all that is sent here is two-sided.
export OMPI_MCA_btl="${OMPI_MCA_btl:-^ofi}"
# A debugger could attach to mpirun by files in the folder TMPDIR/ompi.PID (prted.PID on other hosts). When one is killed by force they
# stay, and the next with the same process id, in a container perhaps soon, would not start: "The PMIx server's listener thread failed".
export PRTE_MCA_pmix_tool_support="${PRTE_MCA_pmix_tool_support:-0}"
