# How jobs run; run.sh reads it, --cmd overrides it.
#   run.pl      here, side by side (the default)
#   queue.pl    Grid Engine, Kaldi's; options may follow, as in "queue.pl --mem 4G"
# shellcheck shell=bash disable=SC2034

cmd=run.pl
