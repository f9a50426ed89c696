"""Sentences that several places of this room say."""

NO_REGRESSION = (
    'backbone: beast does not work with model_type: regression, whose head needs pooled features '
    'and which does not pass on the checkpoint; use model_type: heatmap'
)
NO_WEIGHTS = (
    'backbone: beast needs weights: set model.backbone_checkpoint to the output directory of '
    '`litpose pretrain`, or add a `beast:` section so that `litpose train` pretrains first'
)
NO_SHARED_DIRECTORY = 'several processes need one directory of results: give --output_dir'
