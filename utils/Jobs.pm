package Jobs;

# What run.pl and slurm.pl have in common: the command line (Kaldi's), the quoting, the logs, the report of failed jobs.
# The parallel form, JOB=1:n, puts the job's number in the place of every JOB in the log's name and in the command.
#
# Quoting (Kaldi's rule, mended where it breaks). The arguments are joined to one line for bash:
#   a b       an argument with whitespace is put between double quotes: one argument again; $x and `x` are expanded
#   it's, "   an argument with a quote (") or, if it has no whitespace, with an apostrophe reaches the command as it is,
#             and so does one that ends in a backslash
#   other     an argument with neither is shell text: | && ; < > * $x $[JOB+1] mean what they mean in bash, so
#             `run.pl x.log sort in.txt \| uniq \> out.txt` is a pipe. Names with such characters need a backslash more.
# The exit code is that of the line, which of a pipe is that of its last command.
#
# A log is a header (the command, where and when it started, a lone '#'), what the command wrote, and at the end
# `# Accounting: time=<seconds> threads=<n>` and `# Ended (code <n>) at <date>, elapsed time <n> seconds`.
use strict;
use warnings;
use Exporter       qw(import);
use File::Basename qw(basename dirname);
use File::Path     qw(make_path);
use POSIX          qw(strftime);

our @EXPORT = qw(fail warning read_command_line for_job code_in_log prepare_logs add_to_log ends_with_newline now
  report_jobs show_lines last_lines die_of_signal);

my $script = basename($0);

sub warning {
    my ($message) = @_;
    print STDERR "$script: WARNING: $message\n";
    return;
}

sub fail {
    my ($message) = @_;
    print STDERR "$script: error: $message\n";
    exit 1;
}

# ---- the command line

# Takes one option off @ARGV. What is not for this module to know goes to the script's $take_option->(name, values...).
sub _read_option {
    my ($call, $take_option) = @_;
    my $name = shift @ARGV;
    return if $name eq '-V';
    my $value = shift @ARGV;
    fail("option $name needs a value") if !defined $value || $value =~ /^--|^[A-Za-z_]\w*=\d+:\d+\z/;
    if ($name eq '--max-jobs-run' || $name eq '-tc') {
        fail("bad value of $name; expected a whole number from 1, got '$value'") if $value !~ /^[1-9]\d*\z/;
        my $limit = $call->{'max-jobs-run'};
        $call->{'max-jobs-run'} = $value if $limit == 0 || $value < $limit;    # given twice, the smaller one counts
        return;
    }
    if ($name eq '--gpu' || $name eq '--num-threads') {
        fail("bad value of $name; expected a whole number, got '$value'") if $value !~ /^\d+\z/;
        $call->{ substr $name, 2 } = $value;
    } elsif ($name eq '--pick') {
        fail("bad value of --pick; expected all, failed or incomplete, got '$value'")
          if $value !~ /^(?:all|failed|incomplete)\z/;
        $call->{pick} = $value;
        return;
    }
    return $take_option->($name, $value, $name eq '-pe' ? shift @ARGV : ());
}

sub _shell_word {
    my ($argument) = @_;
    if ($argument !~ /(?<!\\)(?:\\\\)*\\\z/) {    # one that ends in a backslash would swallow what comes after it
        return $argument if $argument =~ /^[^\s'"]+\z/a;
        return "\"$argument\"" if $argument =~ /\s|^\z/a && $argument !~ /"/;
    }
    $argument =~ s/'/'\\''/g;
    return "'$argument'";
}

# The whole command line as a hash: max-jobs-run (0: no limit), gpu, num-threads, pick, name (of the job variable, ''
# without one), first, last, number (of jobs), log and command (both with the job variable in them).
sub read_command_line {
    my ($usage, $take_option) = @_;
    my %call = ('max-jobs-run' => 0, gpu => 0, 'num-threads' => 1, pick => 'all', name => '', first => 1, last => 1);
    if (@ARGV && $ARGV[0] =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
    for my $round (1, 2) {    # options may stand before and after JOB=1:n
        _read_option(\%call, $take_option) while @ARGV && $ARGV[0] =~ /^-/;
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
    $call{command} = join ' ', map { _shell_word($_) } @ARGV;
    return \%call;
}

# The log's name or the command of one job.
sub for_job {
    my ($call, $what, $job) = @_;
    my $text = $call->{$what};
    $text =~ s/$call->{name}/$job/g if $call->{name} ne '';
    return $text;
}

# ---- logs

# The exit code that a log tells of, or undef if the job did not end.
sub code_in_log {
    my ($log) = @_;
    open my $stream, '<', $log or return undef;
    my $code;
    while (<$stream>) { $code = $1 if /^# Ended \(code (\d+(?:; signal \d+)?)\)/; }
    close $stream;
    return $code;
}

# Empties the logs of the jobs that --pick wants to run. Returns the codes of the others.
sub prepare_logs {
    my ($call) = @_;
    my %code;
    for my $job ($call->{first} .. $call->{last}) {
        my $log = for_job($call, 'log', $job);
        my $old = $call->{pick} eq 'all' ? undef : code_in_log($log);
        if (defined $old && ($old eq '0' || $call->{pick} eq 'incomplete')) {
            $code{$job} = $old eq '0' ? 0 : 1;
            next;
        }
        make_path(dirname($log), { error => \my $errors });
        # Emptied before the first job starts, so that no log of an earlier run passes for one of this run.
        open my $stream, '>', $log or fail("cannot write the log $log: $!");
        close $stream;
    }
    return %code;
}

sub add_to_log {
    my ($log, $text) = @_;
    open my $stream, '>>', $log or return warning("cannot write to $log: $!");
    print {$stream} $text;
    return close $stream;
}

sub ends_with_newline {
    my ($log) = @_;
    open my $stream, '<', $log or return 1;
    seek $stream, -1, 2 or return 1;
    read $stream, my $last_byte, 1;
    return $last_byte eq "\n";
}

sub now { return strftime('%a %b %e %H:%M:%S %Z %Y', localtime); }

# The last lines that the command itself wrote.
sub last_lines {
    my ($log, $wanted) = @_;
    open my $stream, '<', $log or return ();
    seek $stream, -65536, 2 or seek $stream, 0, 0;
    my @lines = <$stream>;
    close $stream;
    if (@lines && $lines[0] =~ /^# /) {    # the header, which a lone '#' ends
        while (@lines) { last if shift(@lines) eq "#\n"; }
    }
    @lines = grep { !/^# (?:Accounting: |Ended |Lost )/ && /\S/ } @lines;
    s/\n?\z/\n/ for @lines;
    return @lines > $wanted ? @lines[-$wanted .. -1] : @lines;
}

# ---- the report

sub show_lines {
    my ($title, @lines) = @_;
    print STDERR "$script: last lines of $title:\n", map { "  $_" } @lines;
    return;
}

# Says which jobs have "failed" or are "lost"; $why->{job} says more of each, and comes with every number if $with_why.
sub report_jobs {
    my ($call, $what, $why, $with_why) = @_;
    my @jobs = sort { $a <=> $b } keys %$why or return;
    my $log = for_job($call, 'log', $jobs[0]);
    if ($call->{number} == 1) {
        print STDERR "$script: error: job $what ($why->{$jobs[0]}), log is in $log\n";
        print STDERR "$script: JOB is in the log's name, but there is no JOB=1:n before it\n"
          if $call->{name} eq '' && $log =~ /JOB/;
    } else {
        my @few = map { $with_why ? "$_ ($why->{$_})" : $_ } @jobs > 20 ? @jobs[0 .. 19] : @jobs;
        push @few, '...' if @jobs > 20;
        print STDERR "$script: error: ", scalar @jobs, " / $call->{number} $what, log is in ",
          for_job($call, 'log', '*'), "; $what jobs: @few\n";
    }
    my @lines = last_lines($log, 5);
    show_lines("$log ($why->{$jobs[0]})", @lines ? @lines : "(the command wrote nothing)\n");
    return;
}

# For the end of a script whose jobs a signal stopped: says so, and ends of that signal, for its caller to see.
sub die_of_signal {
    my ($call, $signal) = @_;
    print STDERR "$script: error: stopped by SIG$signal, and all jobs with it; log is in ", for_job($call, 'log', '*'),
      "\n";
    $SIG{$signal} = 'DEFAULT';
    kill $signal, $$;
    exit 1;
}

1;
