# shellcheck shell=bash disable=SC2034
# Sourced by the scripts that start ranks on several hosts: the environment of mpirun, and options that all of them give it.

# shellcheck source=scripts/lib/mpi_env.sh
. "${BASH_SOURCE[0]%/*}/mpi_env.sh"
# A rank that dies is counted as lost, and training goes on. ULFM needs ob1, and that here means TCP.
lose_ranks=(--with-ft ulfm --mca pml ob1 --mca btl "self,sm,tcp")
# Results depend on the number of threads, so every host gets this one's.
same_threads=(-x OMP_NUM_THREADS -x MKL_NUM_THREADS -x OPENBLAS_NUM_THREADS)
