#!/usr/bin/env bash
# The real-model results of docs/results.md, with one command: Qwen2.5-Coder 1.5B teaches 0.5B on GSM8K, LeaF against
# plain distillation, tested on GSM8K, GSM-IC and SVAMP; then what detection, pruning and the threshold give.
#
#     GSM_IC=gsm_ic.json examples/reproduce.sh                              # one GPU; models and GSM8K from the hub
#     GSM_IC=gsm_ic.json RECIPE=gsm8k-shifted-cpu examples/reproduce.sh     # two CPU cores, three to four hours
#
# On two cores the yield of every threshold takes long: YIELD="--rules value --taus 0.05,0.10,0.20" asks for some.
#
# GSM-IC has no hub id: take a JSON file of github.com/google-research-datasets/GSM-IC. All other words go to every
# command, such as --set student.model=FILE.gguf. Whatever was done is kept in OUT/store: the same command goes on
# where it was, also on another machine that has that folder.
set -euo pipefail

recipe=${RECIPE:-gsm8k-shifted}
out=${OUT:-runs/$recipe}
leaf=${LEAF:-$(dirname "$0")/../.venv/bin/leaf}
gsm_ic=${GSM_IC:?name a GSM-IC file: GSM_IC=gsm_ic.json $0}

words=(--set "evaluate.benchmarks.gsm_ic.path=$gsm_ic" --set "evaluate.benchmarks.gsm_ic_base.path=$gsm_ic" "$@")

"$leaf" doctor "$recipe" "${words[@]}"
# Without training first: of what these tell, some is known long before the students are.
study() {
  "$leaf" study "$@" --recipe "$recipe" --out "$out/studies" --store "$out/store" "${words[@]}"
}
study pruning-gain
study jaccard
study data-statistics
# shellcheck disable=SC2086 # options, a word each
study thresholds ${YIELD:-}
"$leaf" run "$recipe" --out "$out/run" --store "$out/store" "${words[@]}"
study overhead
study focus-audit
study case
