# How jobs run; run.sh reads it, --cmd overrides it.
#   run.pl      here, side by side (the default)
#   slurm.pl    a Slurm cluster, as in "slurm.pl --mem 4G --time 2:00:00", and other options of sbatch
#   queue.pl    Grid Engine, Kaldi's; options may follow, as in "queue.pl --mem 4G"
# shellcheck shell=bash disable=SC2034

cmd=run.pl
