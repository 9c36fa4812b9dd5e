package Jobs;

# Shared by run.pl and slurm.pl: Kaldi's command line, quoting, logs, and the report of failed jobs.
#
# JOB=1:n replaces each JOB in the name of the log and in the command by the number of the job.
# The arguments are joined to one line for bash, as in Kaldi:
#   a b       an argument with blanks goes between double quotes, in which $x and `x` are expanded
#   it's, "   an argument with a quote (") or, without blanks, an apostrophe reaches the command as it is
#   other     is shell text: | && ; < > * $x keep their meaning, as in: run.pl x.log sort in.txt \| uniq \> out.txt
# A log holds the command, host and start, a line '#', the output of the command, and at the end
# `# Accounting: time=<seconds> threads=<n>` and `# Ended (code <n>) at <date>, elapsed time <n> seconds`.
use strict;
use warnings;
use Exporter       qw(import);
use File::Basename qw(basename dirname);
use File::Path     qw(make_path);
use POSIX          qw(strftime);

our @EXPORT = qw(fail warning read_command_line for_job prepare_logs add_to_log now report_jobs last_lines die_of_signal);

my $script = basename($0);

sub warning { print STDERR "$script: WARNING: $_[0]\n"; return; }
sub fail    { print STDERR "$script: error: $_[0]\n"; exit 1; }
sub now     { return strftime('%a %b %e %H:%M:%S %Z %Y', localtime); }

sub shell_word {
    my ($argument) = @_;
    if ($argument !~ /(?<!\\)(?:\\\\)*\\\z/) {    # a backslash at the end would swallow what comes after it
        return $argument if $argument =~ /^[^\s'"]+\z/a;
        return "\"$argument\"" if $argument =~ /\s|^\z/a && $argument !~ /"/;
    }
    $argument =~ s/'/'\\''/g;
    return "'$argument'";
}

# Returns a hash: name of the job variable ('' without one), first, last, number of jobs, log, command, max-jobs-run
# (0: no limit), num-threads, gpu, and options: the other options as [name, value].
sub read_command_line {
    my ($usage) = @_;
    my %call = (name => '', first => 1, last => 1, 'max-jobs-run' => 0, 'num-threads' => 1, gpu => 0, options => []);
    if (@ARGV && $ARGV[0] =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
    for my $round (1, 2) {    # options may stand before and after JOB=1:n
        while (@ARGV && $ARGV[0] =~ /^-/) {
            my $name = shift @ARGV;
            next if $name eq '-V';
            my $value = shift @ARGV;
            fail("option $name needs a value") if !defined $value || $value =~ /^--|^[A-Za-z_]\w*=\d+:\d+\z/;
            if ($name =~ /^(?:--max-jobs-run|-tc)\z/) {
                fail("bad value of $name; expected a whole number from 1, got '$value'") if $value !~ /^[1-9]\d*\z/;
                $call{'max-jobs-run'} = $value if !$call{'max-jobs-run'} || $value < $call{'max-jobs-run'};
            } elsif ($name =~ /^--(?:gpu|num-threads)\z/) {
                fail("bad value of $name; expected a whole number, got '$value'") if $value !~ /^\d+\z/;
                $call{ substr $name, 2 } = $value;
            } else {
                $value .= ' ' . (shift @ARGV // '') if $name eq '-pe';
                push @{ $call{options} }, [$name, $value];
            }
        }
        if (@ARGV && $ARGV[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?\z/) {
            @call{qw(name first last)} = ($1, $2, $3 // $2);
            fail("bad job range $ARGV[0]; expected it to start from 1 and to end no lower than it starts")
              if $call{first} < 1 || $call{last} < $call{first};
            shift @ARGV;
        } elsif (@ARGV && $ARGV[0] =~ m{^[A-Za-z_]\w*=[^/]*:}) {
            fail("bad job range $ARGV[0]; expected for example JOB=1:4");
        }
    }
    if (@ARGV < 2) { print STDERR $usage; exit 1; }
    $call{log}    = shift @ARGV;
    $call{number} = $call{last} - $call{first} + 1;
    fail("$call{number} parallel jobs would write to one log, $call{log}; expected $call{name} in its name")
      if $call{number} > 1 && index($call{log}, $call{name}) < 0;
    $call{command} = join ' ', map { shell_word($_) } @ARGV;
    return \%call;
}

# The log or the command of one job.
sub for_job {
    my ($call, $key, $job) = @_;
    my $text = $call->{$key};
    $text =~ s/$call->{name}/$job/g if $call->{name} ne '';
    return $text;
}

# Empties all logs before the first job starts, so that no log of an earlier run passes for one of this run.
sub prepare_logs {
    my ($call) = @_;
    for my $log (map { for_job($call, 'log', $_) } $call->{first} .. $call->{last}) {
        make_path(dirname($log), { error => \my $errors });
        open my $stream, '>', $log or fail("cannot write the log $log: $!");
        close $stream;
    }
    return;
}

# Appends whole lines to a log, after a line end if it lacks one.
sub add_to_log {
    my ($log, $text) = @_;
    open my $stream, '+>>', $log or return warning("cannot write to $log: $!");
    if (seek $stream, -1, 2) { read $stream, my $last, 1; $text = "\n$text" if $last ne "\n"; }
    print {$stream} $text;
    return close $stream;
}

# The last lines that the command wrote.
sub last_lines {
    my ($log, $number) = @_;
    open my $stream, '<', $log or return ();
    seek $stream, -65536, 2 or seek $stream, 0, 0;
    my @lines = <$stream>;
    if (@lines && $lines[0] =~ /^# /) {    # the header, which a line '#' ends
        while (@lines) { last if shift(@lines) eq "#\n"; }
    }
    @lines = grep { !/^# (?:Accounting: |Ended |Lost )/ && /\S/ } @lines;
    s/\n?\z/\n/ for @lines;
    return @lines > $number ? @lines[-$number .. -1] : @lines;
}

# Reports jobs that are "failed" or "lost"; $why->{job} is the reason, shown for each if $with_why.
sub report_jobs {
    my ($call, $state, $why, $with_why) = @_;
    my @jobs = sort { $a <=> $b } keys %$why or return;
    my $log = for_job($call, 'log', $jobs[0]);
    if ($call->{number} == 1) {
        print STDERR "$script: error: job $state ($why->{$jobs[0]}), log is in $log\n";
        print STDERR "$script: JOB is in the log's name, but there is no JOB=1:n before it\n"
          if $call->{name} eq '' && $log =~ /JOB/;
    } else {
        my @few = map { $with_why ? "$_ ($why->{$_})" : $_ } @jobs > 20 ? @jobs[0 .. 19] : @jobs;
        push @few, '...' if @jobs > 20;
        print STDERR "$script: error: ", scalar @jobs, " / $call->{number} $state, log is in ",
          for_job($call, 'log', '*'), "; $state jobs: @few\n";
    }
    my @lines = last_lines($log, 5);
    print STDERR "$script: last lines of $log ($why->{$jobs[0]}):\n",
      map { "  $_" } @lines ? @lines : "(the command wrote nothing)\n";
    return;
}

# Reports the signal that stopped all jobs, and ends of it, for the caller to see.
sub die_of_signal {
    my ($call, $signal) = @_;
    print STDERR "$script: error: stopped by SIG$signal, and all jobs with it; log is in ", for_job($call, 'log', '*'),
      "\n";
    $SIG{$signal} = 'DEFAULT';
    kill $signal, $$;
    exit 1;
}

1;
