#!/bin/sh
# Trains the small study and writes its report. What is trained already is not trained again.
#
#     sh docs/small-study/run.sh             with `provecfg` and `python` of an environment that has the stack
#     sh docs/small-study/run.sh MODEL...    trains these alone, and writes no report
set -e

export OMP_NUM_THREADS=1 # tiny matrices: threads would wait for each other
configs=work_dirs/small-study-configs

# The models of the study, cut down to some ten thousand weights each.
tiny() {
    resnet="model.backbone.depth=18 model.backbone.base_channels=8 model.backbone.stem_channels=8
        model.decode_head.in_channels=64 model.decode_head.channels=16
        model.auxiliary_head.in_channels=32 model.auxiliary_head.channels=16"
    case $1 in
        pspnet_r50) echo $resnet ;;
        deeplabv3plus_r50) echo $resnet model.decode_head.c1_in_channels=8 model.decode_head.c1_channels=8 ;;
        segformer_mit-b3) echo model.backbone.embed_dims=8 model.backbone.num_layers=[1,1,1,1] \
            model.decode_head.in_channels=[8,16,40,64] model.decode_head.channels=32 ;;
        segnext_mscan-b) echo model.backbone.embed_dims=[8,16,32,64] model.backbone.depths=[1,1,1,1] \
            model.decode_head.in_channels=[16,32,64] model.decode_head.channels=32 \
            model.decode_head.ham_channels=32 model.decode_head.ham_kwargs.MD_R=8 ;;
    esac
}

python - <<'DRAW'
from pathlib import Path

from provecfg.catalog.datasets import DATASETS
from provecfg.data.scenes import Drawing, smoke_data_for

smoke_data_for(DATASETS["bdd10k"], Drawing(train=48, val=8, width=128, height=72), Path("work_dirs/small-study-data"))
DRAW

provecfg generate docs/small-study/study.yaml -o $configs
for model in ${*:-pspnet_r50 deeplabv3plus_r50 segformer_mit-b3 segnext_mscan-b}; do
    provecfg run $configs/${model}_*.py --no-pretrained --device cpu --fail-fast --cfg-options $(tiny $model)
done
[ $# -gt 0 ] && exit

# The best checkpoints once more, for the label maps and what a forward pass costs.
provecfg eval work_dirs/small-study/* --checkpoint best --device cpu --save-predictions work_dirs/small-study-predictions
provecfg report docs/small-study/study.yaml --predictions work_dirs/small-study-predictions \
    -o docs/small-study/report.html
