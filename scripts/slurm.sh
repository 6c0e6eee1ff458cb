#!/usr/bin/env bash
# Trains on several nodes of a SLURM cluster, one process per GPU.
#
#   sbatch --nodes=2 --gpus-per-node=8 --ntasks-per-node=8 scripts/slurm.sh \
#       --config configs/ffhq.py --workdir runs/ffhq
#
# Run it in this repository, on a disk that all nodes share, with its environment
# active (or in .venv). Two minutes before the time limit every process gets SIGTERM:
# the run saves and the job puts itself into the queue again, to go on from there.
#SBATCH --job-name=hyperstyle
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@120
set -euo pipefail
python=python
[ -x .venv/bin/python ] && python=.venv/bin/python
log=$(mktemp)
trap 'rm -f "$log"' EXIT
srun --kill-on-bad-exit=1 "$python" train.py --distributed "$@" 2>&1 | tee "$log"
if grep -q '^stopped by .* the same command resumes$' "$log"; then
  scontrol requeue "$SLURM_JOB_ID"
fi
