#!/usr/bin/env perl
# Runs a command, or numbered copies of it in parallel, on this machine. queue.pl and slurm.pl have the same command line.
# Jobs.pm explains quoting and logs.
use strict;
use warnings;
use FindBin ();
use lib $FindBin::RealBin;
use IO::Handle;
use Jobs;
use POSIX ();

my $call = read_command_line();
# SIGTERM ends the command; this script survives it and writes the end of the log.
my $script = job_script($call, "trap : TERM\n_job=\$1\n", '');
my (%running, %failed, @stopped);    # process => job; job => exit code; process groups that a signal stopped
my $caught = '';                     # the signal that ended us, if any

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

sub start {
    my ($job) = @_;
    my $child = open(my $stdin, '|-') // fail("cannot start job $job: $!");
    if ($child == 0) {
        setpgrp 0, 0;    # a process group of its own, so that all of it can be stopped
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP ALRM PIPE);
        POSIX::_exit(1) if $caught;
        exec 'bash', '-s', $job or POSIX::_exit(127);
    }
    setpgrp $child, $child;    # whichever of the two comes first
    $running{$child} = [$job, $stdin];
    $stdin->autoflush;
    print {$stdin} $script;
}

sub wait_for_one {
    my $child  = waitpid -1, 0;
    my $status = $?;
    my ($job) = @{ delete $running{$child} // return };    # return: a signal came
    $failed{$job} = 'code ' . ($status & 127 ? 128 + ($status & 127) : $status >> 8) if $status;
}

sub stop_jobs {
    push @stopped, map { -$_ } keys %running;
    kill 'TERM', @stopped;
    alarm 5;
}

prepare_logs($call);
for my $signal (qw(INT TERM HUP)) {
    $SIG{$signal} = sub { $caught = $signal; stop_jobs(); };
}
$SIG{ALRM} = sub { kill 'KILL', @stopped; };
$SIG{PIPE} = 'IGNORE';

my $at_once = max_jobs_at_once();
for my $job ($call->{first} .. $call->{last}) {
    wait_for_one() while keys %running >= $at_once && !$caught;
    last if $caught;
    start($job);
    stop_jobs() if $caught;    # the signal may have come before we knew of this job
}
wait_for_one() while %running;
if ($caught) {
    # Children of a job may outlive its shell, until the alarm.
    for (1 .. 60) {
        last if !grep { kill 0, $_ } @stopped;
        select undef, undef, undef, 0.1;
    }
    die_of_signal($call, $caught);
}
report_jobs($call, 'failed', \%failed);
exit(%failed ? 1 : 0);
