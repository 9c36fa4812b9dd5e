#!/usr/bin/env perl
# Turns utt2spk (<utterance> <speaker>) into spk2utt (<speaker> <utterance1> <utterance2> ...), in the order of first
# appearance. Same command line as Kaldi's utt2spk_to_spk2utt.pl.
use strict;
use warnings;

my $usage = "Usage: utt2spk_to_spk2utt.pl [<utt2spk>] > <spk2utt>\n"
  . "e.g.:  utt2spk_to_spk2utt.pl data/utt2spk > data/spk2utt     # without a file: from stdin\n";

sub fail {
    my ($message) = @_;
    print STDERR "utt2spk_to_spk2utt.pl: error: $message\n";
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
my (@speakers, %utterances, %first_line);
while (my $line = <$stream>) {
    my @fields = split ' ', $line;
    fail("$path:$.: wrong number of fields; expected 2 (utterance speaker), got " . @fields) if @fields != 2;
    my ($utterance, $speaker) = @fields;
    fail("$path:$.: duplicate utterance $utterance, first seen in line $first_line{$utterance}")
      if exists $first_line{$utterance};
    $first_line{$utterance} = $.;
    push @speakers, $speaker if !exists $utterances{$speaker};
    push @{ $utterances{$speaker} }, $utterance;
}
print "$_ @{ $utterances{$_} }\n" for @speakers;
close STDOUT or fail("cannot write the output: $!");
