#!/bin/bash
# Two "hosts" on one machine: network namespaces joined by a veth pair, a Ray head in one and a worker in the other.
# Makes the same capture locally and over both, kills a worker process in the middle, and compares the bytes.
# Needs root, `ip`, and veneer[ray] on the PATH. Usage: benchmarks/two_hosts.sh [FOLDER]
set -euo pipefail
out=${1:-$(mktemp -d)}
export RAY_AUTH_MODE=disabled OMP_NUM_THREADS=1 RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=1
head=veneer-head worker=veneer-worker
capture=(veneer capture --base lab:base --aligned lab:aligned --prompts lab-requests --limit 96 --max-new-tokens 24 --batch-size 4)

in_head() { ip netns exec $head "$@"; }
in_worker() { ip netns exec $worker "$@"; }
clean() {
  for pid in $(ip netns pids $head 2>/dev/null) $(ip netns pids $worker 2>/dev/null); do kill -9 "$pid" 2>/dev/null || true; done
  ip netns del $head 2>/dev/null || true
  ip netns del $worker 2>/dev/null || true
}
trap clean EXIT
clean
ip netns add $head; ip netns add $worker
ip link add veneer0 type veth peer name veneer1
ip link set veneer0 netns $head; ip link set veneer1 netns $worker
in_head ip addr add 10.77.0.1/24 dev veneer0; in_worker ip addr add 10.77.0.2/24 dev veneer1
for name in $head $worker; do ip netns exec $name ip link set lo up; done
in_head ip link set veneer0 up; in_worker ip link set veneer1 up

start=(ray start --num-cpus 1 --object-store-memory 150000000 --disable-usage-stats)
in_head "${start[@]}" --head --node-ip-address 10.77.0.1 --port 6379 --include-dashboard false --temp-dir "$out/ray-head" >"$out/head.log" 2>&1
in_worker "${start[@]}" --address 10.77.0.1:6379 --node-ip-address 10.77.0.2 >"$out/worker.log" 2>&1

rm -rf "$out/local" "$out/two"
"${capture[@]}" --out "$out/local" 2>/dev/null
in_head "${capture[@]}" --engine ray --workers 2 --ray-address 10.77.0.1:6379 --out "$out/two" &
run=$!
while kill -0 $run 2>/dev/null && [ "$(ls "$out/two" 2>/dev/null | grep -c '^shard-.*json')" -lt 3 ]; do sleep 0.2; done
for pid in $(ip netns pids $worker); do  # the actor on the second host
  if tr '\0' ' ' </proc/$pid/cmdline 2>/dev/null | grep -q '^ray::CaptureWorker'; then kill -9 $pid && echo "killed the worker process $pid on the second host"; fi
done
wait $run
diff -r --exclude run.json --exclude .lock "$out/local" "$out/two" && echo "the capture over two hosts is the local one, byte for byte"
