#!/usr/bin/env bash
# The real-model results of docs/results.md, with one command: Qwen2.5-Coder 1.5B teaches 0.5B.
#
#     GSM_IC=gsm_ic.json examples/reproduce.sh                              # one GPU; models and GSM8K from the hub
#     GSM_IC=gsm_ic.json RECIPE=gsm8k-shifted-cpu examples/reproduce.sh     # two CPU cores, three to four hours
#     RECIPE=distracted PROBLEMATHIC=data/problemathic GSM_IC=gsm_ic.json examples/reproduce.sh          # one GPU
#     RECIPE=distracted-cpu PROBLEMATHIC=data/problemathic GSM_IC=gsm_ic.json examples/reproduce.sh      # two CPU cores
#
# gsm8k-shifted: LeaF against plain distillation, tested on GSM8K, GSM-IC and SVAMP; then what detection, pruning and the
# threshold give. On two cores the yield of every threshold takes long: YIELD="--rules value --taus 0.05,0.10,0.20" asks
# for some. distracted: every arm for every seed (SEEDS="1 2"), tested on PROBLEMATHIC with and without distractions; then
# KD, LeaF, RFT and LeaF-self on GSM-IC and SVAMP (SVAMP=file; the hub's without), with the students of before.
#
# GSM-IC has no hub id: take a JSON file of github.com/google-research-datasets/GSM-IC. All other words go to every
# command, such as --set student.model=FILE.gguf. Whatever was done is kept in OUT/store: the same command resumes,
# also on another machine that has that folder. Of distracted, `python -m benchmarks.real --keep OUT/seed-1
# --as pair1/A/seed-1` lays the students into results/ (and OUT/seed-1-more, after it, their other tests).
set -euo pipefail

recipe=${RECIPE:-gsm8k-shifted}
out=${OUT:-runs/$recipe}
leaf=${LEAF:-$(dirname "$0")/../.venv/bin/leaf}
gsm_ic=${GSM_IC:?name a GSM-IC file: GSM_IC=gsm_ic.json $0}

gsm8k_shifted() {
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
}

distracted() {
  local data=${PROBLEMATHIC:?name the folder of PROBLEMATHIC: PROBLEMATHIC=data/problemathic $0}
  words=(--set "data.path=$data")
  for test in simple simple_distracted complex complex_distracted; do
    words+=(--set "evaluate.benchmarks.$test.path=$data")
  done
  words+=("$@")
  "$leaf" doctor "$recipe" "${words[@]}"
  # The same students on other data, without the arm that is not asked for.
  more=(
    --set arms.augment=null
    --set "evaluate.benchmarks.gsm_ic={task: gsm_ic, path: $gsm_ic, split: test, shuffle: true, limit: 400, against: gsm_ic_base, max_new_tokens: 768}"
    --set "evaluate.benchmarks.gsm_ic_base={task: gsm_ic, path: $gsm_ic, split: base, max_new_tokens: 768}"
    --set "evaluate.benchmarks.svamp={task: svamp, path: ${SVAMP:-null}, limit: 300, max_new_tokens: 768}"
  )
  for seed in ${SEEDS:-1 2}; do
    seeded=(--set "distill.seed=$seed" --store "$out/store" "${words[@]}")
    "$leaf" run "$recipe" --out "$out/seed-$seed" "${seeded[@]}"
    "$leaf" run "$recipe" --out "$out/seed-$seed-more" "${seeded[@]}" "${more[@]}"
  done
}

case $recipe in
  distracted*) distracted "$@" ;;
  *) gsm8k_shifted "$@" ;;
esac
