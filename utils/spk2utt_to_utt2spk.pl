#!/usr/bin/env perl
# Turns spk2utt (<speaker> <utterance1> <utterance2> ...) into utt2spk (<utterance> <speaker>), in the same order. Same
# command line as Kaldi's spk2utt_to_utt2spk.pl.
use strict;
use warnings;

my $usage = "Usage: spk2utt_to_utt2spk.pl [<spk2utt>] > <utt2spk>\n"
  . "e.g.:  spk2utt_to_utt2spk.pl data/spk2utt > data/utt2spk     # without a file: from stdin\n";

sub fail {
    my ($message) = @_;
    print STDERR "spk2utt_to_utt2spk.pl: error: $message\n";
    exit 1;
}

if (@ARGV && $ARGV[0] =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
if (@ARGV > 1) { print STDERR $usage; exit 1; }
my $path   = $ARGV[0] // '-';
my $stream = \*STDIN;
if ($path ne '-') {
    open $stream, '<', $path or fail("$path: cannot read it: $!");
    fail("$path: is a folder; expected a file") if -d $stream;
}
my (@lines, %first_line);
while (my $line = <$stream>) {
    my ($speaker, @utterances) = split ' ', $line;
    fail("$path:$.: no utterance; expected a speaker and its utterances") if !@utterances;
    for my $utterance (@utterances) {
        fail("$path:$.: duplicate utterance $utterance, first seen in line $first_line{$utterance}")
          if exists $first_line{$utterance};
        $first_line{$utterance} = $.;
        push @lines, "$utterance $speaker\n";
    }
}
print @lines;
close STDOUT or fail("cannot write the output: $!");
