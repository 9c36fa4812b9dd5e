#!/usr/bin/env perl
# Runs a command, or numbered copies of it in parallel, on this machine. queue.pl and slurm.pl have the same command line.
# Jobs.pm explains quoting and logs.
use strict;
use warnings;
use Errno   qw(EINTR);
use FindBin ();
use lib $FindBin::RealBin;
use Jobs;
use POSIX         qw(:signal_h);
use Sys::Hostname qw(hostname);

my $call = read_command_line(<<'END');
Usage: run.pl [options] [JOB=first:last] <log> <command> [arguments...]
e.g.:  run.pl JOB=1:4 exp/log/x.JOB.log python3 x.py --job JOB
Runs the command, in parallel for every JOB, and waits; exit code 1 if any job failed.
  --max-jobs-run N (or -tc N)   # run at most N jobs at a time; default: one per core (per GPU with --gpu)
  --gpu N                       # the jobs use GPUs, if N is not 0
  --num-threads N               # threads of a job: written to the log
  -V, --mem X, -l X, -pe X Y, any other with a value   # for queues: accepted and ignored
END

sub max_jobs_at_once {
    return $call->{'max-jobs-run'} if $call->{'max-jobs-run'};
    if ($call->{gpu}) {
        my $gpus = () = (`nvidia-smi -L 2>/dev/null` // '') =~ /^GPU/mg;
        warning('nvidia-smi lists no GPU, running one job at a time') if !$gpus;
        return $gpus || 1;
    }
    # nproc would take the thread limit of one job for the number of cores.
    my ($cores) = (`env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null` // '') =~ /(\d+)/;
    $cores ||= 10;
    # As in Kaldi, a few jobs more than cores run together rather than in a short second round.
    return $call->{number} < 1.4 * $cores ? $call->{number} : $cores;
}

my (%code, %running, @groups);    # job => exit code; process => [job, start time]; process groups of all jobs
my $caught = '';                  # the signal that ended us, if any

sub start {
    my ($job) = @_;
    my ($log, $command) = map { for_job($call, $_, $job) } qw(log command);
    (my $shown = $command) =~ s/\n/\n# /g;
    add_to_log($log, "# $shown\n# Running on " . hostname() . "\n# Started at " . now() . "\n#\n");
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
        open STDIN,  '<&', $read_end or POSIX::_exit(127);
        open STDOUT, '>>', $log      or POSIX::_exit(127);
        open STDERR, '>&', \*STDOUT  or POSIX::_exit(127);
        { no warnings 'exec'; exec 'bash'; }
        POSIX::_exit(127);
    }
    setpgrp $child, $child;                   # whichever of the two comes first
    $running{$child} = [$job, time];
    push @groups, $child;
    sigprocmask(SIG_SETMASK, $before);
    close $read_end;
    # Through a pipe, because an argument of `bash -c` may not be longer than 128 kB.
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
    add_to_log(for_job($call, 'log', $job), "# Accounting: time=$seconds threads=$call->{'num-threads'}\n"
          . "# Ended (code $code{$job}) at " . now() . ", elapsed time $seconds seconds\n");
    return;
}

prepare_logs($call);
for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { $caught = $signal; kill 'TERM', map { -$_ } keys %running; alarm 5; };
}
$SIG{ALRM} = sub { kill 'KILL', map { -$_ } keys %running; };
$SIG{PIPE} = 'IGNORE';

my $at_once = max_jobs_at_once();
for my $job ($call->{first} .. $call->{last}) {
    wait_for_one() while keys %running >= $at_once && !$caught;
    last if $caught;
    start($job);
}
wait_for_one() while %running;

if ($caught) {
    # Children of a job may take longer to end than its shell.
    my @alive = @groups;
    for (1 .. 50) {
        last if !(@alive = grep { kill 0, -$_ } @alive);
        select undef, undef, undef, 0.1;
    }
    kill 'KILL', map { -$_ } @alive;
    die_of_signal($call, $caught);
}
my %failed = map { $_ => "code $code{$_}" } grep { $code{$_} != 0 } keys %code;
report_jobs($call, 'failed', \%failed, 0);
exit(%failed ? 1 : 0);
