#!/usr/bin/env perl
# Runs a command, or several numbered copies of it in parallel, on this machine, each with its output in a log file.
# Same command line as Kaldi's run.pl, so that queue.pl or slurm.pl can stand in its place:
#
#   run.pl [options] [JOB=1:n] <log> <command> [arguments...]
#   run.pl JOB=1:4 exp/log/x.JOB.log python3 x.py --job JOB
#
# In the parallel form every JOB in the log's name and in the command becomes the job's number.
#
# Quoting (Kaldi's rule, mended where it breaks). The arguments are joined to one line for bash:
#   a b       an argument with whitespace is put between double quotes: one argument again; $x and `x` are expanded
#   it's, "   an argument with a quote (") or, if it has no whitespace, with an apostrophe reaches the command as it is,
#             and so does one that ends in a backslash
#   other     an argument with neither is shell text: | && ; < > * $x $[JOB+1] mean what they mean in bash, so
#             `run.pl x.log sort in.txt \| uniq \> out.txt` is a pipe. Names with such characters need a backslash more.
# The exit code is that of the line, which of a pipe is that of its last command.
use strict;
use warnings;
use Errno          qw(EINTR);
use File::Basename qw(dirname);
use File::Path     qw(make_path);
use POSIX          qw(:signal_h strftime);
use Sys::Hostname  qw(hostname);

my $usage = <<'END';
Usage: run.pl [options] [JOB=first:last] <log> <command> [arguments...]
e.g.:  run.pl JOB=1:4 exp/log/x.JOB.log python3 x.py --job JOB
Runs the command, in parallel for every JOB, and waits; exit code 1 if any job failed.
Options:
  --max-jobs-run N (or -tc N)          # run at most N jobs at a time; default: one per core (per GPU with --gpu)
  --gpu N                              # the jobs use GPUs, if N is not 0
  --num-threads N                      # threads of a job: written to the log
  --pick all|failed|incomplete         # run all jobs (default), those whose log tells of no success, or of no end
  -V, --mem X, --time X, --config X, -l X, -q X, -pe X Y, any other with a value   # for queues: accepted and ignored
END

sub fail {
    my ($message) = @_;
    print STDERR "run.pl: error: $message\n";
    exit 1;
}

# ---- the command line

my %option = ('max-jobs-run' => 0, gpu => 0, 'num-threads' => 1, pick => 'all');
my ($job_name, $first, $last) = ('', 1, 1);

sub take_option {
    my $name = shift @ARGV;
    return if $name eq '-V';
    my $value = shift @ARGV;
    fail("option $name needs a value") if !defined $value || $value =~ /^--|^[A-Za-z_]\w*=\d+:\d+\z/;
    if ($name eq '-pe') {
        shift @ARGV;
    } elsif ($name eq '--max-jobs-run' || $name eq '-tc') {
        fail("bad value of $name; expected a whole number from 1, got '$value'") if $value !~ /^[1-9]\d*\z/;
        my $limit = $option{'max-jobs-run'};
        $option{'max-jobs-run'} = $value if $limit == 0 || $value < $limit;    # given twice, the smaller one counts
    } elsif ($name eq '--gpu' || $name eq '--num-threads') {
        fail("bad value of $name; expected a whole number, got '$value'") if $value !~ /^\d+\z/;
        $option{ substr $name, 2 } = $value;
    } elsif ($name eq '--pick') {
        fail("bad value of --pick; expected all, failed or incomplete, got '$value'")
          if $value !~ /^(?:all|failed|incomplete)\z/;
        $option{pick} = $value;
    }
    return;
}

if (@ARGV && $ARGV[0] =~ /^(?:--help|-h)\z/) { print $usage; exit 0; }
for my $round (1, 2) {    # options may stand before and after JOB=1:n
    take_option() while @ARGV && $ARGV[0] =~ /^-/;
    if (@ARGV && $ARGV[0] =~ /^([A-Za-z_]\w*)=(\d+)(?::(\d+))?\z/) {
        ($job_name, $first, $last) = ($1, $2, $3 // $2);
        fail("bad job range $ARGV[0]; expected it to start from 1 and to end no lower than it starts")
          if $first < 1 || $last < $first;
        shift @ARGV;
    } elsif (@ARGV && $ARGV[0] =~ m{^[A-Za-z_]\w*=[^/]*:}) {
        fail("bad job range $ARGV[0]; expected for example JOB=1:4");
    }
}
if (@ARGV < 2) { print STDERR $usage; exit 1; }
my $log_pattern = shift @ARGV;
my $num_jobs    = $last - $first + 1;
fail("$num_jobs parallel jobs would write to one log, $log_pattern; expected $job_name in its name")
  if $num_jobs > 1 && index($log_pattern, $job_name) < 0;

sub shell_word {
    my ($argument) = @_;
    if ($argument !~ /(?<!\\)(?:\\\\)*\\\z/) {    # one that ends in a backslash would swallow what comes after it
        return $argument if $argument =~ /^[^\s'"]+\z/a;
        return "\"$argument\"" if $argument =~ /\s|^\z/a && $argument !~ /"/;
    }
    $argument =~ s/'/'\\''/g;
    return "'$argument'";
}
my $command_pattern = join ' ', map { shell_word($_) } @ARGV;

sub for_job {
    my ($text, $job) = @_;
    $text =~ s/$job_name/$job/g if $job_name ne '';
    return $text;
}

# ---- how many at a time, and which

sub first_number {
    my ($command) = @_;
    my ($line) = (`$command 2>/dev/null` // '') =~ /^\s*(\d+)/;
    return $line // 0;
}

sub max_jobs_at_once {
    return $option{'max-jobs-run'} if $option{'max-jobs-run'};
    if ($option{gpu}) {
        my $gpus = () = (`nvidia-smi -L 2>/dev/null` // '') =~ /^GPU/mg;
        print STDERR "run.pl: WARNING: nvidia-smi lists no GPU, running one job at a time\n" if !$gpus;
        return $gpus || 1;
    }
    # nproc would take the thread limit of one job for the number of cores.
    my $cores = first_number('env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc')
      || first_number('getconf _NPROCESSORS_ONLN') || 10;
    # As in Kaldi, a few jobs more than cores run together rather than in a short second round.
    return $num_jobs < 1.4 * $cores ? $num_jobs : $cores;
}

# The exit code that a log tells of, or undef if the job did not end.
sub code_in_log {
    my ($log) = @_;
    open my $stream, '<', $log or return undef;
    my $code;
    while (<$stream>) { $code = $1 if /^# Ended \(code (\d+(?:; signal \d+)?)\)/; }
    close $stream;
    return $code;
}

my %code;    # of every job that has ended, or that is not to be run again
for my $job ($first .. $last) {
    my $log = for_job($log_pattern, $job);
    my $old = $option{pick} eq 'all' ? undef : code_in_log($log);
    if (defined $old && ($old eq '0' || $option{pick} eq 'incomplete')) {
        $code{$job} = $old eq '0' ? 0 : 1;
        next;
    }
    make_path(dirname($log), { error => \my $errors });
    # Emptied before the first job starts, so that no log of an earlier run passes for one of this run.
    open my $stream, '>', $log or fail("cannot write the log $log: $!");
    close $stream;
}

# ---- running

my %running;        # process id => [job, start time]
my @groups;         # process groups of all jobs
my $caught = '';    # the signal that ended us, if any

sub add_to_log {
    my ($job, $text) = @_;
    my $log = for_job($log_pattern, $job);
    open my $stream, '>>', $log or return print STDERR "run.pl: WARNING: cannot write to $log: $!\n";
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

sub start {
    my ($job) = @_;
    my ($log, $command) = (for_job($log_pattern, $job), for_job($command_pattern, $job));
    (my $shown = $command) =~ s/\n/\n# /g;
    add_to_log($job, "# $shown\n# Running on " . hostname() . "\n# Started at " . now() . "\n#\n");
    pipe my $read_end, my $write_end or fail("cannot make a pipe: $!");
    my ($all, $before) = (POSIX::SigSet->new(SIGINT, SIGTERM, SIGHUP, SIGALRM), POSIX::SigSet->new);
    sigprocmask(SIG_BLOCK, $all, $before);    # no signal may come between the fork and our knowing of the child
    my $child = fork;
    fail("cannot start job $job: $!") if !defined $child;
    if ($child == 0) {
        setpgrp 0, 0;                         # a process group of its own, so that all of it can be stopped
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM PIPE);
        sigprocmask(SIG_SETMASK, $before);
        close $write_end;
        open STDIN,  '<&',  $read_end or POSIX::_exit(127);
        open STDOUT, '>>',  $log      or POSIX::_exit(127);
        open STDERR, '>&',  \*STDOUT  or POSIX::_exit(127);
        { no warnings 'exec'; exec 'bash'; }
        print STDERR "run.pl: cannot run bash: $!\n";
        POSIX::_exit(127);
    }
    setpgrp $child, $child;                   # whichever of the two comes first
    $running{$child} = [$job, time];
    push @groups, $child;
    sigprocmask(SIG_SETMASK, $before);
    close $read_end;
    # Through a pipe, because one argument (of `bash -c`) may not be longer than 128 kB.
    print {$write_end} "(\n$command\n) </dev/null\n";
    close $write_end;
    return;
}

sub wait_for_one {
    my $child = waitpid -1, 0;
    return if $child < 0 && $! == EINTR;
    fail('lost track of the jobs') if $child < 0;
    my $status = $?;
    my ($job, $since) = @{ delete $running{$child} // return };
    $code{$job} = $status & 127 ? 128 + ($status & 127) : $status >> 8;
    my $seconds = time - $since;
    add_to_log($job, ends_with_newline(for_job($log_pattern, $job)) ? '' : "\n");
    add_to_log($job, "# Accounting: time=$seconds threads=$option{'num-threads'}\n"
          . "# Ended (code $code{$job}) at " . now() . ", elapsed time $seconds seconds\n");
    return;
}

for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { $caught = $signal; kill 'TERM', map { -$_ } keys %running; alarm 5; };
}
$SIG{ALRM} = sub { kill 'KILL', map { -$_ } keys %running; };
$SIG{PIPE} = 'IGNORE';

my $at_once = max_jobs_at_once();
for my $job (grep { !defined $code{$_} } $first .. $last) {
    wait_for_one() while keys %running >= $at_once && !$caught;
    last if $caught;
    start($job);
}
wait_for_one() while %running;

if ($caught) {
    # What a job started may take longer to end than the job's shell.
    my @alive = @groups;
    for (1 .. 50) {
        last if !(@alive = grep { kill 0, -$_ } @alive);
        select undef, undef, undef, 0.1;
    }
    kill 'KILL', map { -$_ } @alive;
    print STDERR "run.pl: error: stopped by SIG$caught, and all jobs with it; log is in ",
      for_job($log_pattern, '*'), "\n";
    $SIG{$caught} = 'DEFAULT';
    kill $caught, $$;    # so that our caller sees how we ended
    exit 1;
}

# ---- the report

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
    @lines = grep { !/^# (?:Accounting: |Ended )/ && /\S/ } @lines;
    @lines = ("(the command wrote nothing)\n") if !@lines;
    s/\n?\z/\n/ for @lines;
    return @lines > $wanted ? @lines[-$wanted .. -1] : @lines;
}

my @failed = grep { $code{$_} != 0 } $first .. $last;
exit 0 if !@failed;
my $log = for_job($log_pattern, $failed[0]);
if ($num_jobs == 1) {
    print STDERR "run.pl: error: job failed (code $code{$failed[0]}), log is in $log\n";
    print STDERR "run.pl: JOB is in the log's name, but there is no JOB=1:n before it\n"
      if $job_name eq '' && $log =~ /JOB/;
} else {
    my $few = join ' ', @failed > 20 ? (@failed[0 .. 19], '...') : @failed;
    print STDERR "run.pl: error: ", scalar @failed, " / $num_jobs failed, log is in ", for_job($log_pattern, '*'),
      "; failed jobs: $few\n";
}
print STDERR "run.pl: last lines of $log (code $code{$failed[0]}):\n", map { "  $_" } last_lines($log, 5);
exit 1;
