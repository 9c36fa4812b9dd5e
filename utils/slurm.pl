#!/usr/bin/env perl
# Runs a command, or numbered copies of it in parallel, as a job array of a Slurm cluster, with the command line of run.pl
# and of Kaldi's slurm.pl. Jobs.pm explains quoting and logs. All nodes must share the current folder and the logs' folder.
#
# A job that ends leaves a mark, a file <job>.<exit code>, in a hidden folder beside the log. The controller is asked
# seldom, and only about jobs that will never leave one: cancelled, out of time or memory, on a node that died. These are
# reported as lost, apart from failed ones. (The exit code of `sbatch --wait` does not distinguish them.)
use strict;
use warnings;
use File::Basename qw(basename dirname);
use File::Temp     qw(tempdir);
use FindBin        ();
use lib $FindBin::RealBin;
use Jobs;

my $call = read_command_line();

# States of a job after its end. In any other state it waits, runs, or is cleaned up after.
my $ended = qr/^(?:BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|TIMEOUT)\z/;
my ($array, $caught, $silent) = ('', '');        # id of the job array; the signal that ended us; whether Slurm is silent
my (%code, %lost, %gone);                        # job => exit code, why it is lost, and how it ended if no mark is seen

for my $signal (qw(INT TERM HUP)) { $SIG{$signal} = sub { $caught = $signal; }; }
delete @ENV{ grep { /^SQUEUE_/ } keys %ENV };    # defaults of the user, which may hide jobs
prepare_logs($call);
chomp(my $here = `pwd -L </dev/null`);           # the name that users know, since links may differ between machines
my $log_folder = dirname(log_of($call, $call->{first}));
$log_folder = "$here/$log_folder" if $log_folder !~ m{^/};
my $folder = tempdir('.slurm.XXXXXXXX', DIR => $log_folder, CLEANUP => 1);

# Returns the output and the status of a command, in a session of its own because of ctrl-C at our terminal.
sub output_of {
    my $command = join ' ', map { quoted($_) } 'setsid', @_;
    my $output = `$command 2>&1 </dev/null`;
    return ($output, $?);
}

sub submit {
    my $begin = '_folder=' . quoted($folder) . ' _here=' . quoted($here) . "\n" . <<'END';
_job=$SLURM_ARRAY_TASK_ID
# A folder that was made a moment ago may take some seconds to be seen here.
for _pause in 0 1 2 4 8 15; do sleep $_pause; [ ! -d "$_folder" ] || break; done
[ -d "$_folder" ] || { echo "job $_job: $_folder is gone, so nothing waits for it" >&2; exit 1; }
cd "$_here" || exit 1
# With `sbatch --export=PATH` the rest of the environment comes from path.sh, as in Kaldi.
case ${SLURM_EXPORT_ENV:-ALL} in ALL*) ;; *) if [ -f path.sh ]; then . ./path.sh; fi ;; esac
END
    open my $stream, '>', "$folder/script" or fail("cannot write $folder/script: $!");
    print {$stream} "#!/usr/bin/env bash\n", job_script($call, $begin, ': >"$_folder/$_job.$_code"' . "\n");
    close $stream or fail("cannot write $folder/script: $!");
    my $name = basename(log_of($call, ''), '..log', '.log');
    (my $output = "$folder/slurm.out") =~ s/([\\%])/\\$1/g;    # both mean something in sbatch's patterns
    my ($answer, $status) = output_of(
        'sbatch', "--job-name=$name", "--output=$output", '--open-mode=append', '--parsable',
        $call->{'num-threads'} > 1 ? "--cpus-per-task=$call->{'num-threads'}" : (),
        $call->{gpu}               ? "--gres=gpu:$call->{gpu}"                : (),
        (map { $_->[0] =~ /^--/ ? "$_->[0]=$_->[1]" : @$_ } @{ $call->{options} }),
        "--array=$call->{first}-$call->{last}" . ($call->{'max-jobs-run'} ? "%$call->{'max-jobs-run'}" : ''),
        "$folder/script",
    );
    ($array, my $cluster) = $answer =~ /^(\d+)(?:;(\S+))?$/m;
    fail('sbatch took no job: ' . join '; ', grep { /\S/ } split /\n/, $answer) if $status || !defined $array;
    $ENV{SLURM_CLUSTERS} = $cluster if defined $cluster;       # sbatch chose one of several
    warning($_) for grep { /\S/ && !/^$array(?:;|\z)/ } split /\n/, $answer;
}

sub open_jobs { return grep { !defined $code{$_} && !defined $lost{$_} } $call->{first} .. $call->{last}; }

# Returns the state of each job that Slurm still knows, or undef if it does not answer.
sub ask_for_states {
    my ($output, $status) = output_of('squeue', qw(--noheader --array --states=all), "--jobs=$array", '--format=%K %T');
    if ($status && $output !~ /invalid job id/i) {
        warning("squeue does not answer, still waiting: $output") if !$silent++;
        return undef;
    }
    $silent = 0;
    return { $output =~ /^\s*(\d+) ([A-Z_]+)/mg };
}

sub look_for_marks {
    opendir my $directory, $folder or return;
    while (defined(my $name = readdir $directory)) { $code{$1} = $2 if $name =~ /^(\d+)\.(\d+)\z/; }
}

# A job that has ended is lost if it has no mark by the next look, and Slurm has not put it back into the queue.
sub look_for_lost {
    my $state = ask_for_states() // return;
    # A change in the folder makes a network file system look again.
    if (open my $stream, '>', "$folder/look") { unlink "$folder/look"; }
    look_for_marks();
    for my $job (open_jobs()) {
        if (defined $state->{$job} && $state->{$job} !~ $ended) {
            delete $gone{$job};
        } elsif (!defined $gone{$job}) {
            $gone{$job} = $state->{$job} // 'Slurm no longer knows it';
        } else {
            $lost{$job} = $gone{$job};
            if (open my $log, '>>', log_of($call, $job)) { print {$log} "\n# Lost ($lost{$job})\n"; }
        }
    }
}

sub wait_for_jobs {
    my ($look_every, $ask_every, $ask_at) = (0.1, 5, time + 5);
    while (!$caught) {
        look_for_marks();
        my @open = open_jobs() or last;
        if (time >= $ask_at) {
            look_for_lost();
            $ask_every *= 2 if $ask_every < 60;
            $ask_at = time + (grep({ $gone{$_} } @open) ? 10 : $ask_every);
        }
        select undef, undef, undef, $look_every if !$caught;
        $look_every *= 1.2 if $look_every < 4;
    }
}

# Takes the jobs off the cluster, and waits (half a minute at most) until they have ended.
sub cancel {
    my ($output, $status) = output_of('scancel', $array);
    return warning("cannot cancel the jobs: $output; do it later: scancel $array") if $status;
    for my $seconds (0.2, 0.5, 1, 2, 4, 8, 15) {
        my $state = ask_for_states();
        return if $state && !grep { $_ !~ $ended } values %$state;
        select undef, undef, undef, $seconds;
    }
    return warning("jobs are still ending: squeue --jobs=$array");
}

submit();
wait_for_jobs();
if ($caught) {
    cancel();
    File::Temp::cleanup();
    die_of_signal($call, $caught);
}
my %failed = map { $_ => "code $code{$_}" } grep { $code{$_} != 0 } keys %code;
report_jobs($call, 'failed', \%failed);
report_jobs($call, 'lost',   \%lost);
if (my @lines = %lost ? last_lines("$folder/slurm.out") : ()) {
    print STDERR "slurm.pl: last lines of the output of Slurm:\n", @lines;
}
exit(%failed || %lost ? 1 : 0);
