"""What all tests share: a process that is prepared as every program of this package is."""

from ir_vis_fusion.runtime import prepare_process

# Before torch is loaded: where other processes want the same cores, OpenMP's threads, which spin
# by default, made tests a hundred times slower, and a run of minutes one of hours.
prepare_process()
