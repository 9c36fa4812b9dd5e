#!/usr/bin/env perl
# Prints the lines of a file whose id is (or is not) in a list. Same command line as Kaldi's filter_scp.pl.
use strict;
use warnings;

my $usage = <<'END';
Usage: filter_scp.pl [--exclude] [-f <field>] <id-list> [<in>] > <out>
e.g.:  filter_scp.pl -f 2 data/test/wav.scp data/all/segments > data/test/segments
Prints the lines of <in> (default: stdin) that have an id of <id-list> in their first field.
Of <id-list> too, only the first field of a line counts.
Options:
  --exclude    # print the lines whose id is not in the list
  -f <field>   # the field with the id in <in>, from 1; default 1
END

sub fail {
    my ($message) = @_;
    print STDERR "filter_scp.pl: error: $message\n";
    exit 1;
}

my ($exclude, $field) = (0, 1);
while (@ARGV && $ARGV[0] =~ /^-./) {
    my $name = shift @ARGV;
    if ($name =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
    elsif ($name eq '--exclude') { $exclude = 1; }
    elsif ($name eq '-f') {
        $field = shift(@ARGV) // fail('option -f needs a value');
        fail("bad value of -f; expected a whole number from 1, got '$field'") if $field !~ /^[1-9]\d{0,8}\z/;
    } else { fail("unknown option $name (see filter_scp.pl --help)"); }
}
if (@ARGV < 1 || @ARGV > 2) { print STDERR $usage; exit 1; }
my ($id_list, $in) = (@ARGV, '-');

sub open_input {
    my ($path) = @_;
    return \*STDIN if $path eq '-';
    open my $stream, '<', $path or fail("$path: cannot read it: $!");
    fail("$path: is a folder; expected a file") if -d $stream;
    return $stream;
}

my ($list_stream, $in_stream) = (open_input($id_list), open_input($in));    # both, before anything is printed
my %listed;
while (my $line = <$list_stream>) {
    my ($id) = split ' ', $line;
    $listed{ $id // fail("$id_list:$.: empty line") } = 1;
}
while (my $line = <$in_stream>) {
    my @fields = split ' ', $line, $field + 1;
    # A last field that ends the line may keep the line's end.
    my ($id) = ($fields[$field - 1] // '') =~ /^(\S+)/ or fail("$in:$.: no field $field");
    print $line if $exclude xor $listed{$id};
}
close STDOUT or fail("cannot write the output: $!");
