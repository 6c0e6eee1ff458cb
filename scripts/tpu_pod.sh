#!/usr/bin/env bash
# Trains on all hosts of a Cloud TPU slice.
#
#   scripts/tpu_pod.sh NAME ZONE [options of train.py]
#   scripts/tpu_pod.sh faces us-central2-b --config configs/ffhq.py --workdir DISK/ffhq
#
# Run it at your desk, in this repository. It copies the repository to every host,
# installs it there and starts one process per host; jax finds the others by itself.
# The workdir must be a disk that all hosts share. The same command goes on after a
# preemption.
set -euo pipefail
if (( $# < 3 )); then
  sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
name=$1 zone=$2
shift 2
options=$(printf ' %q' "$@")
tpu=(gcloud compute tpus tpu-vm)

archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
git archive --format=tar.gz --output="$archive" HEAD
"${tpu[@]}" scp "$archive" "$name:hyperstyle_jax.tar.gz" --zone="$zone" --worker=all
"${tpu[@]}" ssh "$name" --zone="$zone" --worker=all --command="
  set -e
  mkdir -p hyperstyle_jax && cd hyperstyle_jax
  tar xzf ../hyperstyle_jax.tar.gz
  [ -d .venv ] || python3 -m venv .venv
  .venv/bin/pip install --quiet -e . 'jax[tpu]'
  exec .venv/bin/python train.py --distributed$options"
