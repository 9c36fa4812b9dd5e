#!/usr/bin/env perl
# Splits a file whose lines begin with an id (or any text file) into consecutive parts of about equal size. Same command
# line as Kaldi's split_scp.pl. With --utt2spk no speaker (in diarization: no recording) is in two parts.
use strict;
use warnings;

my $usage = <<'END';
Usage: split_scp.pl [--utt2spk=<utt2spk>] <in> <out1> <out2> ...
   or: split_scp.pl -j <num-parts> <part> [--one-based] [--utt2spk=<utt2spk>] <in> [<out>]
e.g.:  split_scp.pl --utt2spk=data/utt2spk data/segments exp/segments.1 exp/segments.2
Options:
  --utt2spk=<utt2spk>   # keep the lines of a speaker together; the lines of <in> begin with an utterance
  -j <num-parts> <part> # write one part only, numbered from 0; to stdout if no <out> is given
  --one-based           # with -j: parts are numbered from 1
END

sub fail {
    my ($message) = @_;
    print STDERR "split_scp.pl: error: $message\n";
    exit 1;
}

sub read_file {
    my ($path) = @_;
    open my $stream, '<', $path or fail("$path: cannot read it: $!");
    fail("$path: is a folder; expected a file") if -d $stream;
    my @lines = <$stream>;
    close $stream or fail("$path: cannot read it: $!");
    $lines[-1] =~ s/\n?\z/\n/ if @lines;
    return @lines;
}

# Boundaries b of @$sizes' items in $parts runs, run k being items b[k] .. b[k+1]-1, none of them empty: equally many
# items at first, then a boundary moves by one item as long as this brings the sizes of its two neighbours closer.
sub boundaries {
    my ($sizes, $parts) = @_;
    my $items = @$sizes;
    my @bound = map { my $part = $_; int(($part * $items + $parts - 1) / $parts) } 0 .. $parts;
    my @total = map {
        my $sum = 0;
        $sum += $_ for @$sizes[$bound[$_] .. $bound[$_ + 1] - 1];
        $sum
    } 0 .. $parts - 1;
    # Moves boundary $k by $step if that helps.
    my $move = sub {
        my ($k, $step) = @_;
        my $size = $step * $sizes->[$step < 0 ? $bound[$k] - 1 : $bound[$k]];
        my ($left, $right) = ($total[$k - 1] + $size, $total[$k] - $size);
        return 0 if abs($left - $right) >= abs($total[$k - 1] - $total[$k]);
        @total[$k - 1, $k] = ($left, $right);
        $bound[$k] += $step;
        return 1;
    };
    my $moved = 1;
    while ($moved) {
        $moved = 0;
        for my $part (0 .. $parts - 1) {
            $moved = 1 if $part < $parts - 1 && $move->($part + 1, -1);
            $moved = 1 if $part > 0          && $move->($part,     +1);
        }
    }
    return @bound;
}

sub read_utt2spk {
    my ($path) = @_;
    my ($number, %speaker) = (0);
    for my $line (read_file($path)) {
        $number++;
        my @fields = split ' ', $line;
        fail("$path:$number: wrong number of fields; expected 2 (utterance speaker), got " . @fields) if @fields != 2;
        $speaker{ $fields[0] } = $fields[1];
    }
    return %speaker;
}

# The lines of every speaker, speakers in the order of their first line.
sub lines_by_speaker {
    my ($path, $utt2spk, @lines) = @_;
    my %speaker = read_utt2spk($utt2spk);
    my ($number, @order, %lines) = (0);
    for my $line (@lines) {
        $number++;
        my ($utterance) = $line =~ /^\s*(\S+)/a or fail("$path:$number: empty line");
        my $speaker = $speaker{$utterance} // fail("$path:$number: no utterance $utterance in $utt2spk");
        push @order, $speaker if !exists $lines{$speaker};
        push @{ $lines{$speaker} }, $line;
    }
    return map { $lines{$_} } @order;
}

my ($parts, $only, $utt2spk, $base) = (0, undef, '', 0);
while (@ARGV && $ARGV[0] =~ /^-./) {
    my $name = shift @ARGV;
    if ($name =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
    elsif ($name =~ /^--utt2spk=(.+)/s) { $utt2spk = $1; }
    elsif ($name eq '--one-based') { $base = 1; }
    elsif ($name eq '-j') {
        ($parts, $only) = splice @ARGV, 0, 2;
        fail('option -j needs two values, the number of parts and the part')
          if !defined $only || $parts !~ /^[1-9]\d*\z/ || $only !~ /^\d+\z/;
    } else { fail("unknown option $name (see split_scp.pl --help)"); }
}
if (@ARGV < ($parts ? 1 : 2) || ($parts && @ARGV > 2)) { print STDERR $usage; exit 1; }
my ($in, @outs) = @ARGV;
my @wanted = (0 .. $#outs);
if ($parts) {
    @wanted = ($only - $base);
    fail("no part $only; expected $base to " . ($parts - 1 + $base)) if $wanted[0] < 0 || $wanted[0] >= $parts;
    @outs = ($outs[0] // '-');
} else {
    $parts = @outs;
}

my @lines = read_file($in);
my @items = $utt2spk ne '' ? lines_by_speaker($in, $utt2spk, @lines) : map { [$_] } @lines;
my $kind  = $utt2spk ne '' ? 'speakers' : 'lines';
fail("$in: too few $kind to split; expected at least $parts (one per part), got " . @items) if @items < $parts;
my @bound =
  $utt2spk ne ''
  ? boundaries([map { scalar @$_ } @items], $parts)
  : map { my $larger = @items % $parts; $_ * int(@items / $parts) + ($_ < $larger ? $_ : $larger) } 0 .. $parts;
for my $n (0 .. $#outs) {
    my $part = $wanted[$n];
    my $stream = \*STDOUT;
    if ($outs[$n] ne '-') { open $stream, '>', $outs[$n] or fail("$outs[$n]: cannot write it: $!"); }
    print {$stream} map { @$_ } @items[$bound[$part] .. $bound[$part + 1] - 1];
    close $stream or fail("$outs[$n]: cannot write it: $!");
}
